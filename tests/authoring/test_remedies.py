"""What helps where answers vary is told in the same words before the first run and behind a verdict."""

import pytest

from harness.authoring.remedies import more_cases, noise_command, one_of


@pytest.mark.parametrize(("reruns", "command"), [(None, ""), (5, ""), (16, " -r 16")])
def test_the_command_asks_for_reruns_where_the_usual_number_is_too_small(reruns, command):
    assert noise_command(reruns) == f"tunegate noise{command}"


def test_cases_are_told_with_the_record_that_they_need():
    assert more_cases(552, None) == "ask 552 such cases or more"
    assert more_cases(141, 5) == "ask 141 such cases or more with a noise record (tunegate noise)"


@pytest.mark.parametrize(
    ("ways", "told"), [(["a"], "a"), (["a", "b"], "a, or b"), (["a", "b", "c"], "a, b, or c")]
)
def test_any_of_several_ways_helps(ways, told):
    assert one_of(ways) == told
