"""What tells how answers vary is advised only as far as it can lead to a pass, with the numbers that are enough."""

import pytest

from harness.presentation.steadying_sentences import steadied
from harness.types import Interval, MetricFinding


@pytest.mark.parametrize(
    ("known", "told"),
    [
        # Records of earlier versions say no numbers.
        (
            {"steadied_by": "noise"},
            "record how its answers vary (tunegate noise), or repeat each case at a temperature above 0",
        ),
        ({"steadied_by": "repeat"}, "repeat each case at a temperature above 0"),
        ({"steadied_by": "more"}, "repeat each case more often"),
        (
            {"steadied_by": "noise", "steady_answers": 3, "steady_reruns": 16},
            "record how its answers vary (tunegate noise -r 16), or repeat each case 3 times or more at a "
            "temperature above 0",
        ),
        (
            {"steadied_by": "more", "steady_answers": 10, "steady_reruns": 5},
            "record how its answers vary (tunegate noise), or repeat each case 10 times or more",
        ),
        (
            {"steadied_by": "repeat", "steady_answers": 4, "steady_reruns": 5, "steady_cases": 141},
            "repeat each case 4 times or more at a temperature above 0, ask 141 such cases or more with a noise "
            "record (tunegate noise), or widen the margin to 0.17",
        ),
        ({"steadied_by": "repeat", "steady_answers": 0}, "widen the margin to 0.17"),
        # What is missing may have been lost.
        (
            {"steadied_by": "repeat", "steady_answers": 0, "missing": 3, "high_unseen": 0.204},
            "widen the margin to 0.21",
        ),
        # A margin of 0.17 would allow to lose all that the baseline passes.
        (
            {"steadied_by": "repeat", "steady_answers": 4, "baseline": 4 / 54},
            "repeat each case 4 times or more at a temperature above 0",
        ),
        (
            {"steadied_by": "repeat", "steady_answers": 0, "baseline": 4 / 54},
            "choose cases that the baseline passes",
        ),
    ],
)
def test_what_steadies_a_metric_is_told_with_its_numbers(known, told):
    drop = Interval(estimate=0.0, low=-0.163, high=0.163, confidence=0.9, method="m")
    figures = {"baseline": 1.0, "candidate": 1.0, "n": 54, "clusters": 54, "p_value": 0.5, "lost": 0}
    data = MetricFinding(scale="binary", drop=drop, gained=0, margin=0.05, **{**figures, **known})
    assert steadied(data) == told
