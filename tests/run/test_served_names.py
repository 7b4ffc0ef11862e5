"""Whether two names on a server are two models."""

import re

import pytest
import scipy.special  # noqa: F401 # sessions inside tests compute with it, and would load its parts twice

from harness.errors import SettingsError
from harness.history.store import open_history

CASES = "\n".join(
    f"  - {{id: c{n}, prompt: q{n}, checks: [{{type: contains, value: w}}]}}" for n in range(12)
)
SET = f"name: small\ncases:\n{CASES}\n"


@pytest.fixture
def gate(pytester):
    """Runs a gate on a scripted server, without forgetting."""
    (pytester.path / "golden_sets").mkdir()
    (pytester.path / "golden_sets" / "small.yaml").write_text(SET)

    def run(*arguments):
        return pytester.runpytest_inprocess("-p", "no:xdist", "--gate-no-forgetting", *arguments)

    return run


def stored(pytester):
    with open_history(pytester.path / ".tunegate" / "history.sqlite") as history:
        return history.load_run("latest")


def test_a_server_that_ignores_names_makes_no_pass(gate, pytester, judge_server):
    judge_server.answer = lambda body: "w1"
    spec = f"@{judge_server.url}"
    baseline = f"openai:base{spec}"
    result = gate(f"--model=openai:mine{spec}", f"--gate-baseline={baseline}")
    assert result.ret == 4
    result.stdout.fnmatch_lines(
        [
            f"ERROR: openai:mine{spec} and {baseline}: all 12 answers are equal, and {judge_server.url} answers for *"
        ]
    )
    assert not re.search("PASS|REGRESS", result.stdout.str())
    # Also where the baseline is a stored run.
    assert gate(f"--model={baseline}", "--gate-baseline=none").ret == 0
    assert gate(f"--model=openai:mine{spec}", f"--gate-baseline={stored(pytester).id}").ret == 4
    # A model against itself is one on purpose.
    assert gate(f"--model={baseline}", f"--gate-baseline={baseline}").ret == 0


def test_equal_answers_of_two_models_are_said(gate, pytester, judge_server):
    judge_server.answer = lambda body: "w1"
    judge_server.names = {"mine", "base"}
    spec = f"@{judge_server.url}"
    result = gate(f"--model=openai:mine{spec}", f"--gate-baseline=openai:base{spec}")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["server: all 12 answers of openai:mine@* and openai:base@* are equal: *"])
    assert stored(pytester).plan.server.notes


@pytest.mark.parametrize("given", [[], ["--gate-model-id=release 7"]])
def test_one_answer_that_a_batch_changed_makes_no_second_model(gate, pytester, judge_server, given):
    """Whether the server has a list of models, or nobody looks into it."""
    judge_server.answer = lambda body: f"w1{body['model'] * ('q7' in body['messages'][0]['content'])}"
    spec = f"@{judge_server.url}"
    baseline = f"openai:base{spec}"
    result = gate(f"--model=openai:mine{spec}", f"--gate-baseline={baseline}", *given)
    assert result.ret == 4
    said = f"11 of 12 answers are equal, and {judge_server.url} answers for *"
    result.stdout.fnmatch_lines([f"ERROR: openai:mine{spec} and {baseline}: {said}"])
    # Since the stored run the server may have got another model, as similar as two trainings are.
    gate(f"--model={baseline}", "--gate-baseline=none", *given)
    result = gate(f"--model=openai:mine{spec}", f"--gate-baseline={stored(pytester).id}", *given)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["server: 11 of 12 answers of *, and * answers for names of models that *"])
    # A server that refuses other names has both.
    judge_server.names = {"mine", "base"}
    result = gate(f"--model=openai:mine{spec}", f"--gate-baseline={baseline}", *given)
    assert (result.ret, stored(pytester).plan.server.notes) == (0, ())


def test_samples_that_differ_tell_no_models_apart(gate, pytester, judge_server):
    text = SET.replace("cases:", "generation: {temperature: 1}\ncases:", 1)
    (pytester.path / "golden_sets" / "small.yaml").write_text(text)
    judge_server.answer = lambda body: f"w1 {body['model']}"
    spec = f"@{judge_server.url}"
    result = gate(f"--model=openai:mine{spec}", f"--gate-baseline=openai:base{spec}")
    assert result.ret == 4
    result.stdout.fnmatch_lines(["ERROR: *: 0 of 12 answers are equal, and * answers for names of models *"])


def test_greedy_answers_tell_models_apart_beside_samples(gate, pytester, judge_server):
    """Eight of twelve answers are samples; all four others differ."""
    sampled = "".join(f"  - {{id: s{n}, prompt: s{n}, generation: {{temperature: 1}}}}\n" for n in range(8))
    text = f"name: small\ndefaults: {{checks: [{{type: contains, value: w}}]}}\ncases:\n{sampled}" + "".join(
        f"  - {{id: c{n}, prompt: q{n}}}\n" for n in range(4)
    )
    (pytester.path / "golden_sets" / "small.yaml").write_text(text)
    judge_server.answer = lambda body: f"w1{body['model'] * ('q' in body['messages'][0]['content'])}"
    spec = f"@{judge_server.url}"
    result = gate(f"--model=openai:mine{spec}", f"--gate-baseline=openai:base{spec}")
    assert (result.ret, stored(pytester).plan.server.notes) == (0, ())


def test_a_baseline_whose_answers_were_stored_may_have_been_another_model(gate, pytester, judge_server):
    """One port had the base before, and has the tuned model now: most answers are equal."""
    judge_server.answer = lambda body: "w1"
    spec, known = f"@{judge_server.url}", "--gate-model-id=release 7"
    assert gate(f"--model=openai:base{spec}", "--gate-baseline=none", known).ret == 0
    judge_server.answer = lambda body: f"w1{'!' * ('q7' in body['messages'][0]['content'])}"
    result = gate(f"--model=openai:mine{spec}", f"--gate-baseline=openai:base{spec}", known)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["server: 11 of 12 answers of *, and * answers for names of models that *"])


def test_stored_answers_need_no_key(gate, pytester, judge_server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    judge_server.answer = lambda body: "w1"
    judge_server.names = {"mine", "base"}
    spec = f"@{judge_server.url}"
    given = (f"--model=openai:mine{spec}", f"--gate-baseline=openai:base{spec}", "--gate-model-id=release 7")
    assert gate(*given).ret == 0
    number = len(judge_server.bodies)

    def refuse(*_, **__):
        raise SettingsError(f"{judge_server.url}: no key")

    monkeypatch.setattr("harness.engines.served.describe.open_client", refuse)
    result = gate(*given)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["server: all 12 answers of openai:mine@* and openai:base@* are equal: *"])
    assert len(judge_server.bodies) == number


def test_models_that_answer_differently_are_two(gate, pytester, judge_server):
    """Under whatever name the server answers too."""
    judge_server.answer = lambda body: f"w1 {body['model']}"
    spec = f"@{judge_server.url}"
    result = gate(f"--model=openai:mine{spec}", f"--gate-baseline=openai:base{spec}")
    assert (result.ret, stored(pytester).plan.server.notes) == (0, ())


def test_servers_of_their_own_are_not_asked_for_other_names(gate, judge_server, second_server):
    for server in (judge_server, second_server):
        server.answer = lambda body: "w1"
    result = gate(f"--model=openai:m@{judge_server.url}", f"--gate-baseline=openai:m@{second_server.url}")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["server: all 12 answers of *"])
    assert {body["model"] for body in judge_server.bodies} == {"m"}
