"""``--gate-confirm`` in a whole session: what it asks, what it says, how the session ends."""

import pytest

SET = """\
name: towns
cases:
{cases}"""
CASE = "  - {{id: t{n}, prompt: Say yes to {n}., references: ['yes'], checks: [{{type: exact-match}}]}}\n"
N = 40


@pytest.fixture
def towns(project, write_golden, monkeypatch):
    """Forty cases of which the candidate fails twelve."""
    write_golden(project.pytester, "towns", SET.format(cases="".join(CASE.format(n=n) for n in range(N))))
    # The fresh answers are asked for under the case's own key and two more.
    project.wrong["candidate"] = {f"t{n}{more}" for n in range(12) for more in ("", "#2", "#3")}
    monkeypatch.setenv("COLUMNS", "200")
    return project


def run(project, *arguments):
    return project.run("golden_sets/towns.yaml", *arguments)


def resampled(project):
    return sorted(question for question in project.asked if "#" in question)


def test_a_real_regression_is_confirmed(towns):
    result = run(towns, "--gate-confirm=3")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*12 flipped cases resampled confirm it: baseline 36/36, candidate 0/36*"])
    # Twelve cases, twice more after the first fresh answer, on both sides.
    assert len(resampled(towns)) == 12 * 2 * 2


def test_a_passing_flake_does_not_fail_the_build(towns, monkeypatch):
    """What fails at the first answer only is inconclusive, not a regression."""
    generate = towns.engine.generate

    def flaky(self, requests, on_batch):
        self.wrong = towns.wrong if requests[0].settings.seed < 1000 else {}
        generate(self, requests, on_batch)

    monkeypatch.setattr(towns.engine, "generate", flaky)
    result = run(towns, "--gate-confirm=3")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*INCONCLUSIVE*", "*12 flipped cases resampled do not confirm a drop*"])


def test_the_second_session_asks_nothing_anew(towns):
    run(towns, "--gate-confirm=3")
    asked = len(towns.asked)
    result = run(towns, "--gate-confirm=3")
    assert len(towns.asked) == asked
    result.stdout.fnmatch_lines(["*resampled confirm it*"])


def test_without_it_the_first_word_stands(towns):
    result = run(towns)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert resampled(towns) == []


def test_a_stored_baseline_cannot_be_resampled(towns):
    run(towns)
    result = run(towns, "--gate-confirm=3", "--gate-baseline=latest")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--gate-confirm resamples both sides, and of this baseline only*"])


JUDGED = """\
name: judged
defaults:
  checks: [{type: llm-rubric, value: "Says yes."}]
cases:
"""


def test_judges_are_asked_anew(project, write_golden, judge_server, monkeypatch):
    """Greedy answers are the same again; the judge's replies that were kept don't decide, fresh ones do."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    cases = "".join(f"  - {{id: t{n}, prompt: Say yes to {n}.}}\n" for n in range(N))
    write_golden(project.pytester, "judged", JUDGED + cases)
    project.wrong["candidate"] = {f"t{n}{more}" for n in range(12) for more in ("", "#2")}
    monkeypatch.setenv("COLUMNS", "200")

    def answer(body):
        text = body["messages"][1]["content"].rpartition("Answer to judge:")[2]
        return {"reason": "read it", "pass": body["seed"] > 0 or "yes" in text}

    judge_server.answer = answer
    result = project.run("golden_sets/judged.yaml", f"--gate-judge={judge_server.spec}", "--gate-confirm=2")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        ["*12 flipped cases resampled do not confirm a drop: baseline 24/24, candidate 24/24*judge requests*"]
    )
