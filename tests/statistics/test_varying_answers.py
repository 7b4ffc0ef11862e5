"""What equal answers that vary leave open about exactly these cases."""

from dataclasses import replace

import pytest

from harness.registry.builtin_metrics import BUILTIN_METRICS
from harness.statistics.clustered_drop import noisy_drop
from harness.statistics.paired_binary import Trials
from harness.statistics.varying_answers import answers_vary, equal_varying_drop
from harness.types import Check, GenerationSettings, GoldenCase, Message
from harness.types.golden import JUDGED_GRADES, JUDGED_VERDICTS

CASE = GoldenCase(id="a", set_name="s", messages=(Message(role="user", content="?"),))


def test_one_drawn_answer_is_enough_to_vary():
    warm = replace(CASE, id="b", generation=GenerationSettings(temperature=0.1))
    assert answers_vary([CASE, warm])
    assert not answers_vary([CASE])


def test_a_time_is_measured_anew():
    free, decides = (replace(CASE, checks=(Check(type="latency", threshold=t),)) for t in (None, 0.5))
    assert answers_vary([free], "latency")
    assert answers_vary([free], "throughput")
    assert not answers_vary([free])
    assert not answers_vary([decides], "f1")
    assert answers_vary([decides])


def test_a_time_inside_a_group_decides_too():
    member = Check(type="latency", threshold=0.5)
    assert answers_vary([replace(CASE, checks=(Check(type="any-of", checks=(member,)),))])


@pytest.mark.parametrize("repeat", [1, 5])
def test_no_equal_answers_leave_less_open_than_those_that_all_pass(repeat):
    """Of any number of passed answers, all leave the smallest drop open."""
    least = equal_varying_drop([replace(CASE, repeat=repeat)] * 30).high
    found = [
        noisy_drop([Trials(passed, repeat, passed, repeat)] * 30, 0.9).high for passed in range(repeat + 1)
    ]
    assert least == pytest.approx(min(found))


def test_a_judge_may_say_something_else_of_the_same_answer():
    """Its grade decides by a threshold only; its verdict always does."""
    asked, inverted, graded, decides = (
        replace(CASE, checks=(check,))
        for check in (
            Check(type="llm-rubric", value="Polite."),
            Check(type="not-factuality"),
            Check(type="llm-reference"),
            Check(type="llm-reference", threshold=3.0),
        )
    )
    assert [answers_vary([case]) for case in (asked, inverted, graded, decides)] == [True, True, False, True]
    assert answers_vary([graded], "llm-reference")
    assert answers_vary([asked], "not-llm-rubric")
    assert not answers_vary([asked], "f1")


def test_all_metrics_of_a_judge_are_known_to_vary():
    judged = {name: metric.kind for name, metric in BUILTIN_METRICS.items() if metric.judged}
    assert {name for name, kind in judged.items() if kind == "binary"} == JUDGED_VERDICTS
    assert {name for name, kind in judged.items() if kind == "graded"} == JUDGED_GRADES
