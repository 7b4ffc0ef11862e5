"""The supported part of the OpenAI protocol and of vLLM's additions: requests, checked."""

from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from harness.serving.checked_fields import CheckedFields
from harness.serving.conversation import ChatMessage, Conversation
from harness.types import GenerationSettings

# Options of OpenAI, vLLM, SGLang and llama.cpp that are not supported, with the values that change no answer.
_NEUTRAL: dict[str, tuple[object, ...]] = {
    **dict.fromkeys(("functions", "bad_words", "logits_processors", "stop_token_ids"), ([],)),
    **dict.fromkeys(("presence_penalty", "frequency_penalty", "min_p", "min_tokens", "min_new_tokens"), (0,)),
    **dict.fromkeys(("repetition_penalty", "repeat_penalty", "length_penalty", "typical_p"), (1,)),
    **dict.fromkeys(("mirostat", "dry_multiplier", "xtc_probability", "dynatemp_range", "n_probs"), (0,)),
    **dict.fromkeys(("ignore_eos", "use_beam_search", "include_stop_str_in_output"), (False,)),
    **dict.fromkeys(("no_stop_trim", "continue_final_message", "echo"), (False,)),
    **dict.fromkeys(("return_token_ids", "return_tokens_as_token_ids", "add_special_tokens"), (False,)),
    **dict.fromkeys(("skip_special_tokens", "spaces_between_special_tokens"), (True,)),
    **dict.fromkeys(("add_generation_prompt", "parallel_tool_calls"), (True,)),
    **dict.fromkeys(("include_reasoning", "separate_reasoning"), (True,)),
    "best_of": (1,),
    "logit_bias": ({},),
    "modalities": (["text"],),
    "n_predict": (-1,),
    "stop_regex": ("", []),
    "suffix": ("",),
    "top_k": (-1, 0),
    "verbosity": ("medium",),
}
# What is said for the server's own bookkeeping. Any other option would change the answer, or may.
_WITHOUT_EFFECT = frozenset(
    (
        *("user", "metadata", "store", "service_tier", "safety_identifier", "request_id", "rid", "priority"),
        *("prompt_cache_key", "prompt_cache_retention", "cache_prompt", "cache_salt", "id_slot"),
        *("stream_reasoning", "timings_per_token"),
    )
)
_MOST_ANSWERS = 64
_MOST_LIKELIEST = 20

Tokens = Annotated[int | None, Field(ge=1, le=32768)]


class StreamOptions(CheckedFields):
    """Options of a stream."""

    neutral: ClassVar = {"continuous_usage_stats": (False,)}
    without_effect: ClassVar = frozenset({"include_obfuscation"})

    include_usage: bool = False


class Sampling(CheckedFields):
    """The common options of chat and plain completions."""

    neutral: ClassVar = _NEUTRAL
    without_effect: ClassVar = _WITHOUT_EFFECT

    model: str
    temperature: Annotated[float | None, Field(ge=0, le=5)] = None
    top_p: Annotated[float | None, Field(gt=0, le=1)] = None
    seed: int | None = None
    n: Annotated[int | None, Field(ge=1, le=_MOST_ANSWERS)] = None
    stop: str | list[str] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None

    @property
    def answers(self) -> int:
        """Number of answers to one prompt."""
        return self.n or 1

    @property
    def streams_usage(self) -> bool:
        """Whether a stream ends with the number of tokens."""
        return self.stream_options is not None and self.stream_options.include_usage

    def sampling(self, max_tokens: int) -> GenerationSettings:
        """The settings of sampling; greedy unless the request says otherwise."""
        stop = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return GenerationSettings(
            max_new_tokens=max_tokens,
            temperature=self.temperature or 0.0,
            top_p=self.top_p or 1.0,
            seed=(self.seed or 0) % 2**32,
            stop=tuple(one for one in stop if one),
        )


class JsonFormat(CheckedFields):
    """The form of an answer: text, any JSON object, or JSON of a schema."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _has_schema(self) -> "JsonFormat":
        if self.type == "json_schema" and not isinstance((self.json_schema or {}).get("schema"), dict):
            raise ValueError("json_schema has no schema")
        return self

    @property
    def schema_of_answer(self) -> dict[str, Any] | None:
        """The JSON Schema that the answer follows; None for text."""
        if self.type == "text":
            return None
        return {"type": "object"} if self.type == "json_object" else (self.json_schema or {})["schema"]


class ChatRequest(Sampling, Conversation):
    """A request for a chat completion.

    Attributes:
        task: The head of a multi-task model that answers; models that generate ignore it.
    """

    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    task: str | None = None
    max_tokens: Tokens = None
    max_completion_tokens: Tokens = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int | None, Field(ge=0, le=_MOST_LIKELIEST)] = None
    response_format: JsonFormat | None = None

    @model_validator(mode="after")
    def _lists_tokens(self) -> "ChatRequest":
        if self.top_logprobs and not self.logprobs:
            raise ValueError("top_logprobs needs logprobs: true")
        return self

    @property
    def traced(self) -> int | None:
        """How many likeliest tokens are wanted at each place; None for no log-probabilities."""
        return (self.top_logprobs or 0) if self.logprobs else None

    def settings(self) -> GenerationSettings:
        """The settings of rendering and sampling."""
        return replace(
            self.sampling(self.max_completion_tokens or self.max_tokens or 512),
            chat_template_kwargs=self.template_values,
            tools=self.offered_tools,
            task=self.task,
        )


class CompletionRequest(Sampling):
    """A request to continue texts."""

    prompt: str | list[str] | list[int] | list[list[int]]
    max_tokens: Annotated[int | None, Field(ge=0, le=32768)] = None
    echo: bool = False
    logprobs: Annotated[int | None, Field(ge=0, le=_MOST_LIKELIEST)] = None
    return_token_ids: bool | None = None
    stop_token_ids: list[int] | None = None
    add_special_tokens: Literal[True] | None = None

    @model_validator(mode="after")
    def _possible(self) -> "CompletionRequest":
        if not self.prompt:
            raise ValueError("prompt is empty")
        if self.max_tokens == 0 and not self.echo:
            raise ValueError("max_tokens of 0 needs echo")
        return self

    @property
    def with_prompt(self) -> bool:
        """Whether the prompts' tokens are listed too."""
        return self.echo or bool(self.return_token_ids)

    def prompts(self) -> list[str | list[int]]:
        """The prompts in a list, each a text or tokens."""
        if isinstance(self.prompt, str):
            return [self.prompt]
        if all(isinstance(one, int) for one in self.prompt):
            return [[int(one) for one in self.prompt]]  # type: ignore[arg-type] # all are numbers
        return list(self.prompt)  # type: ignore[arg-type] # texts, or lists of tokens

    def settings(self) -> GenerationSettings:
        """The settings of sampling; the text stays as the model writes it."""
        tokens = 16 if self.max_tokens is None else self.max_tokens
        return replace(self.sampling(tokens), score_reasoning=True)


class TokenizeRequest(Conversation):
    """A request for the tokens of a text, or of a rendered conversation (as vLLM's ``/tokenize``).

    Attributes:
        add_generation_prompt: Whether an answer begins behind the conversation; false for one that has it.
    """

    neutral: ClassVar = {"continue_final_message": (False,), "return_token_strs": (False,)}

    model: str | None = None
    prompt: str | None = None
    add_special_tokens: bool = True
    add_generation_prompt: bool = True

    @model_validator(mode="after")
    def _one_of_two(self) -> "TokenizeRequest":
        if (self.prompt is None) == (self.messages is None):
            raise ValueError("give prompt or messages")
        return self


class DetokenizeRequest(CheckedFields):
    """A request for the text of tokens (as vLLM's ``/detokenize``)."""

    model: str | None = None
    tokens: list[Annotated[int, Field(ge=0, lt=2**31)]]


class LoadAdapterRequest(CheckedFields):
    """A request to serve another adapter (as vLLM's ``/v1/load_lora_adapter``)."""

    neutral: ClassVar = dict.fromkeys(("load_inplace", "is_3d_lora_weight", "pinned"), (False,))

    lora_name: Annotated[str, Field(min_length=1)]
    lora_path: Annotated[str, Field(min_length=1)]


class UnloadAdapterRequest(CheckedFields):
    """A request to serve an adapter no longer."""

    without_effect: ClassVar = frozenset({"lora_int_id", "lora_path"})

    lora_name: str


class EmbeddingRequest(CheckedFields):
    """A request for embeddings."""

    neutral: ClassVar = dict.fromkeys(("add_special_tokens", "normalize"), (True,))
    without_effect: ClassVar = _WITHOUT_EFFECT

    model: str
    input: str | Annotated[list[str], Field(min_length=1, max_length=2048)]
    encoding_format: Literal["float", "base64"] = "float"

    def texts(self) -> list[str]:
        """The texts in a list."""
        return [self.input] if isinstance(self.input, str) else self.input
