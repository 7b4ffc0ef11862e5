"""The session's work is done once, before the items and outside their time; what breaks it is said once."""

import json
from pathlib import Path

import pytest

from harness.errors import EngineError, ModelError


def test_no_item_waits_for_the_answers(project):
    """A limit on an item's time, as pytest-timeout sets one, does not cut the answering."""
    begun = []

    class Watch:
        def pytest_runtest_logstart(self, nodeid):
            begun.append(len(project.asked))

    result = project.pytester.inline_run(
        *("-p", "no:xdist", f"--model={project.adapter}", "--gate-no-forgetting"), plugins=[Watch()]
    )
    assert result.ret == pytest.ExitCode.OK
    assert begun == [20] * 10


def test_an_engine_that_breaks_ends_the_session_once(project, monkeypatch):
    calls = []

    def generate(self, requests, on_batch):
        calls.append(len(requests))
        raise TypeError("boom")

    monkeypatch.setattr(project.engine, "generate", generate)
    result = project.run()
    assert result.ret == pytest.ExitCode.INTERNAL_ERROR
    assert len(calls) == 1
    assert "10 failed" not in result.stdout.str()


@pytest.mark.parametrize(("kind", "status"), [(EngineError, 3), (ModelError, 4)])
def test_a_model_that_cannot_answer_ends_the_session_with_a_clean_line(project, monkeypatch, kind, status):
    """Before the golden cases, and in a hand-written test: no name of an exception's class is shown."""

    def generate(self, requests, on_batch):
        raise kind("model x: can't be run; try y")

    monkeypatch.setattr(project.engine, "generate", generate)
    project.pytester.makepyfile(test_hand="def test_one(generate): generate('What?')")
    for asked in ("golden_sets", "test_hand.py"):
        result = project.run(
            asked, *(["golden_sets", "-k", "test_one or france"] if asked != "golden_sets" else [])
        )
        assert result.ret == status
        said = result.stdout.str() + result.stderr.str()
        assert "ERROR: model x: can't be run; try y" in said
        assert "outcomes" not in said
        assert "Traceback" not in said


def test_setups_that_are_only_shown_ask_nothing(project):
    assert project.run("--setup-plan").ret == pytest.ExitCode.OK
    assert not project.opened


@pytest.mark.parametrize("asked", [("-n2",), ("-nauto", "--dist=loadfile"), ("-d", "--tx=2*popen")])
def test_workers_of_xdist_are_not_started_and_change_nothing(project, asked):
    """The cases are answered and judged together, whatever would distribute them."""
    project.wrong["candidate"] = {"france", "spain"}
    result = project.pytester.runpytest_inprocess(
        f"--model={project.adapter}", "--gate-no-forgetting", "--gate-json=x.json", *asked
    )
    alone = project.run("--gate-json=y.json")
    assert result.ret == alone.ret
    result.stdout.fnmatch_lines(["tunegate: all cases are answered together: xdist starts no workers*"])
    alone.stdout.no_fnmatch_line("tunegate: all cases*")
    assert result.parseoutcomes() == alone.parseoutcomes()
    found = [json.loads(Path(name).read_text("utf-8"))["verdict"] for name in ("x.json", "y.json")]
    assert found[0] == found[1]


TIMEOUT = """
def pytest_addoption(parser):
    parser.addoption("--timeout")
    parser.addini("timeout", "")

def pytest_configure(config):
    config.addinivalue_line("markers", "timeout(seconds): of pytest-timeout")
    config.pluginmanager.register(object(), "timeout")
"""


@pytest.mark.parametrize(
    ("asked", "mark", "loaded_before"),
    [(("--timeout=1",), "", True), (("-o", "timeout=1"), "", True), ((), "@pytest.mark.timeout(1)", True), ((), "", False)],
)  # fmt: skip
def test_a_model_is_loaded_outside_the_time_of_a_test_that_asks_it(project, asked, mark, loaded_before):
    """Where pytest-timeout limits it; elsewhere only if an answer is not in the cache."""
    project.pytester.makeconftest(TIMEOUT)
    project.pytester.makepyfile(
        test_hand=f"import pytest\n\n{mark}\ndef test_one(generate):\n    generate('peru')"
    )
    begun = []

    class Watch:
        def pytest_runtest_logstart(self, nodeid):
            if "test_one" in nodeid:
                begun.append(len(project.opened))

    result = project.pytester.inline_run(
        *(
            "-p",
            "no:xdist",
            f"--model={project.adapter}",
            "--gate-no-forgetting",
            "golden_sets",
            "test_hand.py",
        ),
        *asked,
        plugins=[Watch()],
    )
    assert result.ret == pytest.ExitCode.OK
    assert begun == [2 if loaded_before else 1]
    assert len(project.opened) == 2


def test_a_model_that_cannot_be_loaded_before_such_a_test_ends_the_session_in_one_line(project, monkeypatch):
    project.pytester.makeconftest(TIMEOUT)
    project.pytester.makepyfile(test_hand="def test_one(generate): generate('peru')")

    def broken(sides, plan):
        raise ModelError("model x: can't be loaded; try y")

    monkeypatch.setattr("harness.plugin.progress.open_sides", broken)
    result = project.run("golden_sets", "test_hand.py", "--timeout=1")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    said = result.stdout.str() + result.stderr.str()
    assert "ERROR: model x: can't be loaded; try y" in said
    assert "Traceback" not in said
