"""What equal answers that vary leave open about exactly these cases."""

from dataclasses import replace

import pytest

from harness.statistics.clustered_drop import noisy_drop
from harness.statistics.paired_binary import Trials
from harness.statistics.varying_answers import Remedies, equal_varying_drop, remedies, remedies_of_equal
from harness.types import GoldenCase, Message, Stability

CASE = GoldenCase(id="a", set_name="s", messages=(Message(role="user", content="?"),))


@pytest.mark.parametrize("repeat", [1, 5])
def test_no_equal_answers_leave_less_open_than_those_that_all_pass(repeat):
    """Of any number of passed answers, all leave the smallest drop open."""
    least = equal_varying_drop([replace(CASE, repeat=repeat)] * 30).high
    found = [
        noisy_drop([Trials(passed, repeat, passed, repeat)] * 30, 0.9).high for passed in range(repeat + 1)
    ]
    assert least == pytest.approx(min(found))


def ways(n, margin=0.05, *, rerun=True, **changes):
    return remedies_of_equal([replace(CASE, **changes)] * n, margin, lambda _: rerun)


@pytest.mark.parametrize(
    ("n", "found"),
    [
        # The candidate's single answers leave 1.645 sqrt(0.109375 / n) + 0.25 / n, whatever is rerun: 0.1341,
        # 0.0787 and 0.05003 are more than the margin of 0.05; 0.0498, 0.0496 and 0.0397 are within it.
        (20, Remedies(reruns=5, answers=7, cases=141)),
        (54, Remedies(reruns=5, answers=4, cases=141)),
        (128, Remedies(reruns=5, answers=3, cases=141)),
        (130, Remedies(reruns=16, answers=3, cases=None)),
        (141, Remedies(reruns=5, answers=3, cases=None)),
        (200, Remedies(reruns=5, answers=2, cases=None)),
    ],
)
def test_how_many_reruns_answers_or_cases_are_enough(n, found):
    assert ways(n) == found


def test_without_reruns_more_answers_or_cases_are_enough():
    """Each answer may be a coin toss: 1.645 sqrt(0.5 / n) + 0.25 / n is 0.05000 at 551 cases, 0.04996 at 552."""
    assert ways(54, rerun=False) == Remedies(reruns=None, answers=4, cases=552)
    for n, passes in ((551, False), (552, True)):
        assert (equal_varying_drop([CASE] * n).high <= 0.05) is passes


@pytest.mark.parametrize(("n", "repeat"), [(1, 1), (3, 1), (20, 1), (54, 1), (54, 2)])
def test_what_is_enough_is_enough_and_one_less_is_not(n, repeat):
    found = ways(n, rerun=False, repeat=repeat)
    for few, passes in ((found.answers - 1, False), (found.answers, True)):
        assert (equal_varying_drop([replace(CASE, repeat=few)] * n).high <= 0.05) is passes
    assert found.cases is not None
    for few, passes in ((found.cases - 1, False), (found.cases, True)):
        assert (equal_varying_drop([replace(CASE, repeat=repeat)] * few).high <= 0.05) is passes


def test_no_number_is_enough_where_nothing_may_be_lost():
    assert ways(54, 0.0) == Remedies(reruns=None, answers=0, cases=None)


def test_reruns_tell_nothing_of_some_cases():
    """Of 200 cases that a judge scores, the first 100 may each be a coin toss on both sides."""
    cases = [replace(CASE, id=f"c{place}") for place in range(200)]
    half = {case.id for case in cases[:100]}
    found = remedies_of_equal(cases, 0.05, lambda case: case.id not in half)
    assert (found.reruns, found.answers) == (5, 2)
    assert found.cases is not None
    assert 300 < found.cases < 400


def test_what_is_lost_takes_its_part_of_the_margin():
    """Of 200 cases two lost are 0.01; eleven are more than the margin, and no number of answers helps."""
    unknown = [Stability(passed=0, answers=0)] * 200

    def found(lost):
        trials = [Trials(1, 1, int(place >= lost), 1) for place in range(200)]
        return remedies(trials, 0.05, unknown, [True] * 200)

    assert found(0) == Remedies(reruns=5, answers=2, cases=None)
    assert found(2).answers == 3
    assert found(11) is None


@pytest.mark.parametrize(
    ("passed", "margin", "answers"), [(5, 0.09, 2), (5, 0.05, 4), (4, 0.09, 5), (4, 0.05, 10)]
)
def test_answers_that_vary_take_more_of_them(passed, margin, answers):
    """Of 54 cases with 4 of 5 passed answers, 1.645 sqrt(0.08 / 54) + 0.05 / 54 is 0.064, of 8 of 10 0.043."""
    trials, unknown = [Trials(passed, 5, passed, 5)] * 54, [Stability(passed=0, answers=0)] * 54
    found = remedies(trials, margin, unknown, [False] * 54)
    assert found is not None
    assert found.answers == answers


def test_a_rerun_has_as_many_answers_as_a_run():
    """Five reruns of two answers to each case are ten of the baseline: 57 cases are then enough."""
    assert ways(8, repeat=2) == Remedies(reruns=5, answers=12, cases=57)
