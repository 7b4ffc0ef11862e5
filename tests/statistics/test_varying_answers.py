"""What equal answers that vary leave open about exactly these cases."""

from dataclasses import replace

import pytest

from harness.statistics.clustered_drop import noisy_drop
from harness.statistics.paired_binary import Trials
from harness.statistics.varying_answers import equal_varying_drop
from harness.types import GoldenCase, Message

CASE = GoldenCase(id="a", set_name="s", messages=(Message(role="user", content="?"),))


@pytest.mark.parametrize("repeat", [1, 5])
def test_no_equal_answers_leave_less_open_than_those_that_all_pass(repeat):
    """Of any number of passed answers, all leave the smallest drop open."""
    least = equal_varying_drop([replace(CASE, repeat=repeat)] * 30).high
    found = [
        noisy_drop([Trials(passed, repeat, passed, repeat)] * 30, 0.9).high for passed in range(repeat + 1)
    ]
    assert least == pytest.approx(min(found))
