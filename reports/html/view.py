"""The content of the page as plain values: all figures formatted, all texts unescaped.

The template escapes (see ``render``), so that tests can compare the values here.
"""

from dataclasses import dataclass
from typing import Literal

from reports.html.charts import Axis, Forest, LossCurve
from reports.html.diff import Piece

# The change of a case, seen from the baseline.
Change = Literal["lost", "gained", "still fails", "still passes", "not compared"]
# The style of a verdict, a banner or a mark.
Tone = Literal["pass", "regress", "inconclusive", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Excerpt:
    """A text, and the number of characters that were left out at its end."""

    text: str
    omitted: int = 0


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
    reasoning: "Excerpt | None" = None


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
        why: The candidate's explanation or error; the baseline's if there is no candidate.
    """

    name: str
    wants: str
    baseline: Mark | None
    candidate: Mark
    why: Excerpt


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
    """One case with both answers.

    Attributes:
        number: Its position in the run, from 1.
        brief: Why it failed, in one line.
        notes: Special facts about it or its comparison.
        diff_note: Differences that the marks in the answers can't show.
    """

    number: int
    set_name: str
    case_id: str
    outcome: str
    change: Change
    brief: str
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
    checks: tuple[CheckRow, ...]
    traces: tuple[Trace, ...]
    prompts: tuple[AskedPrompt, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseGroup:
    """Cases in a separate section, the first of them unfolded.

    Attributes:
        total: Number of all cases; more than in ``cases`` if the rest is in the list of all.
        unfolded: Number of them that are unfolded at first.
    """

    anchor: str
    title: str
    lead: str
    cases: tuple[CaseView, ...]
    total: int
    unfolded: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One value of a filter, with its number of cases."""

    label: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseList:
    """All cases, and their filters.

    Attributes:
        hidden: Number of unchanged cases that are left out, because the page would be too large.
    """

    cases: tuple[CaseView, ...]
    total: int
    hidden: int
    outcomes: tuple[Choice, ...]
    changes: tuple[Choice, ...]
    sets: tuple[Choice, ...]
    tags: tuple[Choice, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One figure of the summary."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricLine:
    """One gated metric in a sentence."""

    tone: Tone
    word: str
    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictView:
    """The verdict, as one word and as a sentence, with the names of the models.

    Attributes:
        reasons: The gate's own sentences, in order of weight.
    """

    tone: Tone
    word: str
    lead: str
    advice: str
    candidate: str
    candidate_detail: str
    baseline: str | None
    baseline_detail: str
    metrics: tuple[MetricLine, ...]
    reasons: tuple[str, ...]
    tiles: tuple[Tile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Banner:
    """A warning about the figures."""

    tone: Tone
    title: str
    text: str
    items: tuple[str, ...] = ()


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


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsView:
    """The metric table: gated rows, then those for information."""

    gated: tuple[MetricRow, ...]
    informing: tuple[MetricRow, ...]
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
    """

    anchor: str
    title: str
    before: str
    rows: tuple[RetentionRow, ...]
    confidence: str
    loss_change: Estimate | None
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
class ReportView:
    """The whole page, in order."""

    title: str
    run_id: str
    started: str
    verdict: VerdictView
    banners: tuple[Banner, ...]
    metrics: MetricsView
    groups: tuple[CaseGroup, ...]
    cases: CaseList
    forgetting: tuple[ForgettingView, ...]
    training: TrainingView | None
    sets: tuple[SetRow, ...]
    manifest: tuple[Facts, ...]
