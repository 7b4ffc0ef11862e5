"""What the gate asks of an engine."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from harness.prompts.rendering import RenderedPrompt
from harness.types import Completion, ExecutionPlan, GenerationSettings, Message, TextLoss

CANDIDATE = "candidate"
BASELINE = "baseline"
# The candidate's base, where the baseline is another model.
BASE = "base"

# Told an answer's place among the requests and its text so far.
OnText: TypeAlias = Callable[[int, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """One answer to be generated.

    Attributes:
        key: Names the request in results and messages (a case's key).
        side: Which of the engine's loaded models answers: ``candidate`` or ``baseline``.
        prompt: The conversation as the side's model reads it; None leaves rendering to the engine.
    """

    key: str
    side: str
    messages: tuple[Message, ...]
    settings: GenerationSettings
    prompt: RenderedPrompt | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LossRequest:
    """A text whose cross-entropy is wanted, after a conversation or (with no messages) on its own.

    Attributes:
        against: Another side on the same base; the result is then the divergence from it,
            KL(against ‖ side), mean over the text's tokens.
        settings: How the conversation is rendered.
        prompt: The rendered conversation; None leaves rendering to the engine.
    """

    key: str
    side: str
    text: str
    messages: tuple[Message, ...] = ()
    against: str | None = None
    settings: GenerationSettings = field(default_factory=GenerationSettings)
    prompt: RenderedPrompt | None = None


class Engine(Protocol):
    """Loaded weights that answer in batches.

    Both methods hand over each finished batch at once, so that a crash loses one batch and a progress
    bar can move.
    """

    @property
    def plan(self) -> ExecutionPlan:
        """How this engine computes."""

    def generate(
        self, requests: Sequence[GenerationRequest], on_batch: Callable[[Mapping[int, Completion]], None]
    ) -> None:
        """Answer all requests; ``on_batch`` gets completions by index into ``requests``.

        Args:
            requests: What is asked, of any of the sides.
            on_batch: Called with finished completions, by index into ``requests``.
        """

    def losses(
        self, requests: Sequence[LossRequest], on_batch: Callable[[Mapping[int, TextLoss]], None]
    ) -> None:
        """Cross-entropy of each text; ``on_batch`` gets losses by index into ``requests``.

        Args:
            requests: Texts, each behind its conversation.
            on_batch: Called with finished losses, by index into ``requests``.
        """

    def largest_logit_change(self, side: str) -> float:
        """Largest absolute difference that a side's adapter makes to what its base says."""


class StreamingEngine(Engine, Protocol):
    """An engine that can show answers while they are written."""

    def render(
        self, side: str, messages: Sequence[Message], settings: GenerationSettings
    ) -> RenderedPrompt | None:
        """A conversation as a side's model reads it; None where it reads no rendered prompts.

        Args:
            side: One of the engine's sides.
            messages: The conversation.
            settings: Values for the template.

        Raises:
            PromptError: The model can't be asked it.
        """

    def context(self, side: str) -> int | None:
        """Most tokens of prompt and answer together that a side's model has places for; None for no limit."""

    def generate(
        self,
        requests: Sequence[GenerationRequest],
        on_batch: Callable[[Mapping[int, Completion]], None],
        on_text: OnText | None = None,
    ) -> None:
        """As Engine's; ``on_text`` gets each answer's text so far, token by token.

        Args:
            requests: What is asked, of any of the sides.
            on_batch: Called with finished completions, by index into ``requests``.
            on_text: Called with an index into ``requests`` and the answer's text so far.
        """
