"""``tunegate monitor`` against a stored run and against an earlier log."""

import json
from dataclasses import replace

import pytest

from harness.golden.load import load_golden_set
from harness.history.store import open_history
from harness.types import GateRecord, Score

DAY = 86400
START = 20000 * DAY


def log(tmp_path, name, days, *, refusing=0, n=40, from_day=0):
    """A log of some days in which so many answers a day are refusals."""
    rows = [
        {
            "id": f"{name}-{day}-{number}",
            "time": START + day * DAY + number * 60,
            "prompt": f"Question {number} of {name}?",
            "answer": "I'm sorry, but I can't help with that." if number < refusing else "It is Tuesday.",
            "latency_s": 0.5 + number / 100,
            "completion_tokens": 10,
            "finish_reason": "stop",
        }
        for day in range(from_day, from_day + days)
        for number in range(n)
    ]
    path = tmp_path / f"{name}.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def test_refusals_that_rise_are_found_and_become_cases(tunegate, tmp_path):
    before, calm = log(tmp_path, "before", 5), log(tmp_path, "calm", 4)
    worse = log(tmp_path, "worse", 3, refusing=16, from_day=4)
    metrics, cases = tmp_path / "monitor.prom", tmp_path / "found.yaml"
    options = ["--reference", before, "--prometheus", metrics]
    done = tunegate("monitor", calm, *options)
    assert (done.returncode, "RISEN" in done.stdout) == (0, False)
    assert 'tunegate_monitor_event_alarm{event="refused"} 0' in metrics.read_text().splitlines()
    done = tunegate("monitor", calm, worse, *options, "--candidates", cases, "--most", 3)
    assert done.returncode == 1
    said = " ".join(done.stdout.split())
    assert "refused has risen since 2024-10-08 00:00, shown by 2024-10-08 00:00" in said
    assert "empty has risen" not in said
    assert 'tunegate_monitor_event_alarm{event="refused"} 1' in metrics.read_text().splitlines()
    found = load_golden_set(cases)
    assert len(found.cases) == 3
    assert {check.type for check in found.cases[0].checks} == {"not-is-refusal", "length"}
    # It is never overwritten.
    for option in ("--candidates", "--prometheus"):
        done = tunegate("monitor", calm, worse, "--reference", before, option, cases)
        assert (done.returncode, "name a" in done.stderr) == (4, True)
    assert len(load_golden_set(cases).cases) == 3


def test_the_checks_of_a_golden_set_on_both_sides(tunegate, tmp_path, make_run, make_result):
    run = make_run([make_result(f"s/{number}") for number in range(60)], run_id="gated")
    with open_history(tmp_path / "history.sqlite") as history:
        history.save(GateRecord(run=run))
    golden = tmp_path / "s.yaml"
    golden.write_text(
        "name: s\ndefaults:\n  checks:\n    - {type: not-contains, value: Tuesday}\n    - {type: rouge-l}\n"
        "cases:\n  - {id: a, prompt: Say it., references: [x]}\n"
    )
    now = log(tmp_path, "now", 3)
    options = ["--golden", golden, "--directory", tmp_path, "--json"]
    done = tunegate("monitor", now, "--reference", "gated", *options)
    assert done.returncode == 1
    found = json.loads(done.stdout)
    events = {each["name"]: each for each in found["watch"]["events"]}
    assert events["check not-contains"]["reference"] == [0, 60]
    assert events["check not-contains"]["windows"] == [[40, 40]] * 3
    assert events["check not-contains"]["alarm"] == 0
    assert [name for name, each in events.items() if each["alarm"] is not None and "check" in name] == [
        "check not-contains"
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it is empty"),
        ('{"time": 1, "answer": "x"', "cut off"),
        ('{"time": 1}\n', "no answer"),
    ],
)
def test_a_bad_log_is_exit_status_4(tunegate, tmp_path, text, said):
    path = tmp_path / "log.jsonl"
    path.write_text(text)
    done = tunegate("monitor", path, "--reference", log(tmp_path, "before", 1))
    assert (done.returncode, done.stderr.count("\n")) == (4, 1)
    assert said in done.stderr


def test_a_golden_set_without_common_checks_is_refused(tunegate, tmp_path):
    golden = tmp_path / "s.yaml"
    golden.write_text(
        "name: s\ncases:\n  - {id: a, prompt: x, references: [x], checks: [{type: exact-match}]}\n"
    )
    done = tunegate("monitor", log(tmp_path, "now", 1), "--golden", golden)
    assert (done.returncode, "add one under defaults" in done.stderr) == (4, True)


def test_a_daily_look_goes_on_from_the_last_one(tunegate, tmp_path):
    before, live = log(tmp_path, "before", 5), tmp_path / "logs"
    live.mkdir()
    log(tmp_path, "a", 4).rename(live / "a.jsonl")
    state, page = tmp_path / "state.json", tmp_path / "page.html"
    options = ["--reference", before, "--state", state, "--page", page]
    done = tunegate("monitor", live, *options)
    assert (done.returncode, "160 answers are new since the last look" in done.stdout) == (0, True)
    assert "No rate is shown to have risen" in page.read_text()
    log(tmp_path, "b", 2, refusing=16, from_day=4).rename(live / "b.jsonl")
    done = tunegate("monitor", live, *options, "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["new_answers"], len(found["watch"]["windows"])) == (1, 80, 6)
    assert "Risen: refused" in page.read_text()
    # Nothing new: the alarm stays, and the reference isn't read again.
    before.unlink()
    done = tunegate("monitor", live, *options)
    assert (done.returncode, "0 answers are new since the last look" in done.stdout) == (1, True)
    done = tunegate("monitor", live, *options, "--rise", 0.2)
    assert (done.returncode, "begun with another --window, --rise or --golden" in done.stderr) == (4, True)
    done = tunegate("monitor", live, *options, "--slow-after", 3)
    assert (done.returncode, "--slow-after 3: --state=" in done.stderr) == (4, True)
    assert tunegate("report", state, "--output", tmp_path / "again.html").returncode == 0
    assert (tmp_path / "again.html").read_text() == page.read_text()


@pytest.fixture
def judged_set(tmp_path, monkeypatch):
    """A golden set with a judged check, and the check's name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    golden = tmp_path / "s.yaml"
    golden.write_text(
        "name: s\ndefaults:\n  checks: [{type: llm-rubric, value: It names a day.}]\n"
        "cases:\n  - {id: a, prompt: Say it., references: [x]}\n"
    )
    return golden


def test_a_judge_sees_a_limited_sample(tunegate, tmp_path, judge_server, judged_set):
    judge_server.answer = lambda body: {"reason": "r", "pass": "of before?" in str(body["messages"])}
    judge_server.faults = ["500", "500"]
    options = [
        "--golden",
        judged_set,
        "--judge",
        judge_server.spec,
        "--judged",
        30,
        "--judge-most",
        60,
        "--json",
    ]
    before = log(tmp_path, "before", 2)
    done = tunegate("monitor", log(tmp_path, "now", 3), "--reference", before, *options)
    found = json.loads(done.stdout)
    (event,) = (each for each in found["watch"]["events"] if each["name"] == "check llm-rubric")
    assert (event["reference"], event["windows"]) == ([0, 60], [[20, 20]] * 3)
    assert (done.returncode, event["alarm"]) == (1, 0)
    (note,) = (note for note in found["notes"] if "judged 60 new answers: " in note)
    assert ", 2 retried, " in note


def test_windows_that_no_judge_saw_are_told(tunegate, tmp_path, judge_server, judged_set):
    """The newest ones are judged first."""
    judge_server.answer = lambda body: {"reason": "r", "pass": True}
    options = ["--golden", judged_set, "--judge", judge_server.spec, "--judge-most", 2, "--json"]
    done = tunegate("monitor", log(tmp_path, "now", 3), "--reference", log(tmp_path, "before", 2), *options)
    found = json.loads(done.stdout)
    (event,) = (each for each in found["watch"]["events"] if each["name"] == "check llm-rubric")
    assert event["windows"] == [[0, 0], [0, 1], [0, 1]]
    first = found["watch"]["windows"][0]["starts_at"][:16].replace("T", " ")
    (note,) = (note for note in found["notes"] if note.startswith("--judge-most=2: "))
    assert f"no answer was judged in the oldest windows (1 of the new ones, up to {first} UTC)" in note


@pytest.fixture
def gated_run(judged_set, make_run, make_result, tmp_path):
    """Stores a run whose 200 answers all passed the set's judged check, with what is known of the metric."""

    def store(**facts):
        (check,) = load_golden_set(judged_set).cases[0].checks
        score = Score(metric="llm-rubric", value=1.0, passed=True)
        made = make_result("s/0")
        made = replace(made, completion=replace(made.completion, completion_tokens=10), scores=(score,))
        results = [
            replace(made, case=replace(made.case, id=str(number), checks=(check,))) for number in range(200)
        ]
        run = make_run(results, run_id="gated")
        known = replace(run.metrics["llm-rubric"], **facts)
        with open_history(tmp_path / "history.sqlite") as history:
            history.save(GateRecord(run=replace(run, metrics={"llm-rubric": known})))

    return store


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"scored_by": {"judge": "milder"}}, "llm-rubric was judged by milder before, by scripted now"),
        ({"version": "0"}, "llm-rubric was scored with version 0 before, with "),
    ],
)
def test_verdicts_of_another_judge_than_the_runs_are_refused(
    tunegate, tmp_path, judge_server, judged_set, gated_run, facts, said
):
    """A stricter judge of the same answers raised an alarm."""
    gated_run(**facts)
    judge_server.answer = lambda body: {"reason": "strict", "pass": False}
    state, now = tmp_path / "state.json", log(tmp_path, "now", 3)
    options = ["--reference", "gated", "--golden", judged_set, "--directory", tmp_path]
    done = tunegate("monitor", now, *options, "--judge", judge_server.spec, "--state", state)
    assert (done.returncode, done.stderr.count("\n")) == (4, 1)
    assert f"--reference=gated: {said}" in done.stderr
    assert not state.exists()
    # Without its judged checks the set has none: the run itself is as good a reference as before.
    assert tunegate("monitor", now, *options[:2], "--directory", tmp_path).returncode == 0


@pytest.mark.parametrize("scored_by", [{"judge": "scripted"}, None])
def test_a_state_keeps_its_judge(tunegate, tmp_path, judge_server, judged_set, gated_run, scored_by):
    """A run of an earlier version does not say who judged: that is told, and today's judge is kept."""
    gated_run(scored_by=scored_by)
    state, live = tmp_path / "state.json", tmp_path / "logs"
    live.mkdir()
    log(tmp_path, "a", 2).rename(live / "a.jsonl")
    options = ["--reference", "gated", "--golden", judged_set, "--directory", tmp_path, "--json"]
    options += ["--judge", judge_server.spec, "--state", state]

    def untold(done):
        return any("not recorded which judge" in note for note in json.loads(done.stdout)["notes"])

    done = tunegate("monitor", live, *options)
    assert (done.returncode, untold(done)) == (0, scored_by is None)
    # Nothing new: nobody is asked.
    assert tunegate("monitor", live, *options).returncode == 0
    judge_server.fields, kept = {"model": "scripted-2"}, state.read_text()
    log(tmp_path, "b", 1, from_day=2).rename(live / "b.jsonl")
    done = tunegate("monitor", live, *options)
    assert (done.returncode, done.stderr.count("\n")) == (4, 1)
    assert f"--state={state}: llm-rubric was judged by scripted before, by scripted-2 now" in done.stderr
    assert state.read_text() == kept
    # One of an earlier version does not say it either.
    old = json.loads(kept)
    del old["ledger"]["metrics"]
    state.write_text(json.dumps(old))
    done = tunegate("monitor", live, *options)
    assert (done.returncode, untold(done)) == (0, True)
    assert json.loads(state.read_text())["ledger"]["metrics"]["llm-rubric"]["scored_by"] == {
        "judge": "scripted-2"
    }


def judged_event(done):
    found = json.loads(done.stdout)
    (event,) = (each for each in found["watch"]["events"] if each["name"] == "check llm-rubric")
    return event


def test_stored_verdicts_on_a_log_are_given_anew_by_todays_judge(
    tunegate, tmp_path, judge_server, judged_set
):
    """The name stands for a stricter model since the reference was judged."""
    options = ["--reference", log(tmp_path, "before", 1), "--golden", judged_set, "--json"]
    options += ["--judge", judge_server.spec]
    assert tunegate("monitor", log(tmp_path, "now", 1), *options).returncode == 0
    judge_server.answer = lambda body: {"reason": "strict", "pass": False}
    judge_server.fields = {"model": "scripted-2"}
    done = tunegate("monitor", log(tmp_path, "later", 1), *options)
    event = judged_event(done)
    assert done.returncode == 0
    assert event["reference"][0] == event["reference"][1] > 0
    assert event["windows"][0][0] == event["windows"][0][1] > 0


@pytest.mark.parametrize("days", [0, 1])
def test_stored_verdicts_on_production_answers_are_given_anew_by_the_runs_judge(
    tunegate, tmp_path, judge_server, judged_set, gated_run, days
):
    """The name stood for a stricter model when these were judged. With nothing new one question tells it."""
    gated_run(scored_by={"judge": "scripted-2"})
    options = ["--reference", "gated", "--golden", judged_set, "--directory", tmp_path, "--json"]
    options += ["--judge", judge_server.spec]
    judge_server.answer, mild = lambda body: {"reason": "strict", "pass": False}, judge_server.answer
    logs = [log(tmp_path, "now", 2)]
    assert tunegate("monitor", *logs, *options).returncode == 4
    judge_server.answer, judge_server.fields = mild, {"model": "scripted-2"}
    logs += [log(tmp_path, "later", days, from_day=2)] if days else []
    done = tunegate("monitor", *logs, *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert all(failed == 0 < judged for failed, judged in judged_event(done)["windows"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--every", 5], "--every needs --state"),
        (["--judge", "openai:x"], "--judge needs --golden"),
        (["--every", 5, "--state", "s.json", "--candidates", "c.yaml"], "leave one out"),
    ],
)
def test_options_that_need_each_other(tunegate, tmp_path, options, said):
    done = tunegate("monitor", log(tmp_path, "now", 1), *options)
    assert (done.returncode, said in done.stderr) == (4, True)
