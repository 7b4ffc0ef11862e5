"""The interface of an engine, and which ones there are."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, runtime_checkable

from harness.prompts.rendering import RenderedPrompt
from harness.registry import EngineKind
from harness.types import Completion, ExecutionPlan, GenerationSettings, Message, TextLoss

CANDIDATE = "candidate"
BASELINE = "baseline"
# Engines that ask servers.
SERVED = frozenset({"openai", "openai-completions", "vllm"})
# Tokens of a batch, unless the models' size decides.
BATCH_TOKENS = 4096
# The candidate's base, if the baseline is another model.
BASE = "base"

# These two are chosen by the kind of a model, and open each other's models; their names are still
# reserved.
_DESCRIBE, OPEN_OWN = "harness.engines.open:describe_own", "harness.engines.open:open_own"

BUILTIN_ENGINES: dict[str, EngineKind] = {
    kind.name: kind
    for kind in (
        EngineKind(
            name="transformers",
            summary="Base models and adapters, in batches.",
            describe=_DESCRIBE,
            open=OPEN_OWN,
            measures_text=True,
        ),
        EngineKind(
            name="multitask",
            summary="Encoders with heads for labels, entities and spans.",
            describe=_DESCRIBE,
            open=OPEN_OWN,
        ),
        EngineKind(
            name="openai",
            summary="Models behind OpenAI-compatible servers, by chat completions.",
            describe="harness.engines.served.describe:describe_chat",
            open="harness.engines.served.engine:ServedEngine",
            measures_text=True,
        ),
        EngineKind(
            name="openai-completions",
            summary="The same by plain completions, for models without a chat template.",
            describe="harness.engines.served.describe:describe_plain",
            open="harness.engines.served.engine:ServedEngine",
            measures_text=True,
        ),
        EngineKind(
            name="vllm",
            summary="Base models and adapters on a server with vLLM's API.",
            describe="harness.engines.served.vllm:refuse_name",
            open="harness.engines.served.vllm:VllmEngine",
            measures_text=True,
        ),
    )
}

# Called with an answer's index among the requests and its text so far.
OnText: TypeAlias = Callable[[int, str], None]
# Called with answers by index while others of their batch go on, each with its share of the time so far. They
# come again with their batch, unless its worker is lost.
OnEarly: TypeAlias = Callable[[Mapping[int, Any]], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """One answer to be generated.

    Attributes:
        key: The request's name in results and messages (a case's key).
        side: The loaded model that answers: ``candidate`` or ``baseline``.
        prompt: The rendered conversation; None leaves rendering to the engine.
        json_schema: The answer is JSON that follows this schema; None for text.
        timeout_s: Most seconds for the answer, in a batch its share of the time; None for no limit.
    """

    key: str
    side: str
    messages: tuple[Message, ...]
    settings: GenerationSettings
    prompt: RenderedPrompt | None = None
    json_schema: Mapping[str, Any] | None = None
    timeout_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LossRequest:
    """A text to score, after a conversation or (without messages) on its own.

    Attributes:
        against: Another side on the same base; the result is then the divergence from it,
            KL(against ‖ side), mean over the text's tokens. What that one gives to tokens that the side
            doesn't have is left out.
        settings: How the conversation is rendered.
        prompt: The rendered conversation; None leaves rendering to the engine.
        options: The texts of which this is one. They are compared, so each is split into tokens together with
            the prompt, and all are scored behind the same part of it.
        direct: Whether the prompt goes on, behind the rendered conversation, to where the answer begins.
    """

    key: str
    side: str
    text: str
    messages: tuple[Message, ...] = ()
    against: str | None = None
    settings: GenerationSettings = field(default_factory=GenerationSettings)
    prompt: RenderedPrompt | None = None
    options: tuple[str, ...] = ()
    direct: bool = False

    @property
    def texts(self) -> tuple[str, ...]:
        """The text, or all texts with which it is compared."""
        return self.options or (self.text,)


class Engine(Protocol):
    """Loaded weights that answer in batches.

    Both methods return each finished batch at once, so that a crash loses only one batch and a progress bar
    can move.
    """

    @property
    def plan(self) -> ExecutionPlan:
        """How this engine computes."""

    def generate(
        self, requests: Sequence[GenerationRequest], on_batch: Callable[[Mapping[int, Completion]], None]
    ) -> None:
        """Answer all requests; ``on_batch`` gets completions by index into ``requests``.

        Args:
            requests: The requests, of any side.
            on_batch: Called with finished completions, by index into ``requests``.
        """

    def losses(
        self, requests: Sequence[LossRequest], on_batch: Callable[[Mapping[int, TextLoss]], None]
    ) -> None:
        """Cross-entropy of each text; ``on_batch`` gets losses by index into ``requests``.

        Args:
            requests: Texts, each after its conversation.
            on_batch: Called with finished losses, by index into ``requests``.
        """

    def largest_logit_change(self, side: str) -> float:
        """Largest absolute change of the base's logits by a side's adapter."""


class EarlyFaultError(BaseException):
    """Whoever was given answers early failed: the cause. It is no fault of the batch."""


@runtime_checkable
class EarlyEngine(Protocol):
    """An engine that gives answers before their batch ends."""

    on_early: OnEarly | None


class StreamingEngine(Engine, Protocol):
    """An engine that can show answers while they are written."""

    def render(
        self, side: str, messages: Sequence[Message], settings: GenerationSettings
    ) -> RenderedPrompt | None:
        """The rendered conversation for a side's model; None if it reads no rendered prompts.

        Args:
            side: One of the engine's sides.
            messages: The conversation.
            settings: Values for the template.

        Raises:
            PromptError: The model can't answer it.
        """

    def context(self, side: str) -> int | None:
        """Largest number of tokens of prompt and answer together for a side's model; None for no limit."""

    def generate(
        self,
        requests: Sequence[GenerationRequest],
        on_batch: Callable[[Mapping[int, Completion]], None],
        on_text: OnText | None = None,
    ) -> None:
        """As Engine's; ``on_text`` gets each answer's text so far, token by token.

        Args:
            requests: The requests, of any side.
            on_batch: Called with finished completions, by index into ``requests``.
            on_text: Called with an index into ``requests`` and the answer's text so far.
        """
