"""The content of one case as plain values: all figures formatted, all texts unescaped."""

from dataclasses import dataclass, replace
from typing import Literal

from reports.html.diff import Piece

# The change of a case, seen from the baseline.
Change = Literal["lost", "gained", "still fails", "still passes", "not compared"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Excerpt:
    """A text, and the number of characters that were left out at its end."""

    text: str
    omitted: int = 0


def excerpt(text: str, limit: int) -> Excerpt:
    """The beginning of a text.

    Args:
        text: The whole text.
        limit: Most characters that are shown.
    """
    return Excerpt(text=text[:limit], omitted=max(len(text) - limit, 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One message of a prompt."""

    role: str
    content: Excerpt


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One side's answer.

    Attributes:
        pieces: The text, marked where the other side differs.
        cut: The token limit ended it.
        facts: Its formatted size and time.
        reasoning: The reasoning before it; None without reasoning.
    """

    outcome: str
    pieces: tuple[Piece, ...]
    omitted: int = 0
    cut: bool = False
    facts: str = ""
    long: bool = False
    reasoning: Excerpt | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One side's value of one check; ``passed`` is None if it is for information or missing."""

    value: str
    passed: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRow:
    """One check of a case on both sides.

    Attributes:
        wants: The threshold or value that passes.
        about: What the check tests, in words, where its value is a pattern or a schema.
        why: The candidate's explanation or error; the baseline's if there is no candidate.
    """

    name: str
    wants: str
    baseline: Mark | None
    candidate: Mark
    why: Excerpt
    about: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One value in which JSON answers differ; a side without it is None.

    Attributes:
        path: Its place, such as ``items[0].name``.
        expected: The reference's value.
    """

    path: str
    expected: str | None
    baseline: str | None
    candidate: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A metric's error in full."""

    metric: str
    traceback: Excerpt


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedPrompt:
    """A rendered prompt.

    Attributes:
        sides: The sides with this prompt.
        sha256: The beginning of its hash.
    """

    sides: str
    text: Excerpt
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseView:
    """One case.

    Attributes:
        number: Its 1-based position in the run.
        brief: The failed or errored checks, or the reason why it was skipped.
        description: What its author wrote about it.
        notes: For example must-pass, expected to fail, changed since the baseline.
        same_answer: Both sides gave the same text, which is then shown once.
        diff_note: Why nothing is marked in answers that differ.
        differences: The values in which JSON answers differ.
        tokens: Size of the candidate's answer; None without one.
        latency_s: Its time in seconds.
        rerun: The command that gates this case alone.
    """

    number: int
    set_name: str
    case_id: str
    outcome: str
    change: Change
    brief: str
    description: str = ""
    notes: tuple[str, ...]
    cluster: str
    tags: tuple[str, ...]
    turns: tuple[Turn, ...]
    references: tuple[Excerpt, ...]
    context: tuple[Excerpt, ...]
    baseline: Answer | None
    candidate: Answer | None
    same_answer: bool
    diff_note: str
    differences: tuple[Difference, ...] = ()
    checks: tuple[CheckRow, ...]
    traces: tuple[Trace, ...]
    prompts: tuple[AskedPrompt, ...] = ()
    tokens: int | None = None
    latency_s: float | None = None
    rerun: str = ""

    @property
    def key(self) -> str:
        """Its name across sets."""
        return f"{self.set_name}/{self.case_id}"


def listed(case: CaseView) -> CaseView:
    """What the list of all cases shows of one; its details take ten times as much memory."""
    return replace(
        case,
        turns=(),
        references=(),
        context=(),
        baseline=None,
        candidate=None,
        differences=(),
        checks=(),
        traces=(),
        prompts=(),
        rerun="",
    )
