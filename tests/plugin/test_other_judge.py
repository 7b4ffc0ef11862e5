"""A baseline that another judge scored: its scores decide nothing, and a stored run is judged anew."""

import json

import pytest

from harness.baselines.paired_runs import require_pairs
from harness.comparison.pairing import pair_runs
from harness.errors import BaselineError
from harness.history.store import open_history

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
    told = "is scored anew by llm-rubric: another judge or encoder gave its own scores"
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
