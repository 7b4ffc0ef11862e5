"""Plug-ins of a session: a conftest's hook adds to the registry; what is left out is one line, also in -q."""

import json

import pytest

from harness.golden.schema import CHECK_TYPES

CONFTEST = """
from harness.metrics.definition import binary, graded, one_by_one
from harness.registry import JudgeKind, Metric, Sink


def shouts(request):
    return binary(request, request.text.isupper(), "letters are upper-case")


def pytest_tunegate_register(registry):
    registry.add(
        Metric(name="shouts", kind="binary", summary="Upper case.", function=one_by_one(shouts), invertible=True)
    )
"""
GOLDEN = """\
name: capitals
cases:
  - id: france
    prompt: What is the capital of france?
    checks: [{type: not-shouts}]
"""


@pytest.fixture
def voice(project, write_golden):
    write_golden(project.pytester, "capitals", GOLDEN)
    project.pytester.makeconftest(CONFTEST)
    return project


def test_a_conftest_s_metric_checks_cases(voice):
    result = voice.run("-rA")
    result.assert_outcomes(passed=1)
    assert "warning" not in result.stdout.str()


def test_it_is_gone_after_the_session(voice):
    voice.run()
    assert "shouts" not in CHECK_TYPES


def test_a_case_of_it_is_collected_without_a_model(voice):
    voice.run(model=False).assert_outcomes(skipped=1)


@pytest.mark.parametrize(
    ("body", "warning"),
    [
        ("raise RuntimeError('no voice')", "plug-in *conftest.py is left out: RuntimeError: no voice"),
        (
            "import gone_module",
            "plug-in *conftest.py is left out: ModuleNotFoundError: No module named 'gone_module'",
        ),
        ("registry.add('shouts')", "plug-in *conftest.py is left out: TypeError: add() takes records *"),
    ],
)
def test_a_plug_in_that_breaks_is_one_line(project, body, warning):
    project.pytester.makeconftest(f"def pytest_tunegate_register(registry):\n    {body}\n")
    result = project.run("-q")
    assert result.ret == 0
    result.stdout.fnmatch_lines([f"tunegate: warning: {warning}"])
    assert "Traceback" not in result.stdout.str() + result.stderr.str()


@pytest.mark.parametrize(
    ("record", "kind"),
    [
        ("Metric(name='contains', kind='graded', summary='s', function='x:y')", "metric 'contains'"),
        ("JudgeKind(name='openai', form='openai:X', open='x:y')", "judge 'openai'"),
        ("EngineKind(name='transformers', summary='s', describe='x:y', open='x:y')", "engine 'transformers'"),
    ],
)
def test_a_built_in_name_stays_what_it_is(project, judge_server, record, kind):
    project.pytester.makeconftest(
        "from harness.registry import EngineKind, JudgeKind, Metric\n\n\n"
        f"def pytest_tunegate_register(registry):\n    registry.add({record})\n"
    )
    result = project.run(f"--gate-judge={judge_server.spec}")
    assert result.ret == 0
    name = kind.partition(" ")[0]
    lines = [line for line in result.stdout.lines if line.startswith("tunegate: warning: ")]
    assert len(lines) == 1
    assert lines[0].endswith(f"conftest.py: {kind} is left out: the built-in {name} of that name stays")


def test_what_was_left_out_is_said_where_it_is_missed(project, write_golden):
    """The error says that the type is unknown; the line after it says why."""
    write_golden(project.pytester, "capitals", GOLDEN)
    project.pytester.makeconftest("def pytest_tunegate_register(registry):\n    raise KeyError('voice')\n")
    result = project.run()
    assert result.ret == 4
    assert "unknown check type 'not-shouts'" in result.stderr.str()
    assert "plug-in" in result.stderr.str() + result.stdout.str()


def test_a_sink_that_breaks_leaves_the_verdict(project):
    project.pytester.makeconftest(
        "from harness.registry import Sink\n\n\n"
        "def send(record, directory):\n    raise OSError('no network')\n\n\n"
        "def keep(record, directory):\n    (directory / 'kept.txt').write_text(record.run.id)\n"
        "    return directory / 'kept.txt'\n\n\n"
        "def pytest_tunegate_register(registry):\n"
        "    registry.add(Sink(name='net', send=send), Sink(name='file', send=keep))\n"
    )
    result = project.run()
    assert result.ret == 0
    result.stdout.fnmatch_lines(["report: *kept.txt"])
    result.stdout.fnmatch_lines(["tunegate: warning: sink 'net' broke on run *: OSError: no network"])


def test_a_sink_that_does_not_end_leaves_the_verdict_and_an_address_its_slashes(
    project, monkeypatch, plain_signals
):
    monkeypatch.setattr("harness.metrics.call_limit.LIMIT_S", 1.0)
    project.pytester.makeconftest(
        "import time\n\nfrom harness.registry import Sink\n\n\n"
        "def send(record, directory):\n    time.sleep(60)\n\n\n"
        "def link(record, directory):\n    return f'http://runs.example/{record.run.id}'\n\n\n"
        "def pytest_tunegate_register(registry):\n"
        "    registry.add(Sink(name='net', send=send), Sink(name='page', send=link))\n"
    )
    result = project.run()
    assert result.ret == 0
    result.stdout.fnmatch_lines(["report: http://runs.example/*"])
    result.stdout.fnmatch_lines(
        [
            "tunegate: warning: sink 'net' broke on run *: TimeoutError: sink 'net' did not end within 1 s "
            "for one run"
        ]
    )


def test_a_plug_in_s_library_that_is_missing_is_said_before_a_model_loads(project, write_golden):
    write_golden(project.pytester, "capitals", GOLDEN)
    conftest = CONFTEST.replace("invertible=True", "invertible=True, libraries={'voice-kit': 'voice_kit'}")
    project.pytester.makeconftest(conftest)
    result = project.run()
    assert result.ret == 4
    assert "the selected cases need more than is installed: pip install voice-kit" in result.stderr.str()
    assert project.opened == []


def test_a_function_that_can_not_be_imported_is_said_before_a_model_loads(project, write_golden):
    write_golden(project.pytester, "capitals", GOLDEN)
    project.pytester.makeconftest(CONFTEST.replace("one_by_one(shouts)", "'nowhere:shouts'"))
    result = project.run()
    assert result.ret == 4
    assert (
        "ERROR: metric 'shouts': nowhere:shouts can't be imported: ModuleNotFoundError" in result.stderr.str()
    )
    assert project.opened == []


def test_a_gate_with_another_version_of_a_metric_is_not_a_regression(voice, write_golden):
    """The metric changed, not the model: the old run's answers are scored by it too."""
    write_golden(voice.pytester, "capitals", GOLDEN.replace("not-shouts", "shouts"))
    voice.run()
    changed = CONFTEST.replace('kind="binary"', 'kind="binary", version="2"').replace(
        ".isupper()", ".islower()"
    )
    voice.pytester.makeconftest(changed)
    result = voice.run("--gate-baseline=latest")
    assert result.ret == 0
    text = " ".join(result.stdout.str().split())
    assert "is scored anew by shouts: another judge, encoder or version of it gave the stored scores" in text
    assert "which was different in the baseline" not in text


PICKY = """
import hashlib

from harness.errors import TextsUnmeasuredError
from harness.registry import EngineKind
from harness.types import Completion, ModelRef, TextLoss


def describe(reference):
    return ModelRef(label=reference, base_model=reference, base_sha256=hashlib.sha256(b"1").hexdigest())


class Picky:
    def __init__(self, sides, plan):
        pass

    def generate(self, requests, on_batch):
        answer = Completion(text="Paris", stop_reason="stop", prompt_tokens=1, completion_tokens=1, latency_s=0.1)
        on_batch(dict.fromkeys(range(len(requests)), answer))

    def losses(self, requests, on_batch):
        short = {n for n, request in enumerate(requests) if len(request.text) < 9}
        on_batch({n: TextLoss(passage="", nats_per_token=0.5, tokens=2) for n in short})
        if len(short) < len(requests):
            reason = "too long for the probe endpoint"
            raise TextsUnmeasuredError(dict.fromkeys({*range(len(requests))} - short, reason))


def pytest_tunegate_register(registry):
    registry.add(EngineKind(name="picky", summary="s", describe=describe, open=Picky, measures_text=True))
"""
SCORED = """\
name: capitals
cases:
  - id: short
    prompt: What is the capital of france?
    references: [Paris]
    checks: [{type: perplexity, threshold: 3}]
  - id: long
    prompt: What is the capital of france?
    references: [Paris on the Seine]
    checks: [{type: perplexity, threshold: 3}]
"""


@pytest.mark.parametrize("forgetting", [False, True])
def test_a_text_that_an_engine_does_not_measure_leaves_its_check_unscored_with_the_reason(
    pytester, write_golden, forgetting
):
    """As behind a server; the engine gives losses on other texts."""
    pytester.makeconftest(PICKY)
    write_golden(pytester, "capitals", SCORED)
    arguments = [] if forgetting else ["--gate-no-forgetting"]
    result = pytester.runpytest_inprocess(
        "-p", "no:xdist", "--model=picky:one", "--gate-json=out.json", "-k", "capitals", *arguments
    )
    record = json.loads((pytester.path / "out.json").read_text())
    print(result.stdout.str())
    found = {each["case"]["id"]: each for each in record["run"]["results"]}
    assert (found["short"]["outcome"], found["long"]["outcome"]) == ("passed", "unscored")
    assert found["long"]["errors"] == []
    reason = "too long for the probe endpoint"
    assert found["long"]["unscored"] == [{"metric": "perplexity", "reason": f"was not measured: {reason}"}]
    result.stdout.fnmatch_lines(
        [f"tunegate: warning: engine 'picky': texts were not scored, *are unscored: {reason}"]
    )
    assert "gives no losses" not in result.stdout.str()
