"""Graded scores as histograms, and sizes and times of the answers, on both sides."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from harness.types import GateRecord, Outcome, Repeat
from reports.html.charts import HISTOGRAM_HEIGHT, histogram, sparkline
from reports.html.distributions import distributions, quantile, usage_view

Invented = Callable[..., GateRecord]


def test_graded_metrics_alone_have_a_distribution(invented: Invented) -> None:
    found = list(distributions(invented(orders=60, probes=60, lost=20)))
    assert [(each.set_name, each.metric) for each in found] == [("orders", "rouge-l")]
    assert found[0].drawing.startswith("baseline median ")


def test_bars_count_the_scores_of_each_side() -> None:
    drawn = histogram([0.0, 1.0, 1.0], [0.5, 0.5, 0.5, 0.49], bins=2)
    assert drawn is not None
    assert drawn.most == 3
    assert [(bar.baseline, bar.candidate) for bar in drawn.bars] == [
        (round(HISTOGRAM_HEIGHT / 3, 1), round(HISTOGRAM_HEIGHT / 3, 1)),
        (round(HISTOGRAM_HEIGHT * 2 / 3, 1), HISTOGRAM_HEIGHT),
    ]


@pytest.mark.parametrize("values", [[], [1.0, 1.0], [float("nan")], [float("inf"), 1.0]])
def test_values_without_a_spread_have_no_histogram(values: list[float]) -> None:
    assert histogram(values, values) is None


def test_a_line_leaves_out_what_is_not_finite() -> None:
    assert sparkline([0.5], [False], rate=True) is None
    drawn = sparkline([0.5, float("nan"), 1.0], [False, True, True], rate=True)
    assert drawn is not None
    assert drawn.regressed == (drawn.last,)


def test_the_quantile_is_a_value_of_the_list() -> None:
    values = [5.0, 1.0, 4.0, 2.0, 3.0]
    assert [quantile(values, share) for share in (0.0, 0.5, 0.9, 1.0)] == [1.0, 3.0, 5.0, 5.0]
    assert quantile([1.0, 2.0], 0.5) == 1.0


def test_tokens_and_time_of_both_sides(invented: Invented) -> None:
    record = invented(orders=60, probes=0, lost=20)
    view = usage_view(record)
    assert view is not None
    assert view.sides == ("candidate", "baseline")
    rows = {row.name: row.values for row in view.rows}
    cut = sum(result.completion.stop_reason == "length" for result in record.run.results if result.completion)
    assert rows["cut at the token limit"][0].startswith(f"{cut} (")
    assert rows["time of an answer, median"] == ("0.31\u202fs", "0.31\u202fs")


def test_of_several_answers_to_a_case_all_are_drawn_and_counted(invented: Invented) -> None:
    """Those of the worst alone stood for all: an equal model looked worse than a baseline of one answer."""
    record = invented(orders=20, probes=0, lost=5)
    single = usage_view(record)
    assert single is not None
    assert record.baseline is not None
    results = []
    for result in record.baseline.results:
        own = Repeat(completion=result.completion, scores=result.scores, outcome=result.outcome)
        poor = tuple(replace(score, value=0.0) for score in result.scores)
        worst = replace(own, scores=poor, outcome=Outcome.FAILED)
        several = (worst, own, own, own, own)
        results.append(replace(result, scores=poor, outcome=Outcome.FAILED, repeats=several))
    repeated = replace(record, baseline=replace(record.baseline, results=tuple(results)))
    (drawn,) = distributions(repeated)
    told = drawn.drawing.partition(",")[0]
    assert told.endswith(" of 100")
    assert not told.startswith("baseline median 0 ")
    view = usage_view(repeated)
    assert view is not None
    assert view.rows[0].values == (single.rows[0].values[0], "100")


def test_a_baseline_without_answers_has_no_column(invented: Invented) -> None:
    record = invented()
    assert record.baseline is not None
    bare = tuple(replace(result, completion=None) for result in record.baseline.results)
    view = usage_view(replace(record, baseline=replace(record.baseline, results=bare)))
    assert view is not None
    assert view.sides == ("candidate",)
