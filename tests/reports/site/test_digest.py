"""A case's values are those that the gate compares."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from harness.types import CaseResult, GateRecord, MetricFacts, Score
from reports.site.digest import digest_of
from reports.site.gathering import SiteSource


@pytest.mark.parametrize(
    ("logarithmic", "values", "mean"),
    [(True, (10.0,), math.log(10)), (False, (0.2, 0.6), 0.4), (True, (2.0, 8.0), math.log(4))],
)
def test_a_value_is_the_mean_that_the_gate_compares(
    invented: Callable[..., GateRecord],
    source: SiteSource,
    logarithmic: bool,
    values: tuple[float, ...],
    mean: float,
) -> None:
    """Beside the gate's own perplexity of 2.31, a logarithm, 10.1 stood; of two checks of a type there was none."""
    record = invented(lost=1)
    assert record.comparison is not None

    def scored(result: CaseResult) -> CaseResult:
        return replace(result, scores=tuple(Score(metric="perplexity", value=each) for each in values))

    facts = {"perplexity": MetricFacts(kind="graded", logarithmic=logarithmic, least=0.0, most=None)}
    run = replace(record.run, results=tuple(map(scored, record.run.results)), metrics=facts)
    row = replace(record.comparison.metrics[0], metric="perplexity", kind="graded", margin=0.1)
    comparison = replace(record.comparison, metrics=(row,))
    found = digest_of(source.gather().runs[0].line, replace(record, run=run, comparison=comparison), {})
    told = {case.values.get("perplexity") for key, case in found.cases.items() if key.startswith("orders/")}
    assert list(told) == [pytest.approx(mean)]
