"""Votes put together: a majority, never a guess."""

import pytest

from harness.errors import JudgeError, SettingsError
from harness.judge.client import Judge
from harness.judge.panel import Panel, combine
from harness.run.cache import Cache
from harness.types import JudgeReply, JudgeVerdict


def vote(value, *, graded=False):
    if value is None:
        return JudgeError("broken")
    return JudgeVerdict(
        passed=None if graded else bool(value),
        value=float(value),
        reason=f"says {value}",
        judge_model=f"m{value}",
        prompt_version="p",
        raw_reply="",
    )


@pytest.mark.parametrize(
    ("votes", "passed"),
    [((1, 1, 0), True), ((0, 1, 0), False), ((1, 1, None), True), ((0, None, 0), False)],
)
def test_more_than_half_of_all_judges_decide(votes, passed):
    verdict = combine([vote(one) for one in votes])
    assert verdict.passed is passed
    assert verdict.reason.startswith("2 of 3 judges: says")


@pytest.mark.parametrize("votes", [(1, 0, None), (1, None, None), (None, None, None)])
def test_without_a_majority_there_is_no_verdict(votes):
    verdict = combine([vote(one) for one in votes])
    assert isinstance(verdict, JudgeError)
    assert "of 3 judges gave a verdict" in str(verdict)
    assert "broken" in str(verdict)


def test_grades_are_put_together_by_their_median():
    verdict = combine([vote(grade, graded=True) for grade in (5, 1, 4)])
    assert (verdict.passed, verdict.value) == (None, 4.0)
    assert isinstance(combine([vote(5, graded=True), JudgeError("a"), JudgeError("b")]), JudgeError)


def test_one_judge_speaks_for_itself():
    alone = vote(1)
    assert combine([alone]) is alone


def test_an_even_panel_is_refused(open_judge):
    with pytest.raises(SettingsError, match="odd"):
        Panel([open_judge(), open_judge()])


def test_a_panel_asks_every_judge_and_notes_its_votes(judge_server, open_judge, ask):
    """Three judges at one server are three askers: only the model's name distinguishes them here."""
    judges = [open_judge(path=f"{number}.sqlite") for number in range(3)]
    panel = Panel(judges)
    (verdict,) = panel.judge_singles([ask()])
    assert verdict.passed is True
    assert panel.votes == {"rubric": [(1.0, 1.0, 1.0)]}
    assert panel.usage.requests == len(judge_server.bodies) == 3
    # Equal answers of two sides are one question, which counts once.
    panel.judge_singles([ask(), ask(), ask("Is it new?")])
    assert panel.votes == {"rubric": [(1.0, 1.0, 1.0)] * 2}


def test_a_panel_s_judges_are_named_by_their_replies_wherever_they_run(judge_server, open_judge, ask):
    """An address is none of a judge's; the same name may stand for another model later, which the replies tell."""
    panel = Panel([open_judge()])
    assert panel.scorer == ""
    panel.judge_singles([ask()])
    assert panel.scorer == "scripted"
    judge_server.fields = {"model": "scripted-2"}
    panel.judge_singles([ask("Is it new?")])
    assert panel.scorer == "scripted, scripted-2"
    # Stored replies are of the model that gave them.
    again = Panel([open_judge() for _ in range(3)])
    again.judge_singles([ask()])
    assert again.scorer == "scripted + scripted + scripted"


def test_a_judge_whose_replies_have_no_name_has_that_of_its_spec(ask):
    class NamelessModel:
        identity, remote, requests, retried = "mine:one@there", True, 0, 0

        async def ask(self, request):
            return JudgeReply(text='{"reason": "r", "pass": true}', model="")

        async def close(self):
            """It has no connections."""

    with Cache(None) as cache, Panel([Judge(NamelessModel(), cache)]) as panel:
        panel.judge_singles([ask()])
        assert panel.scorer == "mine:one"


def test_a_judge_that_breaks_leaves_the_others_a_majority(judge_server, open_judge, ask):
    judge_server.faults = ["401"]
    panel = Panel([open_judge(path=f"{number}.sqlite") for number in range(3)])
    (verdict,) = panel.judge_singles([ask()])
    assert verdict.passed is True
    assert sorted(panel.votes["rubric"][0], key=str) == [1.0, 1.0, None]


def test_stored_replies_of_another_judge_are_asked_anew_until_one_judge_scored_all(
    judge_server, open_judge, ask
):
    Panel([open_judge()]).judge_singles([ask("one"), ask("two")])
    judge_server.fields = {"model": "scripted-2"}
    panel, tries = Panel([open_judge()]), []

    def score():
        tries.append(panel.judge_singles([ask("one"), ask("new")]))
        return [vote.judge_model for vote in tries[-1]]

    assert panel.by_one_judge(score) == ["scripted-2", "scripted-2"]
    assert len(tries) == 2
    assert panel.by_one_judge(score) == ["scripted-2", "scripted-2"]
    assert len(tries) == 3
