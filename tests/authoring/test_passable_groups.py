"""A gated group of checks can pass as a check can."""

from dataclasses import replace

from harness.authoring.passable import why_metrics_never_pass
from harness.types import Check, GateSettings
from tests.authoring.test_passable import set_of


def test_a_gated_group_without_a_threshold_is_told_as_a_check_is():
    plain = set_of(40, metric_margins={"equals": 0.05})
    whole = Check(type="all-of", checks=(Check(type="equals"),))
    cases = tuple(replace(each, checks=(whole,)) for each in plain.cases)
    group = replace(plain, cases=cases, gate=GateSettings(metric_margins={"all-of": 0.05}))
    (check, _), (told, _) = why_metrics_never_pass(plain)[0], why_metrics_never_pass(group)[0]
    assert told == check.replace("equals", "all-of")
