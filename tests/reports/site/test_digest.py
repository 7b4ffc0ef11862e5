"""A case's values are those that the gate compares."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from harness.studies.trend import points_of
from harness.types import UNKNOWN_WEIGHTS, CaseResult, GateRecord, MetricFacts, Run, Score
from reports.site.digest import digest_of
from reports.site.gathering import SiteSource
from tests.studies.test_metric_change import PAIR, gated


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


@pytest.mark.parametrize("base_sha256", ["", f"{UNKNOWN_WEIGHTS}1", "0" * 64])
def test_an_opponent_is_named_as_in_the_trend(
    source: SiteSource,
    make_run: Callable[..., Run],
    make_result: Callable[..., CaseResult],
    base_sha256: str,
) -> None:
    """The baseline's answers are not loaded here."""
    record = gated(make_run, make_result, 1, PAIR, 0.6, None)
    assert record.baseline is not None
    model = replace(record.baseline.model, base_sha256=base_sha256)
    record = replace(record, baseline=replace(record.baseline, model=model))
    found = digest_of(source.gather().runs[0].line, replace(record, baseline=None), {}, model)
    assert found.points == points_of(record)
