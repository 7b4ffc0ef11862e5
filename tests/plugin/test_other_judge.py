"""A baseline that another judge scored: its scores decide nothing, and a stored run is judged anew."""

import json

import pytest

from harness.baselines.paired_runs import require_pairs
from harness.comparison.pairing import pair_runs
from harness.errors import BaselineError
from harness.history.store import open_history
from tests.fixtures.tiny_models import make_tiny_adapter

NAMES = {"france": "Paris", "italy": "Rome", "spain": "Madrid", "norway": "Oslo"}
JUDGED = """\
name: judged
defaults:
  checks: [{type: llm-rubric, value: "Names the capital."}]
cases:
""" + "".join(f"  - {{id: {name}, prompt: 'What is the capital of {name}?'}}\n" for name in NAMES)


def passing(*cities):
    """The replies of a judge that passes these."""

    def answer(body):
        text = body["messages"][1]["content"].rpartition("Answer to judge:")[2]
        return {"reason": "read it", "pass": any(city in text for city in cities)}

    return answer


@pytest.fixture
def gate(project, write_golden, judge_server, monkeypatch):
    """Gates by a judge."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    # The only set: an accepted run is a whole one.
    write_golden(project.pytester, "judged", JUDGED)
    (project.pytester.path / "golden_sets" / "capitals.yaml").unlink()
    judge_server.answer = passing(*NAMES.values())

    def run(*arguments, judge=judge_server.spec):
        return project.run("golden_sets/judged.yaml", f"--gate-judge={judge}", *arguments)

    return run


@pytest.fixture
def another_adapter(project, tiny_model_dir, tmp_path):
    """Takes another adapter, of whose answers none is stored."""

    def take():
        project.adapter = make_tiny_adapter(tiny_model_dir, tmp_path / "another", spread=0.5, seed=2)

    return take


@pytest.fixture
def strict(gate, judge_server):
    """Accepts a run as ``shipped``; then another judge answers, which passes one city of four."""
    assert gate("--gate-accept=shipped", "--gate-accept-reason=why").ret == pytest.ExitCode.OK
    judge_server.answer, judge_server.fields = passing("Oslo"), {"model": "strict"}
    return f"openai:other@{judge_server.url}"


def said(result):
    return " ".join((result.stdout.str() + result.stderr.str()).split())


def test_an_accepted_run_of_another_judge_decides_nothing(gate, strict):
    """An equal model fell by three cases of four."""
    result = gate("--gate-baseline=shipped", judge=strict)
    assert result.ret == pytest.ExitCode.OK
    text = said(result)
    assert "INCONCLUSIVE" in text
    assert (
        "4 cases are not compared: 4 decided by llm-rubric, which another judge decided in the baseline"
        in text
    )
    assert (
        "llm-rubric is not compared: scripted judged it in the baseline, strict in the candidate: name a stored run "
        "with --gate-baseline, whose answers are then scored by the new one, or accept a run that the new one scored"
    ) in text


@pytest.mark.parametrize("looks", [1, 2])
def test_a_stored_run_of_another_judge_is_judged_anew(gate, strict, judge_server, project, looks):
    """Its answers are there: both sides then have one judge, and an equal model loses nothing."""
    asked = len(judge_server.bodies)
    result = gate("--gate-baseline=latest", f"--gate-looks={looks}", "--gate-json=record.json", judge=strict)
    assert result.ret == pytest.ExitCode.OK
    told = "is scored anew by llm-rubric: another judge, encoder or version of it gave the stored scores"
    assert said(result).count(told) == 1
    record = json.loads((project.pytester.path / "record.json").read_text())
    assert {row["drop"]["estimate"] for row in record["comparison"]["metrics"]} == {0.0}
    assert record["comparison"]["unpaired"] == []
    assert "-rescored-" in record["baseline"]["id"]
    assert record["baseline"]["metrics"]["llm-rubric"]["scored_by"] == {"judge": "strict"}
    assert [each["outcome"] for each in record["baseline"]["results"]] == ["failed"] * 3 + ["passed"]
    # The same answers on both sides are one question.
    assert len(judge_server.bodies) == asked + 4


def test_stored_runs_of_two_judges_have_no_case_in_common(gate, strict, project):
    gate("--gate-baseline=none", judge=strict)
    with open_history(project.pytester.path / ".tunegate" / "history.sqlite") as history:
        pairing = pair_runs(history.load_run("latest"), history.load_run("latest~1"))
    with pytest.raises(BaselineError, match="scripted judged it in the baseline, strict in the candidate"):
        require_pairs(pairing.unpaired, pairing.pairs, pairing.refused)


def test_the_same_judge_at_another_address_is_the_same(gate, judge_server, second_server):
    assert gate("--gate-accept=shipped", "--gate-accept-reason=why").ret == pytest.ExitCode.OK
    second_server.answer = judge_server.answer
    result = gate("--gate-baseline=shipped", judge=second_server.spec)
    assert len(second_server.bodies) == 4
    result.stdout.no_fnmatch_line("*not compared*")


def test_a_name_that_stands_for_another_model_now_is_another_judge(gate, strict, judge_server):
    """Its stored replies are left alone."""
    result = gate("--gate-baseline=shipped", "--gate-no-cache")
    assert "scripted judged it in the baseline, strict in the candidate" in said(result)


def test_an_old_record_that_does_not_say_who_judged_is_compared_and_told(gate, project):
    assert gate("--gate-accept=shipped", "--gate-accept-reason=why").ret == pytest.ExitCode.OK
    path = project.pytester.path / "baselines" / "shipped.json"
    kept = json.loads(path.read_text())
    del kept["metrics"]["llm-rubric"]["scored_by"]
    path.write_text(json.dumps(kept))
    text = said(gate("--gate-baseline=shipped"))
    assert (
        "llm-rubric was scored by judge scripted, in the baseline by what its record does not say: a difference "
        "may come from that"
    ) in text
    assert "not compared" not in text


GROUPED = """\
name: judged
defaults:
  checks:
    - type: any-of
      checks: [{type: pairwise, threshold: 0.6}, {type: contains, value: a}]
cases:
""" + "".join(f"  - {{id: {name}, prompt: 'What is the capital of {name}?'}}\n" for name in NAMES)


@pytest.mark.parametrize("looks", [1, 2])
def test_a_stored_run_s_pair_in_a_group_is_a_tie_before_it_is_judged_anew(
    gate, judge_server, project, write_golden, another_adapter, looks
):
    """Afterwards the group's value doesn't tell what its members said."""
    write_golden(project.pytester, "judged", GROUPED)
    judge_server.answer = lambda body: {"reason": "read it", "winner": "tie"}
    project.wrong["candidate"] = {"italy"}
    gate("--gate-baseline=base")
    judge_server.fields, project.wrong["candidate"] = {"model": "strict"}, {"norway"}
    another_adapter()
    gate("--gate-baseline=latest", f"--gate-looks={looks}", "--gate-json=record.json")
    record = json.loads((project.pytester.path / "record.json").read_text())
    assert "-rescored-" in record["baseline"]["id"]
    assert [each["outcome"] for each in record["baseline"]["results"]] == [
        *("passed", "failed", "passed", "failed")
    ]


def record_of(project):
    return json.loads((project.pytester.path / "record.json").read_text())


def judges_and_outcomes(project):
    record = record_of(project)
    return [
        (
            record[side]["metrics"]["llm-rubric"]["scored_by"],
            [each["outcome"] for each in record[side]["results"]],
        )
        for side in ("run", "baseline")
    ]


@pytest.mark.parametrize("looks", [1, 2])
def test_stored_replies_of_the_baseline_are_not_compared_with_new_ones_of_another_model(
    gate, judge_server, project, another_adapter, looks
):
    """The name stands for a stricter model than when the baseline's answers were judged."""
    gate("--gate-baseline=base")
    judge_server.answer, judge_server.fields = passing("Oslo"), {"model": "strict"}
    project.wrong["candidate"] = {"italy"}
    another_adapter()
    asked = len(judge_server.bodies)
    options = ("--gate-baseline=base", f"--gate-looks={looks}", "--gate-json=record.json")
    gate(*options)
    expected = [({"judge": "strict"}, ["failed"] * 3 + ["passed"])] * 2
    assert judges_and_outcomes(project) == expected
    assert len(judge_server.bodies) == asked + 5
    # All replies are stored now, under the name that was asked for.
    judge_server.faults = ["401"] * 9
    text = said(gate(*options))
    assert judges_and_outcomes(project) == expected
    assert "0 requests, 5 cached replies" in text


@pytest.mark.parametrize("wrong", ["all", "one"])
def test_a_stored_run_is_judged_anew_by_new_replies_alone(
    gate, judge_server, project, another_adapter, wrong
):
    """Whether its stored replies are of a text that the candidate says too, or of none."""
    gate("--gate-baseline=none")
    judge_server.answer, judge_server.fields = passing("Oslo"), {"model": "strict"}
    project.wrong["candidate"] = set(NAMES) if wrong == "all" else {"italy"}
    another_adapter()
    for _ in range(2):
        text = said(
            gate("--gate-baseline=latest~1" if _ else "--gate-baseline=latest", "--gate-json=record.json")
        )
        run, baseline = judges_and_outcomes(project)
        assert run[0] == baseline[0] == {"judge": "strict"}
        assert baseline[1] == ["failed"] * 3 + ["passed"]
        assert "scored anew by llm-rubric" in text
        assert "not compared" not in text
    assert "0 requests" in text


def test_stored_replies_of_two_models_are_not_compared(gate, judge_server, project, another_adapter):
    """Nothing new is asked for either side: those of one are then asked anew."""
    gate("--gate-baseline=none")
    judge_server.fields, first = {"model": "strict"}, project.adapter
    project.wrong["candidate"] = set(NAMES)
    another_adapter()
    gate("--gate-baseline=none")
    asked = len(judge_server.bodies)
    gate(f"--gate-baseline={first}", "--gate-json=record.json")
    assert [judge for judge, _ in judges_and_outcomes(project)] == [{"judge": "strict"}] * 2
    assert len(judge_server.bodies) == asked + 4


def test_a_server_that_deals_the_questions_to_two_models_is_one_judge(
    gate, judge_server, project, another_adapter
):
    """Also for a run that one of both has judged, and where all replies are stored."""
    honest = judge_server.answer

    def answer(body):
        judge_server.fields = {"model": "one" if len(judge_server.bodies) % 2 else "two"}
        return honest(body)

    judge_server.answer = answer
    accepting = ("--gate-accept=shipped", "--gate-accept-reason=why")
    text = said(gate("--gate-baseline=none", "--gate-judge-concurrency=1", *accepting))
    assert "the judge answers as one, two: they are taken for one judge" in text
    asked = len(judge_server.bodies)
    gate("--gate-baseline=base", "--gate-json=record.json")
    assert [judge for judge, _ in judges_and_outcomes(project)] == [{"judge": "one, two"}] * 2
    assert len(judge_server.bodies) == asked
    judge_server.answer, judge_server.fields = honest, {"model": "two"}
    project.wrong["candidate"] = {"italy"}
    another_adapter()
    text = said(gate("--gate-baseline=latest"))
    # What it gave together with the new reply's name is not asked anew.
    assert len(judge_server.bodies) == asked + 1
    assert "may come from that" not in text
    text = said(gate("--gate-baseline=shipped", "--gate-no-cache"))
    assert "llm-rubric was scored by judge two, in the baseline by judge one, two: a difference may" in text
    assert "another judge" not in text


OWN_TEST = "def test_own(judge):\n    assert judge('Is it?', 'It is.', rubric='Says so.').reason\n"


def test_what_the_judge_is_asked_after_the_scoring_changes_no_score_s_judge(gate, judge_server, project):
    """All replies are stored; a hand-written test asks what the name stands for today."""
    gate("--gate-baseline=none")
    judge_server.answer, judge_server.fields = passing("Oslo"), {"model": "strict"}
    asked = len(judge_server.bodies)
    project.pytester.makepyfile(test_own=OWN_TEST)
    gate("test_own.py", "--gate-accept=shipped", "--gate-accept-reason=why", "--gate-json=record.json")
    assert len(judge_server.bodies) == asked + 1
    record = record_of(project)["run"]
    assert [each["outcome"] for each in record["results"]] == ["passed"] * 4
    assert record["metrics"]["llm-rubric"]["scored_by"] == {"judge": "scripted"}
    kept = json.loads((project.pytester.path / "baselines" / "shipped.json").read_text())
    assert kept["metrics"]["llm-rubric"]["scored_by"] == {"judge": "scripted"}


def test_a_stored_run_that_todays_judge_scored_is_compared_as_it_is(
    gate, judge_server, project, another_adapter
):
    """The candidate's replies are stored, of what the name stood for; the run's own are not stored here."""
    first, project.wrong["candidate"] = project.adapter, set(NAMES)
    gate("--gate-baseline=none")
    judge_server.fields, project.wrong["candidate"] = {"model": "august"}, set()
    another_adapter()
    gate("--gate-baseline=none", "--gate-no-cache")
    project.adapter = first
    text = said(gate("--gate-baseline=latest", "--gate-json=record.json"))
    assert judges_and_outcomes(project) == [
        ({"judge": "august"}, ["failed"] * 4),
        ({"judge": "august"}, ["passed"] * 4),
    ]
    assert record_of(project)["comparison"]["unpaired"] == []
    assert "scored anew" not in text


def test_a_stored_run_that_two_judges_scored_is_judged_anew(gate, judge_server, project):
    """Stored replies of the one and new ones of the other were once taken for one judge's."""
    gate("--gate-baseline=none", "--gate-json=before.json")
    path = project.pytester.path / "before.json"
    record = json.loads(path.read_text())
    record["run"]["metrics"]["llm-rubric"]["scored_by"] = {"judge": "august, scripted"}
    path.write_text(json.dumps(record))
    asked = len(judge_server.bodies)
    text = said(gate("--gate-baseline=before.json", "--gate-json=record.json"))
    assert [judge for judge, _ in judges_and_outcomes(project)] == [{"judge": "scripted"}] * 2
    assert "is scored anew by llm-rubric" in text
    assert "may come from that" not in text
    assert len(judge_server.bodies) == asked


@pytest.mark.parametrize("today", ["august", "scripted"])
def test_one_question_says_who_judges_where_all_replies_are_stored_and_the_baseline_has_another_judge(
    gate, judge_server, project, today
):
    """Another machine accepted the baseline; this one has the candidate's replies of before."""
    gate("--gate-baseline=none")
    judge_server.fields = {"model": "august"}
    gate("--gate-accept=shipped", "--gate-accept-reason=why", "--gate-no-cache")
    judge_server.fields, asked = {"model": today}, len(judge_server.bodies)
    text = said(gate("--gate-baseline=shipped", "--gate-json=record.json"))
    assert record_of(project)["run"]["metrics"]["llm-rubric"]["scored_by"] == {"judge": today}
    assert ("august judged it in the baseline, scripted in the candidate" in text) is (today == "scripted")
    assert len(judge_server.bodies) == asked + (5 if today == "august" else 1)
