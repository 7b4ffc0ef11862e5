"""The content of the page as plain values: all figures formatted, all texts unescaped.

The template escapes (see ``render``), so that tests can compare the values here.
"""

from dataclasses import dataclass

from reports.html.case_view import CaseView, Excerpt
from reports.html.charts import Axis, Forest, Histogram, LossCurve
from reports.html.first_screen import Banner, Tone, VerdictView


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One value of a filter, with its number of cases."""

    label: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LostGroup:
    """Lost cases with something in common.

    Attributes:
        numbers: Their positions in the run; each lost case is in one group.
    """

    title: str
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseList:
    """All cases, and their filters.

    Attributes:
        shown: The change or outcome that the list is first filtered by; empty for all cases.
        groups: The lost cases.
        drops: For each gated score that fell without a lost case: its name, and the cases that fell most.
        limit: Most characters of one text.
        longest: Characters of the longest text that is shown.
    """

    cases: tuple[CaseView, ...]
    total: int
    shown: str
    groups: tuple[LostGroup, ...]
    drops: tuple[LostGroup, ...]
    outcomes: tuple[Choice, ...]
    changes: tuple[Choice, ...]
    sets: tuple[Choice, ...]
    tags: tuple[Choice, ...]
    limit: int
    longest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A formatted figure with its interval."""

    value: str
    interval: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricRow:
    """One metric of one golden set; without a baseline only the candidate's side."""

    set_name: str
    metric: str
    note: str
    n: str
    candidate: Estimate
    baseline: Estimate | None = None
    drop: Estimate | None = None
    forest: Forest | None = None
    drawing: str = ""
    margin: str = ""
    p: str = ""
    detects: str = ""
    tone: Tone = "none"
    verdict: str = ""
    other: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsView:
    """The metric table: gated rows, then those for information.

    Attributes:
        compared: Whether there is a baseline.
        axis: Of the gated rates; None where there is none. Each score has its own.
        informing_axis: The same of the rates for information.
    """

    gated: tuple[MetricRow, ...]
    informing: tuple[MetricRow, ...]
    compared: bool
    axis: Axis | None
    informing_axis: Axis | None
    confidence: str
    drop_confidence: str
    bound_confidence: str
    methods: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionRow:
    """Retention of one skill; positions are in percent of the bar."""

    skill: str
    kept: str
    rate: Estimate
    low: float
    estimate: float
    high: float
    all_skills: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LossRow:
    """Cross-entropy on one passage of general text."""

    passage: str
    baseline: str
    candidate: str
    change: str
    tokens: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgettingView:
    """Skills of another model that the candidate lost.

    Attributes:
        before: The other model: ``baseline``, or the name of the base.
        other_text: The change on other kinds of text than English prose, each kind in words.
    """

    anchor: str
    title: str
    before: str
    rows: tuple[RetentionRow, ...]
    confidence: str
    loss_change: Estimate | None
    other_text: tuple[str, ...]
    divergence: Estimate | None
    refusals: str
    loss_confidence: str
    tripped: bool
    passages: tuple[LossRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One line of a list of facts; ``code`` is set in a fixed-width face."""

    name: str
    value: Excerpt
    code: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """A titled list of facts."""

    title: str
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingView:
    """How the adapter was trained."""

    curve: LossCurve | None
    drawing: str
    reward_curve: LossCurve | None
    reward_drawing: str
    canaries: tuple[str, ...]
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetRow:
    """One golden set: its cases by outcome, and its file."""

    name: str
    kind: str
    cases: str
    outcomes: str
    path: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceRow:
    """One tag of one golden set; ``driver`` if the gate named it as the slice in which losses gather."""

    set_name: str
    tag: str
    n: str
    baseline: str
    candidate: str
    drop: Estimate
    forest: Forest
    drawing: str
    lost: str
    gained: str
    driver: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SlicesView:
    """The pass rate of each tag.

    Attributes:
        left_out: Number of tags without a flipped case that are left out.
    """

    rows: tuple[SliceRow, ...]
    axis: Axis
    confidence: str
    left_out: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DistributionView:
    """The scores of one graded metric on both sides."""

    set_name: str
    metric: str
    histogram: Histogram
    drawing: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRow:
    """One figure of size or time on each side."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageView:
    """Sizes and times of the answers."""

    sides: tuple[str, ...]
    rows: tuple[UsageRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportView:
    """The whole page, in order.

    Attributes:
        one_case: The command that shows one case in a terminal; empty if no command finds the run.
    """

    title: str
    run_id: str
    one_case: str
    started: str
    verdict: VerdictView
    banners: tuple[Banner, ...]
    metrics: MetricsView
    slices: SlicesView | None
    cases: CaseList
    distributions: tuple[DistributionView, ...]
    usage: UsageView | None
    forgetting: tuple[ForgettingView, ...]
    training: TrainingView | None
    sets: tuple[SetRow, ...]
    manifest: tuple[Facts, ...]
