"""The interface of a metric: a function that scores a whole batch of completions with valid scores only.

A group of checks is combined from its members' results.
"""

import math
import traceback
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, TypeAlias, cast

from harness.errors import OverdueError, TunegateError
from harness.golden.schema import CHECK_TYPES, base_type, is_binary
from harness.registry import load_function
from harness.registry.builtin_metrics import BUILTIN_METRICS
from harness.types import (
    LARGEST_VALUE,
    NOTHING_ALLOWED,
    Check,
    Completion,
    GoldenCase,
    JsonValue,
    MetricError,
    Permissions,
    Score,
    TextLoss,
)
from tunegate.printable import encodable
from tunegate.streams import own_streams

if TYPE_CHECKING:
    from harness.judge.panel import Panel


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringRequest:
    """One check of one case, with the answer to score.

    Attributes:
        text: The model's answer, after the check's transform.
        missing: What the transform did not find in the answer; the check fails then.
        completion: The whole answer, with its tokens and its time.
        reference_losses: The model's cross-entropy on each of the case's references, in order; None if it was
            not measured.
        choice_losses: The model's cross-entropy on each option of the case, by its text; empty if it was not
            measured.
        losses_missing: Why there are no losses, if the engine has failed on these texts.
        panel: The judges, for checks that a judge decides.
        baseline_text: The baseline's answer to the case, if there is one.
        repeat: Number of the repetition of a judge's question.
        allowed: What the project allows checks to run.
    """

    case: GoldenCase
    check: Check
    text: str
    missing: str = ""
    completion: Completion | None = None
    reference_losses: tuple[TextLoss, ...] | None = None
    choice_losses: Mapping[str, TextLoss] = field(default_factory=dict)
    losses_missing: str = ""
    panel: "Panel | None" = None
    baseline_text: str | None = None
    repeat: int = 0
    allowed: Permissions = NOTHING_ALLOWED

    @property
    def without_losses(self) -> str:
        """Why losses that the check needs were not measured."""
        return f"was not measured: {self.losses_missing or 'this engine gives no losses'}"


ScoreFunction: TypeAlias = Callable[[Sequence[ScoringRequest]], list[Score | MetricError]]


"""Scores requests of one check type: as many results as requests, in the same order.

A result's ``value`` is the type's own (a negated check's value is inverted afterwards, and ``passed`` is
decided then), so its explanation states a fact about the answer, neither good nor bad. If a function raises,
the caller repeats the requests one at a time.
"""


def score_function(name: str) -> ScoreFunction:
    """Import the function of a check type.

    Raises:
        SettingsError: It is from a plug-in and can't be imported.
    """
    kind = CHECK_TYPES[name]
    function: ScoreFunction = load_function(kind.function, f"metric {name!r}")
    if name not in BUILTIN_METRICS:
        from harness.metrics.plugin_limit import limited_metric

        function = limited_metric(name, function, _score_each)
    if kind.extra is None or kind.kind == "binary":
        # A check of an answer's form sees what the model wrote: a lone surrogate is no XML, U+FFFD is.
        return function

    def of_whole_characters(requests: Sequence[ScoringRequest]) -> list[Score | MetricError]:
        # Libraries that compare texts take what UTF-8 can hold; an answer may hold half of a character.
        return function([replace(request, text=encodable(request.text)) for request in requests])

    return of_whole_characters


def refuse_group(requests: Sequence[ScoringRequest]) -> list[Score | MetricError]:
    """The function in a group's record, never called: scoring combines the results of the group's members.

    Raises:
        ValueError: Always.
    """
    raise ValueError(f"{requests[0].check.type} has no checks")


def one_by_one(score: Callable[[ScoringRequest], Score | MetricError]) -> ScoreFunction:
    """Make a batch function from one that scores a single request."""
    return partial(_score_each, score)


def _score_each(
    score: Callable[[ScoringRequest], Score | MetricError], requests: Sequence[ScoringRequest]
) -> list[Score | MetricError]:
    return [score(request) for request in requests]


def binary(request: ScoringRequest, holds: bool, explanation: str) -> Score:
    """Score of a true-or-false metric: 1 if true, else 0.

    Args:
        request: The request.
        holds: Whether the check is true for the answer.
        explanation: Why, for a person.
    """
    return graded(request, float(holds), explanation)


def unclear(request: ScoringRequest, explanation: str) -> Score:
    """Score of a true-or-false metric for an answer that can't be read as it needs: negated, it fails too.

    Args:
        request: The request.
        explanation: Why, for a person.
    """
    return replace(graded(request, 0.0, explanation), unclear=True)


def graded(request: ScoringRequest, value: float, explanation: str) -> Score:
    """Score of a metric on a scale.

    Args:
        request: The request.
        value: On the metric's own scale.
        explanation: Why, for a person.
    """
    return Score(metric=base_type(request.check.type), value=value, explanation=explanation)


def wanted_texts(request: ScoringRequest) -> tuple[str, ...]:
    """The check's own text, or else the case's references.

    Raises:
        ValueError: There is neither.
        TypeError: The check's value is not text.
    """
    value = request.check.value
    texts = request.case.references if value is None else (text_of(value),)
    if not texts:
        raise ValueError(f"{request.check.type} has neither a value nor a reference to compare with")
    return texts


def text_of(value: JsonValue) -> str:
    """The value, which must be a string.

    Raises:
        TypeError: It is something else.
    """
    if not isinstance(value, str):
        raise TypeError(f"the check's value has to be text, not {type(value).__name__}")
    return value


def quote(text: str, limit: int = 60) -> str:
    """Text between quotation marks for an explanation: one printable line, with a long middle cut.

    Args:
        text: The text.
        limit: Most characters of it that are shown.
    """
    if len(text) <= limit:
        return _quoted(text)
    half = limit // 2
    return f"{_quoted(text[:half])} … {_quoted(text[-half:])}"


def _quoted(text: str) -> str:
    """Unchanged if possible, so that a pattern's backslashes are not doubled; else escaped."""
    return f"'{text}'" if text.isprintable() and "'" not in text else repr(text)


# Cosines and similar values may be slightly outside of their scale because of rounding.
_ROUNDING = 1e-5


def sound_results(requests: Sequence[ScoringRequest], given: object) -> list[Score | MetricError]:
    """The results, each checked.

    Args:
        requests: The requests.
        given: The results of the metric's function, in the same order.

    Raises:
        ValueError: They are no list, or the numbers of results and requests differ.
    """
    if problem := _no_list(given):
        raise ValueError(problem)
    results = list(cast("Iterable[object]", given))
    if len(results) != len(requests):
        raise ValueError(f"the metric gave {len(results)} results for {len(requests)} answers")
    return [_sound(request, result) for request, result in zip(requests, results, strict=True)]


def _no_list(given: object) -> str:
    """What a metric's function gave in place of a list; an empty text where it is one."""
    if isinstance(given, Coroutine):
        given.close()  # else Python warns of it on the terminal
        return "the metric's function is async (allowed: one that returns its results)"
    if isinstance(given, Iterable) and not isinstance(given, str | bytes | Mapping):
        return ""
    return f"the metric gave {_type_name(given)} (allowed: a list with a result for each answer)"


def _type_name(value: object) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"


def _sound(request: ScoringRequest, result: object) -> Score | MetricError:
    """The result itself, or an error in place of an invalid one."""
    name = base_type(request.check.type)
    if isinstance(result, MetricError):
        return replace(result, error=f"{result.error}")
    if problem := _wrong_form(name, result):
        return MetricError(metric=name, error=problem)
    result = cast("Score", result)
    if _is_beyond(result.value):
        problem = f"the metric gave a number beyond {LARGEST_VALUE:g}, the largest that is compared"
        return MetricError(metric=name, error=problem)
    if not math.isfinite(result.value):
        problem = f"the metric gave {result.value} instead of a number. {result.explanation}"
        return MetricError(metric=name, error=problem)
    if name not in BUILTIN_METRICS and (allowed := _violated_scale(name, result.value)):
        return MetricError(metric=name, error=f"the metric gave {result.value:g} (allowed: {allowed})")
    # Another library's number, such as numpy's, could not be stored.
    return result if type(result.value) is float else replace(result, value=float(result.value))


def _is_beyond(value: float) -> bool:
    """Whether a number is too large to be compared, as a whole one that no float holds is."""
    try:
        return LARGEST_VALUE < abs(float(value)) < math.inf
    except OverflowError:
        return True


def _wrong_form(name: str, result: object) -> str:
    """What is wrong with a result that is to be a metric's score; a plug-in has no type checks of ours."""
    if not isinstance(result, Score):
        return f"the metric gave {_type_name(result)} (allowed: a Score or a MetricError)"
    if not issubclass(type(result.explanation), str):
        return f"the metric gave {_type_name(result.explanation)} as explanation (allowed: a text)"
    if name not in BUILTIN_METRICS and result.metric != name:
        return f"the metric gave a score of {result.metric!r} (allowed: of {name!r})"
    return ""


def _violated_scale(name: str, value: float) -> str:
    """The scale of a plug-in's metric if a value is not on it; else an empty text."""
    kind = CHECK_TYPES[name]
    if kind.kind == "binary":
        return "" if value in {0.0, 1.0} else "0 or 1"
    if kind.logarithmic and value <= 0:
        return "a number above 0, since runs are compared by its logarithm"
    # A scale may be shorter than what is rounding on most.
    slack = _ROUNDING * min(kind.scale_length, 1.0)
    if kind.minimum is not None and value < kind.minimum - slack:
        return f"{kind.minimum:g} or more"
    if kind.maximum is not None and value > kind.maximum + slack:
        return f"{kind.maximum:g} or less"
    return ""


Result: TypeAlias = Score | MetricError


# Indices that lead from the case's checks to a check: one, or one more for each group around it.
Path: TypeAlias = tuple[int, ...]


_REASONS = 3


def single_checks(checks: Sequence[Check], above: Path = ()) -> Iterator[tuple[Path, Check]]:
    """All checks that score by themselves, with their places.

    Args:
        checks: Checks, and groups of checks.
        above: The place of their group.
    """
    for number, check in enumerate(checks):
        place = (*above, number)
        if check.checks:
            yield from single_checks(check.checks, place)
        else:
            yield place, check


def combined(check: Check, members: Sequence[Result | None]) -> Result | None:
    """The result of a group, before it is negated and its threshold applied.

    A group is never decided around a member that broke or has no result: it is then an error, or has none.
    Where the members that can be read don't decide it, the group is as unclear as the others: it fails,
    negated or not.

    Args:
        check: The group.
        members: The decided result of each member, in order.
    """
    broken = [result for result in members if isinstance(result, MetricError)]
    if broken:
        error = f"{broken[0].metric}: {broken[0].error}"
        return MetricError(metric=check.type, error=error, traceback=broken[0].traceback)
    scores = [result for result in members if isinstance(result, Score)]
    if len(scores) < len(members):
        return None
    passed = [member.weight for member, score in zip(check.checks, scores, strict=True) if score.passed]
    share = math.fsum(passed) / math.fsum(member.weight for member in check.checks)
    if base_type(check.type) == "any-of":
        share = float(bool(passed))
    elif is_binary(check):
        share = float(len(passed) == len(scores))
    texts = max((score.texts for score in scores if score.texts), key=lambda of: of.direct, default=None)
    said, unclear = _explained(scores), _is_unclear(check, scores)
    return Score(metric=check.type, value=share, explanation=said, unclear=unclear, texts=texts)


def _is_unclear(check: Check, scores: Sequence[Score]) -> bool:
    """Whether the truth of a group without a threshold depends on members that are unclear."""
    if not is_binary(check) or not any(score.unclear for score in scores):
        return False
    known = [score.passed for score in scores if not score.unclear]
    return not any(known) if base_type(check.type) == "any-of" else all(known)


def _explained(scores: Sequence[Score]) -> str:
    """How many members pass, and why the first ones fail; if none fails, why they pass."""
    failed = [score for score in scores if not score.passed]
    reasons = "; ".join(f"{score.metric}: {score.explanation}" for score in (failed or scores)[:_REASONS])
    return f"{len(scores) - len(failed)} of {len(scores)} pass; {'failed' if failed else 'passed'}: {reasons}"


def computed(function: ScoreFunction, requests: Sequence[ScoringRequest]) -> list[Result]:
    """Score as one batch; if it breaks, halve it until only the answers that break it are errors.

    Args:
        function: The metric's.
        requests: The checks and their answers.
    """
    if not requests:
        return []
    try:
        with own_streams():
            # A tuple, so that a function can't sort it: results are matched with answers by their order.
            return sound_results(requests, function(tuple(requests)))
    except (KeyboardInterrupt, OverdueError):
        raise
    except BaseException as error:  # a metric's fault is the case's error: sys.exit and pytest.skip, too
        # A missing library is missing for all of them.
        if len(requests) == 1 or isinstance(error, ImportError):
            return [error_of(request, error) for request in requests]
        middle = len(requests) // 2
        return computed(function, requests[:middle]) + computed(function, requests[middle:])


def error_of(request: ScoringRequest, error: BaseException) -> MetricError:
    """The result of a check that could not be computed.

    Args:
        request: The check and its answer.
        error: Why.
    """
    name = request.check.type
    line = str(error).strip().partition("\n")[0]
    if isinstance(error, ImportError):
        extra = CHECK_TYPES[base_type(name)].extra
        line = f"{line}. Install its libraries with: pip install 'tunegate[{extra}]'" if extra else line
    elif not isinstance(error, TunegateError | ValueError):
        line = f"{type(error).__name__}: {line}" if line else type(error).__name__
    return MetricError(metric=name, error=line, traceback="".join(traceback.format_exception(error)))
