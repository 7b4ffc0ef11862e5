"""The gate on models behind servers: the same verdict and answers as here, and what a server can't do."""

import re
from collections import Counter
from functools import partial

import pytest
import scipy.special  # noqa: F401 # sessions inside tests compute with it, and would load its parts twice

from harness.history.store import open_history

CASES = "\n".join(
    f"  - {{id: c{n}, prompt: what is w{n}, checks: [{{type: regex, value: 'w[0-4]'}}]}}" for n in range(12)
)
SET = f"name: small\ngeneration: {{max_new_tokens: 6}}\ncases:\n{CASES}\n"
SCORED = """\
name: scored
cases:
  - {id: plain, prompt: what is one, checks: [{type: contains, value: o}]}
  - {id: text, prompt: what is one, references: [two], checks: [{type: perplexity, threshold: 1000000}]}
"""


@pytest.fixture
def gate(pytester, write_golden):
    """Runs a gate in a project with a small golden set, without forgetting."""
    write_golden(pytester, "small", SET)

    def run(*arguments):
        return pytester.runpytest_inprocess("-p", "no:xdist", "--gate-no-forgetting", *arguments)

    return run


def newest(pytester):
    with open_history(pytester.path / ".tunegate" / "history.sqlite") as history:
        return history.load_run("latest")


def texts(run):
    return {result.key: result.completion.text for result in run.results}


def verdict_of(result):
    found = re.search(r"(PASS|REGRESS|INCONCLUSIVE)", result.stdout.str())
    return found and found[1], result.ret


def test_a_served_adapter_gets_the_verdict_it_gets_here(
    gate, pytester, start_app, tiny_model_dir, tiny_adapter_dir
):
    here = gate(f"--model={tiny_adapter_dir}")
    local = texts(newest(pytester))
    url = start_app(tiny_model_dir, [tiny_adapter_dir], runtime_adapters=True)
    served = f"openai:{tiny_adapter_dir.name}@{url}"
    for arguments in (
        [f"--model={served}"],
        [f"--model={tiny_adapter_dir}", "--gate-engine=vllm", f"--gate-server={url}"],
    ):
        there = gate(*arguments)
        assert verdict_of(there) == verdict_of(here)
        run = newest(pytester)
        assert texts(run) == local
        assert run.plan.server.requests >= 24
        there.stdout.fnmatch_lines(["server: * requests, *"])
    # Weights that the server identifies are cached across runs.
    again = gate(f"--model={served}")
    assert newest(pytester).plan.server.requests == 0
    assert verdict_of(again) == verdict_of(here)


def test_a_served_model_is_compared_with_a_stored_run_and_with_another_model(gate, pytester, judge_server):
    judge_server.answer = lambda body: "w1" if body["model"] == "good" else "nothing"
    spec = f"@{judge_server.url}"
    assert gate(f"--model=openai:good{spec}", "--gate-baseline=none").ret == 0
    stored = newest(pytester).id
    assert verdict_of(gate(f"--model=openai:bad{spec}", f"--gate-baseline={stored}")) == ("REGRESS", 1)
    assert verdict_of(gate(f"--model=openai:bad{spec}", f"--gate-baseline=openai:good{spec}")) == (
        "REGRESS",
        1,
    )
    before = len(judge_server.bodies)
    vouched = gate(f"--model=openai:good{spec}", "--gate-baseline=none", "--gate-model-id=release 7")
    assert (vouched.ret, len(judge_server.bodies)) == (0, before + 12)
    # What the user vouches for is asked once.
    gate(f"--model=openai:good{spec}", "--gate-baseline=none", "--gate-model-id=release 7")
    assert len(judge_server.bodies) == before + 12


def test_checks_that_need_log_probabilities_are_unscored_without_them(
    gate, pytester, write_golden, judge_server
):
    write_golden(pytester, "scored", SCORED)
    (pytester.path / "golden_sets" / "small.yaml").unlink()
    judge_server.answer = lambda body: "so"
    result = gate(f"--model=openai:m@{judge_server.url}", "--gate-baseline=none")
    found = {each.key: str(each.outcome) for each in newest(pytester).results}
    assert found == {"scored/plain": "passed", "scored/text": "unscored"}
    result.stdout.fnmatch_lines(["*texts were not scored, and checks that need it are unscored: *"])


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--model=openai:m@http://127.0.0.1:9/v1"], "*is the server running*"),
        (
            ["--model=ADAPTER", "--gate-server=http://h/v1"],
            "*--gate-server: needs --gate-engine vllm*",
        ),
        (
            ["--model=ADAPTER", "--gate-engine=vllm", "--gate-server=http://user:word@h/v1"],
            "*--gate-server: the address * contains a user*",
        ),
        (["--model=ADAPTER", "--gate-model-id=7"], "*--gate-model-id 7: is for models behind servers*"),
        (
            ["--model=openai-completions:m@SERVER", "--gate-engine=vllm", "--gate-baseline=none"],
            "*--gate-engine vllm: runs a base model and its adapters*",
        ),
    ],
    ids=str,
)
def test_what_has_no_effect_or_no_server_is_refused(gate, tiny_adapter_dir, judge_server, arguments, reason):
    given = [
        each.replace("ADAPTER", str(tiny_adapter_dir)).replace("SERVER", judge_server.url)
        for each in arguments
    ]
    result = gate(*given)
    assert result.ret == 4
    result.stderr.fnmatch_lines([reason])


ONE_AT_A_TIME = ("--gate-server-concurrency=1",)
MUST = SET.replace("prompt:", "must_pass: true, prompt:")


@pytest.fixture
def dying(judge_server, monkeypatch):
    """A server that answers some questions and is gone then; gives the function that says how many."""
    from harness.engines.served import describe, engine

    # Waits of half a second and more between attempts, for a server that starts anew.
    quick = partial(describe.open_client, first_wait_s=0.001)
    monkeypatch.setattr(engine, "open_client", quick)

    def after(number):
        judge_server.answer = lambda body: "w1"
        judge_server.faults = ["" for _ in range(number)] + ["reset"] * 999
        return f"--model=openai:m@{judge_server.url}"

    return after


@pytest.mark.parametrize("written", [SET, MUST], ids=["others", "must-pass"])
@pytest.mark.parametrize("fail_on", ["regress", "case"])
def test_what_a_server_that_dies_did_not_answer_is_errored_and_never_lost(
    gate, pytester, write_golden, dying, written, fail_on
):
    """Its death says nothing of the model: no regression, no failed case, and no pass."""
    write_golden(pytester, "small", written)
    gate(dying(12), "--gate-baseline=none")
    base, status = newest(pytester).id, 0 if (written, fail_on) == (SET, "regress") else 3
    for baseline in (base, "none"):
        result = gate(dying(5), f"--gate-baseline={baseline}", f"--gate-fail-on={fail_on}")
        assert verdict_of(result) == ((None, 3) if baseline == "none" else ("INCONCLUSIVE", status))
        results = newest(pytester).results
        assert Counter(str(each.outcome) for each in results) == {"errored": 7, "passed": 5}
        assert all("no reply" in error.error for each in results for error in each.errors)


def test_a_server_that_dies_between_two_sides_leaves_the_first_one_s_answers(
    gate, pytester, write_golden, dying
):
    """The second side has none, and texts get no loss."""
    text = "  - {id: text, prompt: what is one, references: [two], checks: [{type: perplexity, threshold: 1000000}]}"
    write_golden(pytester, "small", f"{SET}{text}\n")
    model = dying(13)
    result = gate(model, model.replace("--model=openai:m@", "--gate-baseline=openai:base@"), *ONE_AT_A_TIME)
    # Nothing can be compared, and the record tells of each case why.
    assert verdict_of(result) == ("INCONCLUSIVE", 3)
    assert Counter(str(each.outcome) for each in newest(pytester).results) == {"passed": 12, "errored": 1}


def test_a_model_that_ends_at_once_fails_behind_every_server(gate, pytester, judge_server):
    """SGLang writes null for an empty answer; a fault of the server would be no verdict."""
    judge_server.answer = lambda body: "w1" if body["model"] == "good" else None
    spec = f"@{judge_server.url}"
    result = gate(f"--model=openai:bad{spec}", f"--gate-baseline=openai:good{spec}")
    assert verdict_of(result) == ("REGRESS", 1)
    assert {result.completion.text for result in newest(pytester).results} == {""}


def test_a_case_that_must_pass_and_fails_is_a_regression_also_where_the_server_dies(
    gate, pytester, write_golden, dying, judge_server
):
    write_golden(pytester, "small", MUST)
    gate(dying(12), "--gate-baseline=none")
    base, model = newest(pytester).id, dying(5)
    judge_server.answer = lambda body: "nothing"
    assert verdict_of(gate(model, f"--gate-baseline={base}")) == ("REGRESS", 1)


MANY = "name: many\ncases:\n" + "".join(
    f"  - {{id: c{n}, prompt: what is w{n}x, checks: [{{type: contains, value: w1}}]}}\n" for n in range(300)
)


@pytest.fixture
def bodies_of(judge_server):
    """How many requests the server got for names of models. The new one loses a few and gains some, all along."""
    wrong = {"good": (40, 13), "new": (20, 7), "bad": (1, 0)}

    def answer(body):
        every, first = wrong[body["model"]]
        number = re.search("w([0-9]+)", body["messages"][0]["content"])[1]
        return "nothing" if int(number) % every == first else "w1"

    judge_server.answer, judge_server.names = answer, set(wrong)
    return lambda *names: sum(body["model"] in names for body in judge_server.bodies)


def test_the_use_of_all_looks_is_told(gate, pytester, write_golden, judge_server, bodies_of):
    """Also of those whose engine was opened anew, since the baseline's first answers were stored."""
    write_golden(pytester, "small", MANY)
    spec = f"@{judge_server.url}"
    given = (f"--gate-baseline=openai:good{spec}", "--gate-looks=5", "--gate-model-id=release 7")
    given = (*given, "--gate-server-prices=1/2")
    gate(f"--model=openai:bad{spec}", *given)
    use = newest(pytester).plan.server
    assert use.requests == bodies_of("bad", "good") == 120
    judge_server.bodies.clear()
    gate(f"--model=openai:new{spec}", *given)
    run = newest(pytester)
    assert run.looks[0].look > 2
    assert run.plan.server.requests == bodies_of("new", "good")
    assert bodies_of("new") == bodies_of("good") + 60
    asked = run.plan.server.requests
    assert run.plan.server.cost == pytest.approx(asked * (100 * 1 + 10 * 2) / 1e6)
    # All is stored: nothing is asked.
    result = gate(f"--model=openai:new{spec}", *given)
    assert newest(pytester).plan.server.requests == 0
    result.stdout.no_fnmatch_line("server: * requests*")


def test_the_use_of_new_answers_is_told(gate, pytester, judge_server, bodies_of):
    spec = f"@{judge_server.url}"
    given = (f"--gate-baseline=openai:good{spec}", "--gate-confirm=3")
    assert verdict_of(gate(f"--model=openai:bad{spec}", *given)) == ("REGRESS", 1)
    assert newest(pytester).plan.server.requests == bodies_of("bad", "good") == 24 * (1 + 3)


def test_an_adapter_is_loaded_once_for_all_tests_and_once_for_all_looks(
    gate, pytester, start_app, tiny_model_dir, tiny_adapter_dir
):
    asked = Counter()

    def counting(app):
        async def counted(scope, receive, send):
            asked[scope["path"].rpartition("/")[2]] += 1
            await app(scope, receive, send)

        return counted

    url = start_app(tiny_model_dir, runtime_adapters=True, wrap=counting)
    tests = "".join(f"def test_{n}(generate):\n    assert generate('what is w{n}')\n" for n in range(3))
    pytester.makepyfile(test_mine=tests)
    result = gate(
        f"--model={tiny_adapter_dir}", "--gate-engine=vllm", f"--gate-server={url}", "--gate-looks=3"
    )
    assert result.parseoutcomes()["passed"] >= 3
    assert (asked["load_lora_adapter"], asked["unload_lora_adapter"]) == (2, 2)
