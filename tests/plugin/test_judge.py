"""A judge in a whole session: asked beside generation, kept, gated, refused where it is missing."""

import json
import re
import time
from xml.etree import ElementTree

import pytest

JUDGED = """\
name: judged
defaults:
  checks: [{{type: llm-rubric, value: "Names the capital."}}]
cases:
{cases}"""
CASE = "  - {{id: {id}, prompt: What is the capital of {id}?, references: [{answer}]}}\n"
NAMES = {"france": "Paris", "italy": "Rome", "spain": "Madrid", "norway": "Oslo"}


@pytest.fixture
def judged(project, write_golden, judge_server, monkeypatch):
    """A set whose only check is the judge's, which is right."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    cases = "".join(CASE.format(id=id, answer=answer) for id, answer in NAMES.items())
    write_golden(project.pytester, "judged", JUDGED.format(cases=cases))

    def answer(body):
        text = body["messages"][1]["content"].rpartition("Answer to judge:")[2]
        return {"reason": "read it", "pass": any(name in text for name in NAMES.values())}

    judge_server.answer = answer
    return project


def run(project, server, *arguments):
    return project.run("golden_sets/judged.yaml", f"--gate-judge={server.spec}", *arguments)


def test_the_judge_s_verdicts_are_the_outcomes(judged, judge_server):
    judged.wrong["candidate"] = {"italy"}
    result = run(judged, judge_server, "--gate-baseline=none")
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["failed:  llm-rubric: read it (scripted, rubric-1@*"])
    result.stdout.fnmatch_lines(["judge:  openai:scripted@*: not calibrated*", "*4 requests, *tokens*"])


@pytest.mark.parametrize("server", ["offers", "refuses", "ignores"])
def test_the_terminal_counts_replies_that_nothing_held_to_the_schema(judged, judge_server, server):
    send, reply, honest = judge_server._send, judge_server.reply, judge_server.answer

    def refuse(handler, body):
        if "response_format" in body:
            send(handler, 400, '{"error": {"message": "Unknown parameter: response_format"}}', {})
        else:
            reply(handler, body)

    if server == "refuses":
        judge_server.reply = refuse
    if server == "ignores":
        judge_server.answer = lambda body: f"My verdict:\n{json.dumps(honest(body))}"
    result = run(judged, judge_server)
    result.assert_outcomes(passed=4)
    assert ("4 not held to the JSON schema" in result.stdout.str()) is (server != "offers")


def test_a_second_run_asks_nothing(judged, judge_server):
    run(judged, judge_server)
    asked = len(judge_server.bodies)
    result = run(judged, judge_server)
    assert len(judge_server.bodies) == asked
    result.stdout.fnmatch_lines(["* 0 requests, 4 cached replies*"])


def test_equal_answers_of_both_sides_are_judged_once(judged, judge_server):
    run(judged, judge_server)
    assert len(judge_server.bodies) == 4


def test_without_a_judge_the_session_is_refused_before_a_model_loads(judged):
    result = judged.run("golden_sets/judged.yaml")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*llm-rubric needs a judge: give --gate-judge (4 of*"])
    assert judged.opened == []


@pytest.mark.parametrize("spec", ["gpt", "openai:m@http://h?key=hunter2"])
def test_a_bad_spec_is_refused_before_a_model_loads(judged, spec):
    result = judged.run("golden_sets/judged.yaml", f"--gate-judge={spec}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "hunter2" not in result.stderr.str() + result.stdout.str()
    assert judged.opened == []


def test_two_judges_are_refused(judged, judge_server):
    result = run(judged, judge_server, f"--gate-judge={judge_server.spec}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*odd number*"])


def test_a_broken_judge_errors_its_cases(judged, judge_server):
    judge_server.answer = lambda body: "no idea"
    result = run(judged, judge_server)
    assert result.ret == pytest.ExitCode.INTERNAL_ERROR
    result.stdout.fnmatch_lines(
        ["ERRORED golden_sets/judged.yaml::* - llm-rubric: no usable reply in 3*no idea*", "*4 errored in*"]
    )


def test_without_a_baseline_a_case_that_errored_is_an_error_and_no_failure(judged, judge_server):
    honest = judge_server.answer
    judge_server.answer = lambda body: honest(body) if "of italy" in str(body) else "no idea"
    judged.wrong["candidate"] = {"italy"}
    xml = judged.pytester.path / "junit.xml"
    result = run(judged, judge_server, "--gate-baseline=none", f"--junitxml={xml}")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(failed=1, errors=3)
    result.stdout.fnmatch_lines(["*ERROR at call of judged/*", "errored: llm-rubric: no usable reply in 3*"])
    result.stdout.fnmatch_lines_random(
        ["FAILED golden_sets/judged.yaml::italy*", "ERROR golden_sets/judged.yaml::spain*"]
    )
    suite = ElementTree.parse(xml).getroot()[0].attrib
    assert (suite["failures"], suite["errors"]) == ("4", "0")


def test_an_error_stops_a_session_that_stops_at_failures(judged, judge_server):
    judge_server.answer = lambda body: "no idea"
    result = run(judged, judge_server, "--gate-baseline=none", "-x")
    assert result.ret == pytest.ExitCode.INTERNAL_ERROR
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*stopping after 1 failures*"])


MIXED = """\
name: mixed
cases:
  - {id: france, prompt: Q, references: [Paris], checks: [{type: contains}]}
  - {id: italy, prompt: Q2, checks: [{type: llm-rubric, value: "names Rome"}]}
"""


@pytest.mark.parametrize("baseline", ["none", "base"])
@pytest.mark.parametrize(("wrong", "status"), [((), 3), (("france",), 1)])
def test_an_outage_of_the_judge_is_no_failure_of_the_model(judged, judge_server, baseline, wrong, status):
    """Also where only some cases are judged; a case that failed by itself still fails."""
    (judged.pytester.path / "golden_sets" / "mixed.yaml").write_text(MIXED)
    judge_server.answer = lambda body: "no idea"
    judged.wrong["candidate"] = set(wrong)
    result = judged.run(
        "golden_sets/mixed.yaml", f"--gate-judge={judge_server.spec}", f"--gate-baseline={baseline}"
    )
    # With a baseline a single lost case of two is no regression.
    assert result.ret == (status if baseline == "none" else 3)


def test_the_key_is_in_no_file_and_no_output(judged, judge_server, monkeypatch):
    key = "sk-very-secret-0123456789"
    monkeypatch.setenv("TUNEGATE_JUDGE_API_KEY", key)
    judge_server.answer = lambda body: {"reason": f"the key is {key}", "pass": False}
    judge_server.faults = ["401"]
    result = run(judged, judge_server, "--gate-json=out.json", "-v")
    assert judge_server.keys[0] == f"Bearer {key}"
    assert "status 401" in result.stdout.str()
    files = [path for path in judged.pytester.path.rglob("*") if path.is_file()]
    assert any(path.suffix == ".html" for path in files)
    assert [path for path in files if key.encode() in path.read_bytes()] == []
    assert key not in result.stdout.str() + result.stderr.str()


def test_judging_runs_while_answers_still_come(judged, judge_server, monkeypatch):
    """The judge has seen the first answer before the second is generated."""
    generate, seen = judged.engine.generate, []

    def patient(self, requests, on_batch):
        def pass_on(batch):
            on_batch(batch)
            deadline = time.monotonic() + 20
            while not judge_server.bodies and time.monotonic() < deadline:
                time.sleep(0.01)
            seen.append(len(judge_server.bodies))

        generate(self, requests, pass_on)

    monkeypatch.setattr(judged.engine, "generate", patient)
    run(judged, judge_server)
    assert len(seen) == 8
    assert seen[0] > 0


PAIRWISE = """\
name: judged
defaults:
  checks: [{{type: pairwise}}]
cases:
{cases}gate: {{metrics: {{pairwise: {{margin: 0.2}}}}}}
"""


@pytest.mark.parametrize("stored", [False, True])
def test_a_lost_comparison_regresses(judged, judge_server, write_golden, stored):
    """The candidate loses every pair: against its base in the same session, and against the base's stored run."""
    names = [*NAMES, "peru", "japan", "kenya", "egypt", "cuba", "iran"]
    cases = "".join(CASE.format(id=id, answer="x") for id in names)
    write_golden(judged.pytester, "judged", PAIRWISE.format(cases=cases))

    def answer(body):
        shown = body["messages"][1]["content"]
        first = shown.partition("Answer A:")[2].partition("Answer B:")[0]
        return {"reason": "knows", "winner": "B" if "do not know" in first else "A"}

    judge_server.answer = answer
    if stored:
        judged.run("golden_sets/judged.yaml", f"--gate-judge={judge_server.spec}", "--gate-baseline=base")
    judged.wrong["candidate"] = set(names)
    baseline = "latest" if stored else "base"
    result = run(judged, judge_server, f"--gate-baseline={baseline}", "--gate-no-cache")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*REGRESS*"])
    result.stdout.fnmatch_lines(["*pairwise fell: 0.500*0.000*"])


@pytest.fixture
def calibrate(judged, judge_server, monkeypatch):
    """Holds the judge at the scripted server against forty items: it is right on the given share."""
    from harness.judge.calibration import calibrate
    from harness.judge.labelled import LabelledItem
    from harness.judge.open import open_judge
    from harness.judge.panel import Panel
    from harness.judge.trust import save_calibration
    from harness.run.cache import Cache

    items = [
        LabelledItem(
            id=f"item-{number}",
            task="rubric",
            question="What is the capital of France?",
            rubric="Names the capital.",
            answer=f"{'Paris' if number % 2 else 'Lyon'} {number}",
            label="pass" if number % 2 else "fail",
            reason="by rule",
            tags=["legal" if number >= 28 else "support"],
        )
        for number in range(40)
    ]

    def run(*, right, but_legal=False):
        honest = judge_server.answer
        if not right:
            judge_server.answer = lambda body: {"reason": "all is fine", "pass": True}
        if but_legal:
            # Of items 28 to 39 it says the opposite of every other one.
            def wrong_of_legal(body):
                number = int(re.findall(r"(?:Paris|Lyon) (\d+)", body["messages"][1]["content"])[-1])
                turned = number >= 28 and number % 4 < 2
                return {"reason": "by number", "pass": bool(number % 2) is not turned}

            judge_server.answer = wrong_of_legal
        with Cache(None) as cache, Panel([open_judge(judge_server.spec, cache, environment={})]) as panel:
            found = calibrate(panel, items, {"made": "0"}, repeats=0)
        judge_server.answer = honest
        judge_server.bodies.clear()
        save_calibration(found, judged.pytester.path / ".tunegate")
        return found

    return run


def test_a_judge_that_was_found_unreliable_is_refused_before_a_model_loads(judged, judge_server, calibrate):
    assert not calibrate(right=False).reliable
    result = run(judged, judge_server)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*UNRELIABLE: agreement kappa 0.00*llm-rubric of judged/france*"])
    assert judged.opened == []
    assert judge_server.bodies == []


def test_a_reliable_judge_decides_and_its_kappa_is_told(judged, judge_server, calibrate):
    assert calibrate(right=True).reliable
    result = run(judged, judge_server)
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["judge:*calibrated on 40 items, kappa 1.00*"])


def test_what_an_unreliable_judge_would_only_inform_of_is_left_unscored(
    judged, judge_server, calibrate, write_golden
):
    calibrate(right=False)
    cases = "".join(CASE.format(id=id, answer=answer) for id, answer in NAMES.items())
    checks = "[{{type: contains}}, {{type: llm-reference}}]"
    text = JUDGED.replace('[{{type: llm-rubric, value: "Names the capital."}}]', checks)
    write_golden(judged.pytester, "judged", text.format(cases=cases))
    result = run(judged, judge_server)
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["judge:*unscored, because the judge is unreliable: llm-reference (*"])
    assert judge_server.bodies == []


TAGGED = """\
name: judged
cases:
  - {id: france, prompt: Capital of France?, references: [Paris], tags: [support], checks: [{type: contains}, CHECK]}
  - {id: italy, prompt: Capital of Italy?, references: [Rome], tags: [legal], checks: [{type: contains}, CHECK]}
"""


def test_a_judge_that_is_not_trusted_with_one_tag_is_refused_for_its_cases(judged, judge_server, calibrate):
    """It is reliable over all items, and for items of the other tag."""
    found = calibrate(right=True, but_legal=True)
    assert (found.reliable, found.distrusted_tags) == (True, ("legal",))
    path = judged.pytester.path / "golden_sets" / "judged.yaml"
    path.write_text(TAGGED.replace("CHECK", '{type: llm-rubric, value: "Names the capital."}'))

    result = run(judged, judge_server)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*agreement kappa of items with the tag legal *judged/italy*"])
    assert "france" not in result.stderr.str()
    assert judge_server.bodies == []


def test_what_it_would_inform_of_is_unscored_for_that_tag_alone(judged, judge_server, calibrate):
    """In the terminal and in the JSON; the other case is judged."""
    calibrate(right=True, but_legal=True)
    path = judged.pytester.path / "golden_sets" / "judged.yaml"
    path.write_text(TAGGED.replace("CHECK", "{type: llm-reference}"))
    judge_server.answer = lambda body: {"reason": "says it all", "grade": 5}

    result = run(judged, judge_server, "--gate-json=out.json", "--gate-baseline=none")

    result.assert_outcomes(passed=2)
    told = "unscored, because the judge is unreliable: llm-reference (agreement kappa of items with the tag legal"
    result.stdout.fnmatch_lines([f"judge:*{told}*"])
    assert len(judge_server.bodies) == 1
    results = json.loads((judged.pytester.path / "out.json").read_text())["run"]["results"]
    scored = {one["case"]["id"]: [score["metric"] for score in one["scores"]] for one in results}
    assert scored == {"france": ["contains", "llm-reference"], "italy": ["contains"]}
    told = {one["case"]["id"]: [each["reason"] for each in one["unscored"]] for one in results}
    assert told["france"] == []
    assert told["italy"][0].startswith("the judge is unreliable: agreement kappa of items with the tag legal")


def test_a_panel_s_agreement_is_told(judged, judge_server):
    """Three models at one server, one of them contrary."""
    honest = judge_server.answer

    def answer(body):
        reply = honest(body)
        return {**reply, "pass": not reply["pass"]} if body["model"] == "third" else reply

    judge_server.answer = answer
    judged.wrong["candidate"] = {"italy"}
    more = [f"--gate-judge=openai:{name}@{judge_server.url}" for name in ("second", "third")]
    result = run(judged, judge_server, *more, "--gate-baseline=none")
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["*rubric: the judges agree with alpha *"])


@pytest.mark.parametrize("stored", [False, True])
def test_each_of_several_answers_is_compared_with_its_counterpart(judged, judge_server, write_golden, stored):
    """Equal answers tie, answer by answer, on both sides and against a stored run; no one is asked."""
    cases = "".join(CASE.format(id=id, answer="x") for id in NAMES)
    head = PAIRWISE.replace("defaults:", "generation: {{temperature: 1.0}}\ndefaults:")
    text = head.format(cases=cases.replace("{id:", "{repeat: 3, id:"))
    write_golden(judged.pytester, "judged", text)
    if stored:
        run(judged, judge_server)
    result = run(judged, judge_server, f"--gate-baseline={'latest' if stored else 'base'}")
    assert "errored" not in result.stdout.str()
    result.stdout.fnmatch_lines(["judged *0.50 → 0.50*"])
    assert judge_server.bodies == []
