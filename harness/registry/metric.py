"""The record of a metric: the keys of its checks, the meaning of its value, and its function."""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from harness.registry.scorer_names import is_other
from harness.types import JUDGE, JsonValue, MetricFacts
from harness.types.golden import TIME_METRICS

# A value this close below its threshold is rounding noise: 2·0.8·0.8/1.6 is not quite 0.8. So is this
# part of the threshold, in any unit, and a smaller one of the scale, from whose end a value may be counted.
_ROUNDING, _OF_SCALE = 1e-9, 1e-15


class Options(BaseModel):
    """Base class of a check's further keys: unknown ones are refused, and so is the text "3" for a number."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, defer_build=True)


class CommonOptions(Options):
    """Keys of every check."""

    transform: Annotated[
        JsonValue, Field(description="Steps from the answer to the text that is checked: one, or a list.")
    ] = None
    weight: Annotated[
        float | None, Field(gt=0, description="In a group: the check's share, in proportion to the others.")
    ] = None


class PythonOptions(Options):
    """Keys of ``python``."""

    path: Annotated[
        str,
        Field(min_length=1, description="File beside the golden set and function, such as checks.py:polite."),
    ]
    timeout: Annotated[float, Field(gt=0, description="Most seconds for one answer.")] = 600.0


class RegexOptions(Options):
    """Keys of ``regex``."""

    ignore_case: Annotated[bool, Field(description="Ignore case.")] = False


class JsonEqualsOptions(Options):
    """Keys of ``json-equals``."""

    ignore: Annotated[list[str], Field(description="Top-level keys that are not compared.")] = []
    tolerance: Annotated[float, Field(ge=0, description="Largest absolute difference of two numbers.")] = 0.0


class LengthOptions(Options):
    """Keys of ``length``."""

    min: Annotated[int | None, Field(ge=0, description="Smallest length that passes.")] = None
    max: Annotated[int | None, Field(ge=0, description="Largest length that passes.")] = None
    unit: Annotated[
        Literal["characters", "words", "lines", "sentences"], Field(description="What is counted.")
    ] = "characters"

    @model_validator(mode="after")
    def _some_limit(self) -> "LengthOptions":
        if self.min is None and self.max is None:
            raise ValueError("give min, max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is greater than max {self.max}")
        return self


class EncoderOptions(Options):
    """Keys of ``similar``."""

    model: Annotated[
        str, Field(description="Encoder: a catalogue name, a directory or a hub id of sentence-transformers.")
    ] = "minilm"


class BertScoreOptions(EncoderOptions):
    """Keys of ``bertscore``."""

    layer: Annotated[int | None, Field(ge=1, description="Encoder layer; the last one by default.")] = None


class ExactMatchOptions(Options):
    """Keys of ``exact-match``."""

    ignore_case: Annotated[bool, Field(description="Ignore case.")] = False
    ignore_space: Annotated[bool, Field(description="Ignore all white space.")] = False
    numbers: Annotated[bool, Field(description="Compare an answer that is a number by its value.")] = True


class JudgedOptions(Options):
    """Keys of the checks that a judge decides by one question."""

    template: Annotated[
        str | None,
        Field(min_length=1, description="File beside the golden set with a wording of your own."),
    ] = None


class RougeOptions(Options):
    """Keys of the ``rouge-*`` checks."""

    stem: Annotated[bool, Field(description="Compare word stems (Porter).")] = False


class RelevancyOptions(EncoderOptions):
    """Keys of ``answer-relevancy``."""

    questions: Annotated[
        int, Field(ge=1, le=20, description="How many questions the judge derives from the answer.")
    ] = 3


class RepetitionOptions(Options):
    """Keys of ``repetition``."""

    ngram: Annotated[int, Field(ge=1, description="Length in words of the repeated piece.")] = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One check type of golden sets.

    Attributes:
        name: Its name in ``type:``: lower-case letters, digits and hyphens.
        kind: ``binary`` values are true or false and take no threshold; ``graded`` ones are numbers and
            decide only if a threshold is written.
        summary: One sentence for editors, docs and dialogues.
        function: Scores a batch: a ``harness.metrics.definition.ScoreFunction``, or its path
            ``module:name``, which is imported when the metric is first used.
        value: Whether ``value:`` is required, optional or refused. If it is optional and missing, the case's
            references are used (``is-json``: no schema is required).
        value_type: JSON type of ``value``; ``texts`` is a list of texts, or a text that holds one.
        needs_references: The check can't run in a case without references (unless ``value`` is given).
        always_references: It needs references even if ``value`` is given.
        needs_context: It can't run in a case without retrieved passages.
        needs_tools: It can't run in a case without tools.
        minimum: Lower end of the scale; None if there is none.
        maximum: Upper end of the scale; None if there is none.
        lowest: The lowest value that answers have, if it is not the scale's: 0 of a cosine.
        higher_is_better: False if a lower number is better: the threshold is then a maximum.
        logarithmic: Runs are compared by its logarithm.
        light_tails: Its drops include no rare huge ones, so a pass of few cases needs no allowance for them.
        usual_margin: The tolerated drop of a set that gates it without a margin; None: a set must give one.
        version: Changes if the metric gives another value for the same answer. Runs of different versions are
            not compared, and cached scores of another version are not used.
        invertible: ``not-TYPE`` exists.
        true_or_false: A graded check without a threshold is true or false.
        reads_answer: It depends on the answer's text.
        needs_losses: It needs the model's losses on texts, not only its answer.
        group: It combines other checks.
        runs_code: It runs code of the project or of a model: only with a permission, and never in the lint.
        options: The check's further keys.
        extra: The extra of tunegate that installs its libraries, or None.
        libraries: Distribution name to import name of what the function imports.
        judged: A judge decides it.
        cached: Its scores are cached between runs: they cost more than a look-up, and depend only on the
            answer, the case, ``version`` and the libraries.
    """

    name: str
    kind: Literal["binary", "graded"]
    summary: str
    function: str | Callable[..., Any]
    value: Literal["required", "optional", "refused"] = "refused"
    value_type: Literal["string", "strings", "pattern", "schema", "json", "quantity", "texts"] = "string"
    needs_references: bool = False
    always_references: bool = False
    needs_context: bool = False
    needs_tools: bool = False
    minimum: float | None = 0.0
    maximum: float | None = 1.0
    higher_is_better: bool = True
    logarithmic: bool = False
    light_tails: bool = False
    lowest: float | None = None
    usual_margin: float | None = None
    version: str = "1"
    invertible: bool = False
    true_or_false: bool = False
    reads_answer: bool = True
    needs_losses: bool = False
    group: bool = False
    runs_code: bool = False
    options: type[Options] = Options
    extra: str | None = None
    libraries: Mapping[str, str] = field(default_factory=dict)
    judged: bool = False
    cached: bool = False

    @property
    def may_vary(self) -> bool:
        """Whether the same answer may get another score: from a judge, a clock, or code that is not ours.

        A plug-in's function may ask anything, unless its scores are cached: they depend on nothing else then.
        """
        is_ours = isinstance(self.function, str) and self.function.startswith("harness.")
        return self.judged or self.runs_code or self.name in TIME_METRICS or not (is_ours or self.cached)

    @property
    def scale_length(self) -> float:
        """How far apart the ends of the scale are; infinite if it has none."""
        if self.minimum is None or self.maximum is None:
            return math.inf
        return self.maximum - self.minimum

    @property
    def facts(self) -> MetricFacts:
        """The facts about it in a run."""
        return MetricFacts(
            kind=self.kind,
            higher_is_better=self.higher_is_better,
            least=self.minimum,
            most=self.maximum,
            logarithmic=self.logarithmic,
            version=self.version,
        )


def reaches(kind: Metric, value: float, threshold: float) -> bool:
    """Whether a metric's value passes a threshold, but for rounding.

    Args:
        kind: The metric.
        value: The value.
        threshold: The smallest that passes; the largest, where lower is better.
    """
    noise = 0.0 if math.isinf(kind.scale_length) else _OF_SCALE * kind.scale_length
    missed = threshold - value if kind.higher_is_better else value - threshold
    return missed <= _ROUNDING * abs(threshold) + noise


def compared_scale(facts: MetricFacts) -> tuple[float, float]:
    """Both ends of the scale on which two runs are compared; infinite if there is none."""
    if facts.logarithmic:
        # Only values above 0 have a logarithm.
        return (
            math.log(facts.least) if facts.least else -math.inf,
            math.inf if facts.most is None else math.log(facts.most),
        )
    return (
        -math.inf if facts.least is None else facts.least,
        math.inf if facts.most is None else facts.most,
    )


def facts_of_both(
    now: Mapping[str, MetricFacts], before: Mapping[str, MetricFacts], refused: Collection[str]
) -> dict[str, MetricFacts]:
    """How to read values of two runs: as numbers on both sides if they are on one of them.

    A check that is true or false without a threshold has numbers in a run of which any case sets one.

    Args:
        now: The facts in the candidate's run, by metric.
        before: Those in the baseline's.
        refused: The metrics that are left out.

    Returns:
        The facts of the others.
    """
    return {
        name: facts if facts.kind == before.get(name, facts).kind else replace(facts, kind="graded")
        for name, facts in now.items()
        if name not in refused
    }


def facts_difference(now: MetricFacts | None, before: MetricFacts | None) -> str:
    """Why values of one metric can't be compared, from the facts in two runs; empty if they can.

    Whether they are true and false or numbers depends on which sets a run selected, and is no difference.

    Args:
        now: Those in the candidate's run, or None.
        before: Those in the baseline's.
    """
    if now is None or before is None:
        sides = [side for side, facts in (("candidate", now), ("baseline", before)) if facts is None]
        return f"its direction and scale are unknown in the {' and the '.join(sides)}"
    if now.version != before.version:
        return (
            f"the baseline was scored with version {before.version} of it, the candidate with {now.version}"
        )
    if now.higher_is_better != before.higher_is_better:
        return "its direction differs in the baseline"
    if replace(now, scored_by=None) != replace(before, scored_by=None, kind=now.kind):
        return "its scale differs in the baseline"
    return _scorers_difference(now, before)


def is_scored_alike(now: MetricFacts, before: MetricFacts) -> bool:
    """Whether a metric's values in two runs were made in one way, by judges and encoders of the same names.

    Where they only share some names, the rest of the one may be another judge's: nobody knows which scores.

    Args:
        now: The facts in the candidate's run.
        before: Those in the baseline's.
    """
    then = before.scored_by or {}
    alike = all(then.get(name, who) == who for name, who in (now.scored_by or {}).items())
    return alike and not facts_difference(now, before)


def other_scorers(now: MetricFacts, before: MetricFacts) -> list[str]:
    """The names of what scored a metric in both runs, and was another one in each.

    An encoder that only one run used scored other cases. A judge whose server deals questions to several
    models is the same as one of them.

    Args:
        now: The facts in the candidate's run.
        before: Those in the baseline's.
    """
    then = before.scored_by or {}
    return [name for name, who in (now.scored_by or {}).items() if is_other(who, then.get(name, who))]


def other_scorer(now: MetricFacts, before: MetricFacts) -> str | None:
    """The first of them; None if there is none.

    Args:
        now: The facts in the candidate's run.
        before: Those in the baseline's.
    """
    return next(iter(other_scorers(now, before)), None)


def _scorers_difference(now: MetricFacts, before: MetricFacts) -> str:
    """Why values that another judge or encoder gave can't be compared, and how they could."""
    name = other_scorer(now, before)
    if name is None:
        return ""
    who, then = (now.scored_by or {})[name], (before.scored_by or {})[name]
    said = f"{then} judged it in the baseline, {who} in the candidate"
    if name != JUDGE:
        said = f"the {name} has other files ({who}) than in the baseline ({then})"
    return (
        f"{said}: name a stored run with --gate-baseline, whose answers are then scored by the new one, or "
        f"accept a run that the new one scored"
    )


def decided_otherwise(now: MetricFacts | None, before: MetricFacts | None) -> list[tuple[str, str | None]]:
    """How a check has changed since the baseline was scored.

    Args:
        now: The metric's facts in the candidate's run, or None.
        before: Those in the baseline's.

    Returns:
        Each change in words, after "decided by NAME,", with the judge or encoder that is another one; with
        None for a change of the check itself, which is then the only one.
    """
    if now is None or before is None or not (reason := facts_difference(now, before)):
        return []
    if reason != _scorers_difference(now, before):
        return [("which was different in the baseline", None)]
    judged, encoded = "which another judge decided", "whose encoder had other files"
    return [
        (f"{judged if name == JUDGE else encoded} in the baseline", name)
        for name in other_scorers(now, before)
    ]
