"""A plug-in's metric that does not end is named, however its function takes the answers."""

import time
from dataclasses import replace

import pytest

from harness.errors import OverdueError
from harness.metrics import call_limit
from harness.metrics.definition import ScoringRequest, binary, computed, one_by_one, score_function
from harness.metrics.plugin_limit import limited_metric
from harness.registry import Metric, Registry, use_registry
from harness.run.scoring import score_cases
from harness.types import Check, Completion, GoldenCase, Message, MetricError

pytestmark = pytest.mark.usefixtures("plain_signals")


def request_of(text):
    case = GoldenCase(id=text, set_name="s", messages=(Message(role="user", content="x"),))
    return ScoringRequest(case=case, check=Check(type="mine"), text=text)


REQUESTS = [request_of(text) for text in ("good", "odd", "endless")]


def score(request):
    if request.text == "endless":
        time.sleep(60)
    if request.text == "odd":
        raise ValueError("too odd")
    return binary(request, request.text == "good", "")


@pytest.fixture
def register():
    before = use_registry(None)

    def register(**fields):
        registry = Registry()
        fields = {"kind": "binary", "summary": "Mine.", **fields}
        registry.register("test", lambda registrar: registrar.add(Metric(name="mine", **fields)))
        use_registry(registry)

    yield register
    use_registry(before)


def score_all(requests):
    return [score(each) for each in requests]


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (one_by_one(score), "s/endless: metric 'mine' did not end within 0.1 s for one answer"),
        (score_all, "metric 'mine' did not end within 0.6 s for 2 answers"),
    ],
)
def test_a_metric_that_does_not_end_is_interrupted_with_its_name(monkeypatch, register, function, told):
    monkeypatch.setattr(call_limit, "LIMIT_S", 0.1)
    monkeypatch.setattr(call_limit, "FURTHER_S", 0.5)
    register(function=function)
    with pytest.raises(OverdueError) as refused:
        computed(score_function("mine"), [REQUESTS[0], REQUESTS[2]])
    assert str(refused.value) == told


def test_a_metric_that_hangs_is_not_waited_for_once_for_each_case(monkeypatch, register):
    """Its function gets the answers of a set in parts."""
    monkeypatch.setattr(call_limit, "LIMIT_S", 0.1)
    monkeypatch.setattr(call_limit, "FURTHER_S", 0.0)
    given = []

    def hang(requests):
        given.append(len(requests))
        return score_all([request_of("good")] * (len(requests) - 1) + [request_of("endless")])

    register(function=hang)
    cases = [replace(request_of("x").case, id=str(n), checks=(Check(type="mine"),)) for n in range(1000)]
    answer = Completion(text="x", stop_reason="stop", prompt_tokens=1, completion_tokens=1, latency_s=0.0)
    with pytest.raises(OverdueError, match=r"^metric 'mine' did not end within 0.1 s for \d+ answers$"):
        score_cases(cases, {case.key: answer for case in cases})
    assert given[0] <= 256


@pytest.mark.parametrize("number", [1, 64, 1000, 100_000])
def test_a_call_for_many_answers_gets_the_limit_of_one_and_a_little_for_each_further(monkeypatch, number):
    limits = []
    monkeypatch.setattr(
        call_limit, "limited_call", lambda function, place, limit_s, work: limits.append(limit_s)
    )
    limited_metric("mine", len, map)(REQUESTS[:1] * number)
    assert limits == [min(600.0 + 5.0 * (number - 1), 3600.0)]


@pytest.mark.parametrize("function", [one_by_one(score), score_all])
def test_other_faults_are_errors_of_their_answers(register, function):
    register(function=function)
    fine, broken = computed(score_function("mine"), REQUESTS[:2])
    assert fine.value == 1.0
    assert (type(broken), broken.error) == (MetricError, "too odd")
    assert call_limit._calls == []


def test_a_slow_metric_is_named(monkeypatch, capfd):
    monkeypatch.setattr(call_limit, "_SLOW_S", 0.0)
    function = limited_metric("mine", lambda requests: time.sleep(3 * call_limit._STEP_S), map)
    function(REQUESTS)
    assert capfd.readouterr().err == "tunegate: metric 'mine' has been running for 0 s\n"
