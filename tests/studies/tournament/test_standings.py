"""What a judge's preferences make of several models, against a real server."""

import re

import pytest

from harness.errors import BaselineError, JudgeError
from harness.studies.tournament.standings import compare_models
from harness.types import Check

KEYS = [f"s/{n:02}" for n in range(20)]


@pytest.fixture
def three(run_with):
    """The best one always wins; the middle one equals the worst one's texts in half of the cases."""
    return [
        run_with("worst", dict.fromkeys(KEYS, "grade 1")),
        run_with("best", dict.fromkeys(KEYS, "grade 3")),
        run_with("middle", {key: f"grade {1 + n % 2}" for n, key in enumerate(KEYS)}),
    ]


def test_models_are_ordered_by_all_pairs(panel, by_grade, three, judge_server):
    """By hand: best 40 of 40, middle 10 half and 10 whole wins of 40, worst 5 of 40."""
    found = compare_models(panel(), three)
    assert [one.model for one in found.strengths] == ["best", "middle", "worst"]
    assert [one.comparisons for one in found.strengths] == [40, 40, 40]
    assert (found.cases, found.clusters, found.against) == (20, 20, "worst")
    best, middle = found.rates
    assert (best.model, best.n, best.win_rate.estimate) == ("best", 20, 1.0)
    assert (middle.model, middle.n, middle.win_rate.estimate) == ("middle", 20, 0.75)
    assert found.ties == {"equal answers": 10}
    assert (found.order.estimate, found.order_n) == (1.0, 50)
    assert found.errors == {}


def test_equal_answers_are_not_asked_about_and_all_others_in_both_orders(
    panel, by_grade, three, judge_server, shown
):
    compare_models(panel(), [three[0], three[2]])
    assert len(judge_server.bodies) == 20
    assert sum("grade 2" in shown(body)[0] for body in judge_server.bodies) == 10


def test_another_run_may_be_what_all_are_held_against(panel, by_grade, three):
    found = compare_models(panel(), three, against=three[1])
    assert found.against == "best"
    assert [(one.model, one.win_rate.estimate) for one in found.rates] == [("worst", 0.0), ("middle", 0.0)]
    with pytest.raises(BaselineError, match="--against: run run-best is not among"):
        compare_models(panel(), [three[0], three[2]], against=three[1])


def test_a_judge_that_prefers_what_comes_first_has_preferred_none(panel, judge_server, three):
    judge_server.answer = lambda body: {"reason": "r", "winner": "A"}
    found = compare_models(panel(), three[:2])
    assert found.order.estimate == 0.0
    assert found.ties == {"changed with the order": 20}
    assert found.rates[0].win_rate.estimate == 0.5


def test_pairs_without_a_verdict_count_nowhere_and_are_told_with_their_reason(
    panel, judge_server, by_grade, three
):
    grade = judge_server.answer
    judge_server.answer = lambda body: "no idea" if "s/07" in str(body) else grade(body)
    found = compare_models(panel(), three[:2])
    assert found.rates[0].n == 19
    assert [one.comparisons for one in found.strengths] == [19, 19]
    ((reason, count),) = found.errors.items()
    assert count == 1
    assert "no usable reply in 3" in reason
    (broken,) = [pair for pair in found.pairs if pair.value is None]
    assert (broken.case, broken.error) == ("s/07", reason)


@pytest.mark.parametrize(("other", "asked"), [(1, 20), (2, 10)])
def test_without_one_verdict_there_is_no_comparison(panel, judge_server, three, other, asked):
    """Not even where equal answers tie: ten ties and ten broken replies would make the models equals."""
    judge_server.answer = lambda body: "no idea"
    with pytest.raises(JudgeError, match=rf"none of {asked} pairs got a verdict: no usable reply"):
        compare_models(panel(), [three[0], three[other]])


def test_equal_models_need_no_verdict(panel, run_with, judge_server):
    found = compare_models(panel(), [run_with(name, dict.fromkeys(KEYS, "same")) for name in "ab"])
    assert found.rates[0].win_rate.estimate == 0.5
    assert (found.order, found.order_n, judge_server.bodies) == (None, 0, [])


def test_what_length_bought_is_taken_off(panel, judge_server, run_with, shown):
    """The judge takes the longer answer three times in four: at equal length the rate falls to about half."""

    def answer(body):
        longer = "A" if len(shown(body)[0]) > len(shown(body)[1]) else "B"
        number = int(re.search(r"s/(\d+)", str(body))[1])
        return {"reason": "r", "winner": {"A": "B", "B": "A"}[longer] if number % 4 == 0 else longer}

    judge_server.answer = answer
    keys = [f"s/{n:03}" for n in range(80)]
    short = run_with("short", {key: "word " * (8 + n % 5) for n, key in enumerate(keys)})
    other = run_with("long", {key: "many " * (4 if n % 5 == 0 else 14) for n, key in enumerate(keys)})
    (found,) = compare_models(panel(), [short, other]).rates
    assert found.win_rate.estimate == pytest.approx(0.65)
    assert found.at_equal_length.estimate < 0.6
    assert found.at_equal_length.low < 0.5 < found.win_rate.low


def test_cases_of_one_cluster_are_no_further_evidence(panel, by_grade, run_with):
    """Four in five won, cluster by cluster: intervals over five clusters are wider than over twenty cases."""
    lost = {f"s/{n:02}" for n in range(4)}
    answers = [dict.fromkeys(KEYS, "grade 2"), {key: f"grade {1 if key in lost else 3}" for key in KEYS}]
    clusters = {key: f"c{n // 4}" for n, key in enumerate(KEYS)}

    def rates(**rest):
        runs = [run_with(name, of, **rest) for name, of in zip(("a", "b"), answers, strict=True)]
        found = compare_models(panel(), runs)
        return found, found.rates[0]

    alone, grouped = rates(), rates(clusters=clusters)
    assert (alone[0].clusters, grouped[0].clusters) == (20, 5)
    for width in (
        lambda found: found[1].win_rate,
        lambda found: found[1].at_equal_length,
        lambda found: found[0].strengths[0].strength,
    ):
        assert width(grouped).high - width(grouped).low > 1.3 * (width(alone).high - width(alone).low)


@pytest.mark.parametrize(
    ("checks", "wanted"),
    [
        ([Check(type="llm-rubric", value="Names the day.")], "Names the day."),
        ([Check(type="llm-rubric", value="x"), Check(type="pairwise", value="Is kinder.")], "Is kinder."),
        ([Check(type="pairwise"), Check(type="llm-rubric", value="Names.")], "The answer is right"),
        ([], "The answer is right"),
    ],
)
def test_what_makes_an_answer_better_is_what_the_case_says(
    panel, judge_server, by_grade, run_with, checks, wanted
):
    runs = [run_with(name, {"s/a": f"grade {n}"}, checks=checks) for n, name in enumerate(("a", "b"))]
    compare_models(panel(), runs)
    told = judge_server.bodies[0]["messages"][1]["content"].partition("What makes an answer better:")[2]
    assert wanted in told.partition("Answer A:")[0]


def test_a_panel_tells_how_far_its_judges_agree(panel, judge_server, by_grade, three):
    grade = judge_server.answer

    def answer(body):
        said = grade(body)
        contrary = body["model"] == "third"
        return {**said, "winner": {"A": "B", "B": "A", "tie": "tie"}[said["winner"]]} if contrary else said

    judge_server.answer = answer
    found = compare_models(panel("first", "second", "third"), three)
    assert found.agreement.startswith("the judges agree with alpha ")
    assert found.strengths[0].model == "best"


def test_all_pairs_have_one_judge(panel, judge_server, by_grade, run_with):
    """The name stands for one that prefers the worse answers, since the first of the pairs were judged."""
    judges, grade = panel(), judge_server.answer

    def models(count):
        return [
            run_with(name, dict.fromkeys(KEYS[:count], f"grade {n}")) for n, name in enumerate(("a", "b"))
        ]

    assert compare_models(judges, models(10)).rates[0].win_rate.estimate == 1.0
    judges.begin()
    judge_server.answer = lambda body: {**grade(body), "winner": {"A": "B", "B": "A"}[grade(body)["winner"]]}
    judge_server.fields = {"model": "contrary"}
    assert compare_models(judges, models(20)).rates[0].win_rate.estimate == 0.0


def test_progress_is_told(panel, by_grade, three):
    told = []
    compare_models(panel(), three[:2], on_progress=lambda *what: told.append(what))
    assert told[0] == ("judging", 0, 20)
    assert told[-1] == ("judging", 20, 20)
