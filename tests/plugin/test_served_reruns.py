"""What a rerun of a gate behind servers needs and tells, with forgetting probes, as by default."""

import json
import re

import pytest
import scipy.special  # noqa: F401 # sessions inside tests compute with it, and would load its parts twice

from harness.errors import SettingsError
from harness.history.store import open_history

CASES = "".join(
    f"  - {{id: c{n}, prompt: what is q{n}x, checks: [{{type: contains, value: w}}]}}\n" for n in range(12)
)
SET = f"name: small\ncases:\n{CASES}"
# The server gives no losses on them.
LOSSES = """\
  - {id: text, prompt: what is one, references: [two], checks: [{type: perplexity, threshold: 9}]}
  - {id: choice, prompt: what is two, checks: [{type: choice-likelihood, value: b, choices: [a, b]}]}
"""
KNOWN = "--gate-model-id=release 7"


@pytest.fixture
def gate(pytester):
    """Runs a gate with the usual settings."""
    return lambda *arguments: pytester.runpytest_inprocess("-p", "no:xdist", *arguments)


@pytest.fixture
def both(judge_server):
    """A server of two models that answer alike; the baseline passes some probes. Gives the options."""
    judge_server.answer = lambda body: "w1 Paris"
    judge_server.names = {"mine", "base"}
    spec = f"@{judge_server.url}"
    return f"--model=openai:mine{spec}", f"--gate-baseline=openai:base{spec}", KNOWN


def newest(pytester):
    with open_history(pytester.path / ".tunegate" / "history.sqlite") as history:
        return history.load_run("latest")


def asked(server):
    """The questions to the two models."""
    return [body for body in server.bodies if "messages" in body and body["model"] in {"mine", "base"}]


def told(pytester, result):
    """What a reader sees of a gate, without what asking took."""
    run = newest(pytester)
    lines = [re.sub("^server: | +", " ", line).strip() for line in result.stdout.lines]
    server = [line for line in lines if "texts were not scored" in line or "answers of openai" in line]
    cases = {each.key: (str(each.outcome), [str(one) for one in each.unscored]) for each in run.results}
    return result.ret, server, cases, run.text_losses


@pytest.mark.parametrize("arguments", [[], ["--gate-looks=2"]], ids=["once", "looks"])
def test_a_rerun_with_all_answers_stored_needs_neither_server_nor_key(
    gate, both, pytester, write_golden, judge_server, monkeypatch, arguments
):
    write_golden(pytester, "small", SET + LOSSES)
    first = told(pytester, gate(*both, *arguments))
    assert newest(pytester).plan.server.requests
    assert len(first[1]) == 2
    assert {first[2][f"small/{name}"][0] for name in ("text", "choice")} == {"unscored"}
    number = len(judge_server.bodies)

    def refuse(url, *_, **__):
        raise SettingsError(f"{url}: no key")

    for module in ("describe", "engine"):
        monkeypatch.setattr(f"harness.engines.served.{module}.open_client", refuse)
    assert told(pytester, gate(*both, *arguments)) == first
    alone = gate(both[0], "--gate-baseline=none", KNOWN)
    alone.stdout.fnmatch_lines(["server: texts were not scored, and checks that need it are unscored: *"])
    assert len(judge_server.bodies) == number


def test_a_server_that_gives_losses_now_is_asked_for_them_with_the_next_answer(
    gate, both, pytester, write_golden, judge_server
):
    write_golden(pytester, "small", SET)
    gate(*both)
    judge_server.bodies.clear()
    write_golden(pytester, "small", SET.replace("q7x", "q7y"))
    gate(*both)
    assert sum("echo" in body for body in judge_server.bodies) > 2
    assert len(asked(judge_server)) == 2


def test_general_text_that_cannot_be_asked_for_is_left_out_of_stored_answers(
    gate, both, pytester, write_golden, judge_server, monkeypatch
):
    """Neither losses nor that there are none are stored, as after a server that failed at them."""
    write_golden(pytester, "small", SET)
    whole = judge_server.reply

    def reply(handler, body):
        if "echo" in body:
            judge_server._send(handler, 503, '{"error": {"message": "busy"}}', {"Retry-After": "0.01"})
        else:
            whole(handler, body)

    monkeypatch.setattr(judge_server, "reply", reply)
    first = gate(*both)
    first.stdout.fnmatch_lines(["server: general text: * passages got no loss and are left out (*)"])
    number = len(asked(judge_server))

    def refuse(url, *_, **__):
        raise SettingsError(f"{url}: no key")

    monkeypatch.setattr("harness.engines.served.engine.open_client", refuse)
    again = gate(*both)
    assert again.ret == first.ret
    again.stdout.fnmatch_lines(["server: general text: * passages got no loss and are left out (*: no key)"])
    assert len(asked(judge_server)) == number


def test_a_case_that_fails_each_time_makes_stored_answers_none_of_this_session(
    gate, pytester, write_golden, judge_server, monkeypatch
):
    """One port had the base before, and has the tuned model now, which most answers are alike of."""
    write_golden(pytester, "small", SET)
    judge_server.answer = lambda body: "w1 Paris"
    whole = judge_server.reply

    def reply(handler, body):
        if "q3x" in json.dumps(body):
            judge_server._send(handler, 400, '{"error": {"message": "it fills the context"}}', {})
        else:
            whole(handler, body)

    monkeypatch.setattr(judge_server, "reply", reply)
    spec = f"@{judge_server.url}"
    gate(f"--model=openai:base{spec}", "--gate-baseline=none", KNOWN)
    judge_server.answer = lambda body: f"w1 Paris{'!' * ('q7x' in json.dumps(body))}"
    result = gate(f"--model=openai:mine{spec}", f"--gate-baseline=openai:base{spec}", KNOWN)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["server: * of * answers of *, and * answers for names of models that *"])
