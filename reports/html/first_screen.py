"""The content of the first screen as plain values: all figures formatted, all texts unescaped."""

from dataclasses import dataclass
from typing import Literal

from reports.html.charts import Sparkline

# The style of a verdict, a banner or a mark.
Tone = Literal["pass", "regress", "inconclusive", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedLine:
    """One thing that lost cases share.

    Attributes:
        text: Its beginning in words; ``sample`` is the word or sign itself, if it has one.
        count: For example ``76 of 117``.
        elsewhere: How frequent it is where nothing was lost.
        share: Of the lost cases, in percent.
    """

    text: str
    sample: str
    count: str
    elsewhere: str
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleView:
    """One lost case in a few lines.

    Attributes:
        failed: The first failed check, what it expects, and why it failed.
    """

    key: str
    prompt: str
    before: str
    now: str
    failed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedView:
    """What the lost cases share.

    Attributes:
        note: Said in place of lines, or about all of them.
        failed: The most frequent failed checks.
    """

    title: str
    lines: tuple[SharedLine, ...]
    note: str
    failed: str
    example: ExampleView | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NextStep:
    """What to do next.

    Attributes:
        command: Empty if there is none to run.
        condition: What has to be done before the command is run; empty for nothing.
    """

    title: str
    text: str
    command: str
    condition: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One column: a run.

    Attributes:
        commit: For example ``commit 7bf9666d63 + changes``, or ``same commit`` as the candidate's.
        subject: The first line of its commit's message.
    """

    role: str
    model: str
    detail: str
    commit: str
    author: str
    subject: str
    date: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SideRow:
    """One gated metric on all sides.

    Attributes:
        name: The set's name, with the metric's unless it is the pass rate.
        about: The golden set in words.
        values: One mean per side, ``–`` where a side has none.
        accepted_change: The change against the accepted run, in words; empty if it is unknown.
        drop: The change against the baseline, in words; ``–`` where no drop is possible.
        detects: The smallest drop that would be found, in words.
        other: The verdict for the other of the two questions, in words; empty if it is unknown or the same.
        history: Its values over the stored whole runs; None with fewer than two
            of the same cases and metric.
        ends: The first and the last of these values, and what else is to be known of the line; or why there
            is none.
    """

    tone: Tone
    word: str
    name: str
    about: str
    values: tuple[str, ...]
    accepted_change: str
    drop: str
    interval: str
    margin: str
    counts: str
    detects: str
    other: str
    history: Sparkline | None
    ends: str
    drawing: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictView:
    """The first screen.

    Attributes:
        accepted: The metrics that fell against the run that was accepted last, in one line; may be empty.
        shared: None if no case was lost.
        next_step: None if there is nothing to do.
        reasons: The gate's own sentences, in order of weight.
    """

    tone: Tone
    word: str
    lead: str
    accepted: str
    next_step: NextStep | None
    shared: SharedView | None
    candidate: str
    sides: tuple[Side, ...]
    rows: tuple[SideRow, ...]
    rerun: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Banner:
    """A warning about the figures."""

    tone: Tone
    title: str
    text: str
    items: tuple[str, ...] = ()
