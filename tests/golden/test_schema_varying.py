"""What of the same case may come out otherwise: one answer for the gate, power, lint and the settings."""

from dataclasses import replace

import pytest

from harness.golden.schema import answers_vary, checks_of, may_vary
from harness.registry import Metric, Registry, use_registry
from harness.registry.builtin_metrics import BUILTIN_METRICS
from harness.types import Check, GenerationSettings, GoldenCase, Message
from harness.types.golden import TIME_METRICS

CASE = GoldenCase(id="a", set_name="s", messages=(Message(role="user", content="?"),))
JUDGED = Check(type="llm-rubric", value="Polite.")


def with_checks(*checks):
    return replace(CASE, checks=checks)


def test_one_drawn_answer_is_enough_to_vary():
    warm = replace(CASE, id="b", generation=GenerationSettings(temperature=0.1))
    assert answers_vary([CASE, warm])
    assert not answers_vary([CASE])


def test_a_time_is_measured_anew():
    free, decides = (with_checks(Check(type="latency", threshold=t)) for t in (None, 0.5))
    assert answers_vary([free], "latency")
    assert answers_vary([CASE], "throughput")
    assert not answers_vary([free])
    assert not answers_vary([decides], "f1")
    assert answers_vary([decides])


def test_a_judge_may_say_something_else_of_the_same_answer():
    """Its grade decides by a threshold only; its verdict always does."""
    asked, inverted, graded, decides = (
        with_checks(check)
        for check in (
            JUDGED,
            Check(type="not-factuality"),
            Check(type="llm-reference"),
            Check(type="llm-reference", threshold=3.0),
        )
    )
    assert [answers_vary([case]) for case in (asked, inverted, graded, decides)] == [True, True, False, True]
    assert answers_vary([graded], "llm-reference")
    assert answers_vary([CASE], "not-llm-rubric")
    assert not answers_vary([asked], "f1")


@pytest.mark.parametrize("member", [JUDGED, Check(type="latency", threshold=0.5)], ids=lambda each: each.type)
@pytest.mark.parametrize("threshold", [None, 0.5])
def test_a_group_varies_as_its_members_do(member, threshold):
    """At any depth, for whether the case passes and for the group's own score; others of the case don't."""
    inside = Check(type="any-of", checks=(member, Check(type="contains", value="x")))
    group = Check(type="all-of", threshold=threshold, checks=(inside, Check(type="is-json")))
    case = with_checks(group, Check(type="rouge-l"))
    assert answers_vary([case])
    assert answers_vary([case], "all-of")
    assert not answers_vary([case], "rouge-l")
    still = replace(group, checks=(Check(type="is-json"), Check(type="contains", value="x")))
    assert not answers_vary([with_checks(still)])
    assert not answers_vary([with_checks(still)], "all-of")


def test_functions_of_the_project_may_ask_anything():
    checked = with_checks(Check(type="python:checks.py:polite", threshold=0.5))
    assert answers_vary([checked])
    assert answers_vary([checked], "python:checks.py:polite")
    step = {"python": "clean.py:body", "sha256": "0" * 64}
    cut, plain = (
        with_checks(Check(type="f1", threshold=0.5, transform=steps)) for steps in ((step,), ("strip",))
    )
    assert answers_vary([cut])
    assert answers_vary([cut], "f1")
    assert not answers_vary([plain])
    assert not answers_vary([plain], "f1")


def test_a_whole_sets_metric_varies_as_the_checks_that_it_is_made_of():
    step = {"python": "clean.py:body", "sha256": "0" * 64}
    plain, cut = (Check(type="classification", transform=steps) for steps in ((), (step,)))
    assert checks_of(with_checks(plain, JUDGED), "macro-f1") == [plain]
    assert not answers_vary([with_checks(plain, JUDGED)], "macro-f1")
    assert answers_vary([with_checks(cut)], "macro-f1")


@pytest.fixture
def plug_in():
    """Registers a metric of a plug-in."""
    registry = Registry()
    before = use_registry(registry)

    def add(name, **fields):
        metric = Metric(name=name, kind="graded", summary="Kind.", function="nowhere:kind", **fields)
        registry.register(name, lambda registrar: registrar.add(metric))

    yield add
    use_registry(before)


@pytest.mark.parametrize(
    ("fields", "varies"),
    [
        ({}, True),
        ({"cached": True}, False),
        ({"cached": True, "judged": True}, True),
        ({"judged": True}, True),
    ],
    ids=str,
)
def test_a_plug_ins_score_varies_unless_it_says_what_it_depends_on(plug_in, fields, varies):
    plug_in("kindness", **fields)
    case = with_checks(Check(type="kindness", threshold=0.5))
    assert (answers_vary([case]), answers_vary([case], "kindness")) == (varies, varies)


def test_nothing_is_known_of_a_metric_that_this_installation_lacks():
    case = with_checks(Check(type="kindness"))
    assert may_vary(case.checks)
    assert answers_vary([case])
    assert answers_vary([case], "kindness")


def test_of_our_own_only_judges_clocks_and_foreign_code_vary():
    found = {name for name, metric in BUILTIN_METRICS.items() if metric.may_vary}
    judged = {name for name, metric in BUILTIN_METRICS.items() if metric.judged}
    assert found == judged | TIME_METRICS | {"python", "code"}
