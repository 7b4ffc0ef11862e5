"""Answers come from the cache by content, across sessions and after a crash."""

import datetime
import json
import shutil

import pytest


def test_a_second_run_asks_nothing(project):
    project.run().assert_outcomes(passed=10)
    project.run().assert_outcomes(passed=10)
    assert len(project.opened) == 1


def test_no_cache_asks_again(project):
    project.run("--gate-no-cache")
    project.run("--gate-no-cache")
    assert len(project.asked) == 40


def test_retraining_into_the_same_directory_asks_the_candidate_again(
    project, tmp_path, tiny_model_dir, make_tiny_adapter
):
    """The adapter's content is the key; the base's answers stay."""
    project.adapter = shutil.copytree(project.adapter, tmp_path / "mine")
    project.run()
    make_tiny_adapter(tiny_model_dir, project.adapter, spread=0.5, seed=9)
    before = len(project.asked)
    project.run()
    assert len(project.asked) - before == 10
    assert all(question.startswith("candidate") for question in project.asked[before:])


def test_a_killed_run_resumes_at_the_last_batch(project, monkeypatch):
    """Batches that were finished before a crash aren't generated again."""
    engine_class = type(project.opened[0]) if project.opened else None
    project.run("-k", "france or italy or spain")
    assert engine_class is None
    project.run()
    assert len(project.asked) == 20


def test_a_case_that_changed_is_asked_again(project, write_golden):
    project.run()
    text = (project.pytester.path / "golden_sets/capitals.yaml").read_text()
    write_golden(project.pytester, "capitals", text.replace("capital of peru?", "capital city of peru?"))
    before = len(project.asked)
    project.run()
    assert sorted(project.asked[before:]) == ["baseline:peru", "candidate:peru"]


@pytest.mark.parametrize("times", [2])
def test_a_dead_adapter_is_refused_before_scoring(project, monkeypatch, times):
    """An adapter that changes no logit ends the session with exit status 4, each time."""
    from harness.run import generation as answers

    opening = answers.open_sides

    def open_dead(sides, plan):
        engine = opening(sides, plan)
        engine.logit_change = 0.0
        return engine

    monkeypatch.setattr("harness.run.generation.open_sides", open_dead)
    for _ in range(times):
        result = project.run()
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(["ERROR: *changes no logit*"])
    assert project.asked == []


@pytest.fixture
def clock(monkeypatch):
    """Sets the day that chat templates are told by the library."""
    from transformers.utils import chat_template_utils

    def set_day(*day):
        class Today(datetime.datetime):
            @classmethod
            def now(cls, tz=None):
                return datetime.datetime(*day)

        monkeypatch.setattr(chat_template_utils, "datetime", Today)

    return set_day


@pytest.mark.parametrize("template", ["llama3_2", "gptoss"])
def test_the_same_gate_on_two_dates_gives_the_same_prompts(
    project, tmp_path, clock, shipped, letters, template
):
    """Templates of real models write today's date."""
    project.adapter = shutil.copytree(project.adapter, tmp_path / "dated")
    (project.adapter / "chat_template.jinja").write_text(shipped(template))
    tokenizer, turns = letters(shipped(template)), [{"role": "user", "content": "What day is it?"}]
    hashes, free = [], []
    for day in ((2026, 3, 9), (2027, 12, 31)):
        clock(*day)
        free.append(tokenizer.apply_chat_template(turns, tokenize=False))
        project.run("--gate-no-cache", "--gate-json=out.json")
        record = json.loads((project.pytester.path / "out.json").read_text())
        hashes.append([result["completion"]["prompt_sha256"] for result in record["run"]["results"]])
    assert len(set(hashes[0])) == 10
    assert hashes[0] == hashes[1]
    assert free[0] != free[1]
    project.run()
    clock(2028, 1, 1)
    before = len(project.asked)
    project.run()
    assert len(project.asked) == before
