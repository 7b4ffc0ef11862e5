"""A plug-in's metric that does not end is named, however its function takes the answers."""

import time

import pytest

from harness.errors import OverdueError
from harness.metrics import call_limit
from harness.metrics.definition import ScoringRequest, binary, computed, one_by_one, score_function
from harness.metrics.plugin_limit import limited_metric
from harness.registry import Metric, Registry, use_registry
from harness.types import Check, GoldenCase, Message, MetricError

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


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (one_by_one(score), "s/endless: metric 'mine' did not end within 0.1 s for one answer"),
        (
            lambda requests: [score(each) for each in requests][:0],
            "metric 'mine' did not end within 0.2 s for 2 answers",
        ),
    ],
)
def test_a_metric_that_does_not_end_is_interrupted_with_its_name(monkeypatch, register, function, told):
    monkeypatch.setattr(call_limit, "LIMIT_S", 0.1)
    register(function=function)
    with pytest.raises(OverdueError) as refused:
        computed(score_function("mine"), [REQUESTS[0], REQUESTS[2]])
    assert str(refused.value) == told


@pytest.mark.parametrize("function", [one_by_one(score), lambda requests: [score(each) for each in requests]])
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
