"""Groups, choices, labels and numbers as rewards."""

import pytest

from harness.errors import SettingsError
from trainers.rewards.checks import golden_check
from trainers.rewards.settings import GoldenCheck

HAS_A, IS_Z = {"type": "contains", "value": "a"}, {"type": "equals", "value": "z"}
LABELS = {"type": "classification", "labels": ["x", "y"]}


def reward(check, references=None):
    return golden_check(GoldenCheck(type="check", check=check, references=references), "rewards[0]")


@pytest.mark.parametrize(
    ("check", "answers", "references", "values"),
    [
        ({"type": "any-of", "checks": [HAS_A, IS_Z]}, ["a", "z", "b"], None, [1, 1, 0]),
        ({"type": "all-of", "threshold": 0.5, "checks": [HAS_A, IS_Z]}, ["a", "b"], None, [1, 0]),
        ({"type": "numeric", "tolerance": 0.5}, ["42.4", "43"], ["42", "42"], [1, 0]),
        ({"type": "multiple-choice", "choices": ["x", "y"]}, ["A", "y"], ["x", "x"], [1, 0]),
        (LABELS, ["x", "y"], ["x", "x"], [1, 0]),
        ({"type": "any-of", "checks": [LABELS, IS_Z]}, ["x", "z", "y"], ["x", "x", "x"], [1, 1, 0]),
        ({"type": "levenshtein", "threshold": 1}, ["x", "yyy"], ["x", "x"], [1, 0]),
        ({"type": "equals", "value": "a", "transform": [{"after": "#"}]}, ["x#a", "a"], None, [1, 0]),
    ],
)
def test_a_check_is_a_reward(check, answers, references, values):
    columns = {} if references is None else {"right": references}
    assert reward(check, None if references is None else "right")(answers, **columns) == values


@pytest.mark.parametrize(
    ("check", "message"),
    [
        ({"type": "latency", "threshold": 9}, "latency does not depend on the answer's text"),
        ({"type": "any-of", "checks": [{"type": "tokens", "threshold": 9}]}, "tokens does not depend on the answer's text"),
        ({"type": "code", "value": "assert f()"}, "code runs code, and a reward may not"),
        ({"type": "levenshtein", "value": "a"}, "levenshtein has no upper end: give it a threshold"),
        ({"type": "any-of", "checks": [{"type": "f1"}]}, "check.checks.0: f1 needs references"),
    ],
)  # fmt: skip
def test_what_can_be_no_reward_is_refused(check, message):
    with pytest.raises(SettingsError, match=message):
        reward(check)
