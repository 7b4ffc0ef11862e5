"""Checks before the first run which gated metrics can never regress, however much is lost.

All gated metrics of a session share one level of error, those of the forgetting probes too. So few cases or
clusters may show enough by themselves, and too little beside other metrics.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.golden.gated_cases import cases_of_metric, is_graded, judged_cases
from harness.golden.load import GateContent
from harness.golden.schema import answers_vary
from harness.registry.content_metrics import SET_METRICS
from harness.statistics.paired_binary import holm
from harness.types import GoldenCase, GoldenSet
from harness.types.golden import ALPHA, is_within

_ROUNDING = 1e-9
_NEVER, _BESIDE = "can never regress", "can regress only beside another metric"
_OWN = ", or ask about these very cases (gate: {population: cases})"
# What is as small regresses beside a hundred other metrics, whatever they are.
_AMPLE = ALPHA / 100


@dataclass(frozen=True, slots=True, kw_only=True)
class _Test:
    """The test of one gated metric where everything is lost.

    Attributes:
        p_value: The smallest that its cases can have; 0 where nothing limits it.
        units: Number of independent cases or clusters.
        orders: By what a p-value is divided for one more of them.
        half: Whether half the chance of what was seen counts, as for single cases.
        level: One-sided, of all tests of the session together; at the last look of its set.
        may_be_known: Whether a question about exactly its cases would need no test.
        beside: Whether there is one cluster more, that has most cases: the others have to show a drop alone.
    """

    what: str
    p_value: float = 0.0
    units: int = 0
    unit: str = "case"
    orders: int = 2
    half: bool = False
    level: float = ALPHA
    may_be_known: bool = False
    beside: bool = False

    @property
    def counted(self) -> float:
        """The p-value as it counts beside those of sets with other looks."""
        return self.p_value * (ALPHA / self.level)


def shows_little(content: GateContent, levels: Mapping[str, float]) -> bool:
    """Whether it may depend on what else is gated if a metric can regress.

    Args:
        content: Golden sets.
        levels: As for :func:`notes_of_no_regress`.
    """
    return any(test.counted > _AMPLE for each in content.sets for test in _tests(each, levels))


def notes_of_no_regress(
    content: GateContent, levels: Mapping[str, float] | None = None
) -> dict[str, list[str]]:
    """Why gated metrics can't regress, or only beside others, and what changes it.

    Args:
        content: The golden sets that are gated together. The bundled ones count, and get no notes.
        levels: One-sided, of all tests together at the last look, by set; the whole level of others.

    Returns:
        Notes by name of the project's sets, a list for each.
    """
    tests = [(each.name, test) for each in content.sets for test in _tests(each, levels or {})]
    counted = f"{len(tests)} tests{', with the bundled probes' if content.bundled else ''}"
    notes: dict[str, list[str]] = {each.name: [] for each in content.own}
    # At best everything else is lost, too: what shows more is rejected first, and leaves its part.
    for (name, test), at_best in zip(tests, holm([test.counted for _, test in tests]), strict=True):
        if name in notes and not is_within(test.counted * len(tests), ALPHA):
            verdict = _BESIDE if is_within(at_best, ALPHA) else _NEVER
            notes[name].append(_note(test, verdict, len(tests), counted))
    return notes


def _note(test: _Test, verdict: str, tests: int, counted: str) -> str:
    least = math.ceil(math.log((0.5 if test.half else 1) / test.level * tests, test.orders) - _ROUNDING)
    least += test.beside
    times = f", which counts {tests} times for {counted}" if test.p_value <= test.level else ""
    own = _OWN if test.may_be_known else ""
    units = f"{test.units} {test.unit}{'' if test.units == 1 else 's'}"
    beside = " beside the one with most cases" if test.beside else ""
    return (
        f"{test.what} {verdict}: {units}{beside} can all get worse by chance with a probability of "
        f"{test.p_value:g}{times}: make it {least} {test.unit}s or more{own}"
    )


def _tests(golden_set: GoldenSet, levels: Mapping[str, float]) -> Iterator[_Test]:
    """The test of each gated metric that any case has, that of the pass rate first."""
    own, level = golden_set.gate.population == "cases", levels.get(golden_set.name, ALPHA)
    if judged := judged_cases(golden_set):
        rate = "its pass rate"
        test = _test(rate, judged, level, exact=True, by_answer=_any_case_counts(golden_set))
        yield _Test(what=rate) if own else replace(test, may_be_known=True)
    for metric in golden_set.gate.metric_margins:
        if cases := cases_of_metric(golden_set, metric):
            exact = not is_graded(metric, cases)
            reproduces = not answers_vary(cases, metric)
            test = _Test(what=metric) if own and reproduces else _test(metric, cases, level, exact=exact)
            if metric in SET_METRICS and test.units > 1:
                test = _of_set(test, cases)
            yield replace(test, may_be_known=reproduces and not own)


def _of_set(test: _Test, cases: Sequence[GoldenCase]) -> _Test:
    """The test of a whole set's figure, which the clusters beside one with most cases have to show alone."""
    # Few sets have one.
    from harness.statistics.clustered_drop import least_p_of_set, majority

    sizes = _sizes(cases)
    if majority(sizes) is None:
        return test
    return replace(test, p_value=least_p_of_set(sizes), units=test.units - 1, beside=True)


def _sizes(cases: Sequence[GoldenCase]) -> list[int]:
    """The number of cases of each cluster."""
    clusters = (place if case.cluster is None else case.cluster for place, case in enumerate(cases))
    return list(Counter(clusters).values())


def _any_case_counts(golden_set: GoldenSet) -> bool:
    """Whether a set tolerates no regressed case; forgetting probes tolerate any, where nobody says it."""
    limit = golden_set.gate.max_regressed
    return not golden_set.probes_forgetting if limit is None else limit == 0


def _test(
    what: str, cases: Sequence[GoldenCase], level: float, *, exact: bool, by_answer: bool = False
) -> _Test:
    """The test of a metric's cases where everything is lost, as in :mod:`harness.comparison.decisions`.

    Args:
        what: The metric.
        cases: Its cases.
        level: One-sided, of all tests of the session together.
        exact: Whether single cases are counted, as passes and fails are.
        by_answer: Whether those of each case are exchanged by themselves.
    """
    units = len(_sizes(cases))
    if units < len(cases) or not exact:
        unit = "cluster" if units < len(cases) else "case"
        return _Test(what=what, p_value=0.5**units, units=units, unit=unit, level=level)
    # Answers of both sides, exchanged by chance.
    answers = [case.repeat if by_answer else 1 for case in cases]
    orders = [math.comb(2 * count, count) for count in answers]
    p_value = 0.5 * math.exp(-math.fsum(map(math.log, orders)))
    return _Test(what=what, p_value=p_value, units=units, orders=min(orders), half=True, level=level)
