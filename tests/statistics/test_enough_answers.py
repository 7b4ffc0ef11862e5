"""How many reruns, answers or cases are enough for a pass of exactly these cases."""

import pytest

from harness.statistics.clustered_drop import noisy_drop
from harness.statistics.enough_answers import enough_answers, enough_cases, enough_reruns
from harness.statistics.paired_binary import Trials
from harness.types import Stability

ONE, UNKNOWN = Trials(1, 1, 1, 1), Stability(passed=0, answers=0)


def recorded(n, reruns):
    return [Stability(passed=reruns, answers=reruns)] * n


@pytest.mark.parametrize(("n", "reruns"), [(54, None), (128, None), (129, 24), (130, 16), (141, 5), (200, 5)])
def test_no_number_of_reruns_is_enough_for_fewer_than_129_single_answers(n, reruns):
    """Those of the candidate leave 1.645 sqrt(0.109375 / n) + 0.25 / n: of 128 cases 0.05003, of 129 0.04984."""
    assert enough_reruns([ONE] * n, 0.05, lambda times: recorded(n, times)) == reruns
    if reruns is not None and reruns > 5:
        ends = [noisy_drop([ONE] * n, 0.9, recorded(n, each)).high for each in (reruns - 1, reruns)]
        assert ends[1] <= 0.05 < ends[0]


@pytest.mark.parametrize(("margin", "answers"), [(0.17, 1), (0.05, 4), (0.003, 76), (0.001, 0)])
def test_a_set_may_ask_for_a_hundred_answers_to_a_case(margin, answers):
    """Of 54 cases; a margin of 0.001 takes more of them."""
    found = enough_answers([(1.0, 1.0)] * 54, 1, margin)
    assert found == answers


def test_further_cases_are_counted_with_or_without_a_record():
    for n in (1, 20, 54):
        assert enough_cases([ONE] * n, 0.05, [UNKNOWN] * n) == 552
        assert enough_cases([ONE] * n, 0.05, recorded(n, 5)) == 141
    assert enough_cases([ONE] * 54, 0.0, [UNKNOWN] * 54) is None
