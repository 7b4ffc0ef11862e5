"""A gate whose model reasons before it answers: what the limit cut says nothing of a skill."""

import json
from dataclasses import replace

import pytest

PROBES = "name: g\nprobes_forgetting: true\ngeneration: {max_new_tokens: 24}\ncases:\n" + "".join(
    f"  - {{id: a{n}, prompt: Say yes {n}, tags: [words], checks: [{{type: contains, value: 'yes'}}]}}\n"
    for n in range(60)
)


@pytest.fixture
def thinking(project, write_golden, monkeypatch):
    """A project with probes; the sides that a test names think, and the limit cuts that."""
    write_golden(project.pytester, "g", PROBES)
    sides, generate = set(), project.engine.generate

    def cut(self, requests, on_batch):
        def on_answers(answers):
            for index, answer in answers.items():
                if requests[index].side in sides and "/a" in requests[index].key:
                    answers = {**answers, index: cut_short(answer)}
            on_batch(answers)

        generate(self, requests, on_answers)

    monkeypatch.setattr(project.engine, "generate", cut)
    return project, sides


def cut_short(answer):
    return replace(answer, text="<think>\nThe user wants me to say", stop_reason="length")


def gate(project, *arguments):
    result = project.run(
        "golden_sets", "--gate-json=record.json", "--gate-margin=0.5", *arguments, forgetting=True
    )
    return result, json.loads((project.pytester.path / "record.json").read_text())


@pytest.mark.parametrize("who", [{"candidate"}, {"baseline"}, {"candidate", "baseline"}])
def test_the_probes_are_open_and_the_task_has_its_verdict(thinking, who):
    project, sides = thinking
    sides |= who
    result, record = gate(project)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*INCONCLUSIVE*", "*g: 60 of 60 cases were left unscored in the *"])
    rows = {
        row["set_name"]: row["verdict"]
        for row in record["comparison"]["metrics"]
        if row["metric"] == "pass-rate"
    }
    assert rows["capitals"] == "pass"
    page = next(project.pytester.path.rglob("report.html")).read_text()
    assert "reasoning and no answer" in page


def test_a_lost_task_is_a_regression_beside_them(thinking):
    project, sides = thinking
    sides.add("baseline")
    project.wrong["candidate"] = {
        "france",
        "italy",
        "spain",
        "norway",
        "peru",
        "japan",
        "kenya",
        "egypt",
        "cuba",
    }
    result, record = gate(project, "--gate-margin=0.05")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert record["verdict"]["outcome"] == "regress"
