"""Several metrics along the runs: what stays the same costs what moves nothing."""

import pytest

from harness.studies.trend import Point, trends_of_points
from harness.types import Interval, MetricSummary


def run_of(number, means):
    """One run's points, by set and metric."""
    return {
        ("orders", metric): Point(
            run_id=f"r{number}",
            started_at=f"2026-01-{number + 1:02}T00:00:00+00:00",
            model="m",
            summary=MetricSummary(
                metric=metric,
                n=100,
                mean=Interval(
                    estimate=mean, low=mean - 0.1, high=mean + 0.1, confidence=0.9, method="Wilson"
                ),
            ),
            verdict=None,
        )
        for metric, mean in means.items()
    }


def notes(runs):
    return {trend.metric: trend.note for trend in trends_of_points(runs)}


def test_constant_metrics_cost_a_falling_one_nothing():
    """Of 5! orders two are monotone: 2 / 120 is all that five runs can show, and three constant metrics show nothing."""
    constant = {"rouge-l": 0.5, "f1": 0.4, "similar": 0.9}
    found = notes(run_of(n, {"pass-rate": 0.95 - 0.01 * n, **constant}) for n in range(5))
    assert found == {"pass-rate": "drifts down (p=0.017)", "rouge-l": "", "f1": "", "similar": ""}


@pytest.mark.parametrize(("runs", "found"), [(5, ""), (6, "drifts down (p=0.011)")])
def test_metrics_that_move_need_more_runs(runs, found):
    """Each of four moves: five runs show 4 x 2 / 120 at best, six 4 x 2 / 720."""
    ups = [0, 3, 1, 4, 2, 5]
    moving = [
        run_of(n, {"pass-rate": 0.95 - 0.01 * n, **dict.fromkeys("abc", 0.5 + 0.01 * ups[n])})
        for n in range(runs)
    ]
    assert notes(moving)["pass-rate"] == found


def test_a_step_that_is_rounding_is_none():
    assert notes(run_of(n, {"perplexity": 2.3100001 + 2e-7 * (n > 5)}) for n in range(12)) == {
        "perplexity": ""
    }
