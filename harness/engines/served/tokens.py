"""Answers as tokens, read as the engine on this machine reads its own."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from harness.engines.adapter import read_json
from harness.engines.base import GenerationRequest
from harness.engines.served.chat import send_timed_text
from harness.engines.served.client import RefusedError
from harness.engines.served.parameters import UnfitParameterError
from harness.engines.served.pool import Job
from harness.engines.served.replies import first_choice, is_cut
from harness.engines.served.reports import Reports
from harness.errors import SettingsError
from harness.prompts.reasoning import AnswerWatch, begins_answer, read_answer
from harness.prompts.rendering import prompt_ids
from harness.prompts.tokenizers import load_tokenizer
from harness.types import Completion, GenerationSettings, ModelRef

# So vLLM does not take over the sampling defaults of the model's generation config.
_PENALTY = "repetition_penalty"
_NEUTRAL = {_PENALTY: 1.0, "top_k": -1, "min_p": 0.0}


def refuse_unfollowed(requests: Sequence[GenerationRequest], sides: Mapping[str, ModelRef]) -> None:
    """Check that vLLM follows the models' own settings, where requests are to be answered by these.

    Args:
        requests: The requests.
        sides: The models, by side.

    Raises:
        SettingsError: It does not: of a generation config it has no more than a repetition penalty, and the
            settings of draws, in whose place the request's own stand.
    """
    for request in requests:
        model = sides[request.side]
        left = [each for each in model.own_settings if each.partition(":")[0] != _PENALTY]
        if request.settings.use_model_settings and left:
            raise SettingsError(
                f"{request.key}: use_model_settings: the generation config of {model.base_model} sets "
                f"{', '.join(left)}, which vLLM doesn't follow; leave use_model_settings out, or run the "
                f"model here"
            )


class Reader:
    """One side's tokenizer, and the tokens that end its answers."""

    def __init__(self, base_dir: Path, adapter_dir: str | None) -> None:
        """Load nothing yet.

        Args:
            base_dir: The base's directory.
            adapter_dir: The adapter's, whose tokenizer comes first.
        """
        self._base_dir, self._adapter_dir = base_dir, adapter_dir

    @cached_property
    def tokenizer(self) -> Any:
        """The adapter's own tokenizer, or the base's."""
        return load_tokenizer(self._base_dir, None if self._adapter_dir is None else Path(self._adapter_dir))

    @cached_property
    def stop_ids(self) -> list[int]:
        """The tokens that end an answer, by the base's generation config and by the tokenizer."""
        ids = {self.tokenizer.eos_token_id}
        for name in ("generation_config.json", "config.json"):
            path = self._base_dir / name
            if path.is_file():
                named = read_json(path).get("eos_token_id")
                ids |= set(named if isinstance(named, list) else [named])
                break
        return sorted(token for token in ids if token is not None)

    @cached_property
    def own_penalty(self) -> float:
        """The repetition penalty of the base's generation config, which a server may not have read."""
        path = self._base_dir / "generation_config.json"
        found: float | None = read_json(path).get(_PENALTY) if path.is_file() else None
        return 1.0 if found is None else found


def tokens_job(model: str, reader: Reader, request: GenerationRequest, reports: Reports) -> Job:
    """The request for an answer to a rendered prompt, sent and received as tokens.

    Args:
        model: The server's name of the model.
        reader: The side's tokenizer.
        request: What is asked, with its prompt.
        reports: Takes what the server says of itself.
    """
    settings, prompt = request.settings, request.prompt
    assert prompt is not None  # the caller renders it
    ids = prompt_ids(reader.tokenizer, prompt)
    body = {
        "model": model,
        "prompt": ids,
        "max_tokens": settings.token_limit,
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "seed": settings.seed,
        **({"stop": list(settings.stop)} if _may_stop(settings, prompt.shown) else {}),
        "extra_body": {
            "return_token_ids": True,
            "stop_token_ids": reader.stop_ids,
            **_NEUTRAL,
            **({_PENALTY: reader.own_penalty} if settings.use_model_settings else {}),
        },
    }

    def read(reply: Any, sent: dict[str, Any]) -> Completion:
        answer, elapsed = reply
        reports.take(answer)
        choice = first_choice(answer, "completion")
        tokens = getattr(choice, "token_ids", None)
        if not isinstance(tokens, list):
            raise RefusedError("the server gives no token_ids; it needs vLLM 0.10.2 or newer", 200)
        reports.note_end(choice)
        watch, reason = AnswerWatch(reader.tokenizer, prompt.shown, settings, reader.stop_ids), ""
        for token in tokens:
            if reason := watch.take(int(token)):
                break
        if not reason and "stop" in sent and not is_cut(choice):
            # Nothing ends it here: the server found a stop text in the reasoning.
            raise UnfitParameterError("stop")
        said = read_answer(reader.tokenizer, watch.tokens, prompt.shown, settings)
        ended = reason or ("length" if is_cut(choice) else "stop")
        return Completion(
            text=said.answer,
            reasoning=said.reasoning,
            stop_reason="length" if ended == "length" else "stop",
            prompt_tokens=len(ids),
            completion_tokens=len(watch.tokens),
            latency_s=elapsed,
            prompt=prompt.shown,
            prompt_sha256=prompt.sha256,
        )

    return Job(body=body, send=send_timed_text, read=read)


def _may_stop(settings: GenerationSettings, prompt: str) -> bool:
    """Whether the server gets the stop texts, which it looks for in a reasoning too, where they end nothing.

    Those that it doesn't get cut the answer when it is read.
    """
    is_reasoning = not settings.score_reasoning and begins_answer("", prompt) is False
    return bool(settings.stop) and settings.max_reasoning_tokens is None and not is_reasoning
