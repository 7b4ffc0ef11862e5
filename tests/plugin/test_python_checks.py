"""``python`` checks: only where they are allowed, known by their file's content, errored where they break."""

import json
import os

import pytest
from typer.testing import CliRunner

from harness.cli.main import app

GOLDEN = """\
name: manners
cases:
"""
CASE = """\
  - id: {id}
    prompt: What is the capital of {id}?
    checks:
      - {{type: python, path: "checks.py:polite"{timeout}}}
      - {{type: python, path: "checks.py:brief", threshold: 0.5}}
"""
CHECKS = """\
def polite(answer):
    return "know" not in answer


def brief(answer, case):
    assert case.set_name == "manners"
    return 1 / len(answer.split())
"""


@pytest.fixture
def manners(project, write_golden):
    """Two cases, answered ``Paris`` and ``Rome``, or ``I do not know``."""

    def build(checks=CHECKS, timeout=""):
        cases = "".join(CASE.format(id=name, timeout=timeout) for name in ("france", "italy"))
        write_golden(project.pytester, "capitals", GOLDEN.replace("manners", "manners") + cases)
        (project.pytester.path / "golden_sets" / "checks.py").write_text(checks)
        return project

    return build


def record_of(project):
    path = project.pytester.path / "record.json"
    return json.loads(path.read_text())


def test_they_are_refused_in_one_line_unless_allowed(manners):
    result = manners().run()
    assert result.ret == 4
    result.stderr.fnmatch_lines(
        [
            "ERROR: manners/france: python:checks.py:polite: it runs code of this project: allow that with "
            "--gate-allow-python, or allow-python-checks = true under [[]tool.tunegate]"
        ]
    )
    assert manners().opened == []


def test_a_flag_a_variable_or_the_project_allows_them(manners, monkeypatch):
    project = manners()
    project.wrong["candidate"] = {"italy"}
    result = project.run("--gate-allow-python", "--gate-json=record.json")
    result.assert_outcomes(passed=1)
    assert "1 missed" in result.stdout.str()
    run = record_of(project)["run"]
    scores = {each["case"]["id"]: {s["metric"]: s for s in each["scores"]} for each in run["results"]}
    assert scores["france"]["python:checks.py:polite"]["passed"] is True
    assert scores["italy"]["python:checks.py:polite"]["passed"] is False
    assert scores["italy"]["python:checks.py:brief"]["value"] == 0.25
    assert scores["italy"]["python:checks.py:brief"]["passed"] is False
    assert run["metrics"]["python:checks.py:polite"]["kind"] == "binary"
    assert run["metrics"]["python:checks.py:brief"]["kind"] == "graded"
    monkeypatch.setenv("TUNEGATE_ALLOW_PYTHON_CHECKS", "true")
    assert project.run().ret == 0
    monkeypatch.delenv("TUNEGATE_ALLOW_PYTHON_CHECKS")
    project.pytester.makepyprojecttoml("[tool.tunegate]\nallow-python-checks = true\n")
    assert project.run().ret == 0


def test_a_changed_file_makes_other_cases(manners):
    """What the old function found says nothing of the new one."""
    project = manners()
    assert project.run("--gate-allow-python", "--gate-json=record.json").ret == 0
    before = record_of(project)["run"]["id"]
    manners(CHECKS + "\n# another comment\n")
    project.run("--gate-allow-python", f"--gate-baseline={before}", "--gate-json=record.json")
    record = record_of(project)
    assert record["comparison"]["metrics"] == []
    assert sorted(record["comparison"]["unpaired"]) == ["manners/france", "manners/italy"]
    assert record["verdict"]["outcome"] == "inconclusive"


def test_a_changed_function_scores_anew(manners):
    """The answers come from the cache, and no score does."""
    project = manners()
    assert project.run("--gate-allow-python").ret == 0
    opened = len(project.opened)
    manners(CHECKS.replace("not in answer", "in answer"))
    result = project.run("--gate-allow-python", "--gate-fail-on=case")
    assert len(project.opened) == opened
    assert result.ret == 1


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("raise KeyError('x')", "KeyError: 'x'"),
        ("import sys; sys.exit(3)", "RuntimeError: polite called sys.exit(3)"),
        ("return 0.5", "TypeError: polite gave 0.5 (allowed: True or False; or write a threshold)"),
        ("return None", "TypeError: polite gave None (allowed: True or False; or write a threshold)"),
    ],
)
def test_a_function_that_breaks_leaves_its_case_errored(manners, body, told):
    checks = CHECKS.replace(
        'return "know" not in answer', f"if answer == 'Rome':\n        {body}\n    return True"
    )
    result = manners(checks).run("--gate-allow-python")
    # An errored case is no regression: the gate is inconclusive.
    assert result.ret == 0
    assert f"python:checks.py:polite: {told}" in result.stdout.str()
    assert "1 passed" in result.stdout.str()


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("True", "brief gave True (allowed: a number from 0 to 1; or no threshold)"),
        ("'0.5'", "brief gave '0.5' (allowed: a number from 0 to 1; or no threshold)"),
        ("1.5", "brief gave 1.5 (allowed: a number from 0 to 1)"),
        ("float('nan')", "brief gave nan (allowed: a number from 0 to 1)"),
    ],
)
def test_a_graded_function_gives_a_number_of_its_scale(manners, value, told):
    result = manners(CHECKS.replace("1 / len(answer.split())", value)).run("--gate-allow-python")
    # Not a case of the set could be judged.
    assert result.ret == 3
    assert told in result.stdout.str()


@pytest.mark.parametrize(
    ("checks", "told"),
    [
        ("def polite(answer:\n", "checks.py: SyntaxError: "),
        ("import gone_module\n", "checks.py: ModuleNotFoundError: No module named 'gone_module'"),
        ("raise SystemExit(2)\n", "checks.py: SystemExit: 2"),
        ("raise ValueError('one\\ntwo')\n", "checks.py: ValueError: one"),
        ("def brief(answer): ...\n", "checks.py: has no function polite"),
        ("async def polite(answer): ...\n", "checks.py: polite is async (allowed: a plain function)"),
    ],
)
def test_a_file_that_can_not_be_run_is_refused_before_a_model_loads(manners, checks, told):
    project = manners(checks)
    result = project.run("--gate-allow-python")
    assert result.ret == 4
    (line,) = [line for line in result.errlines if "ERROR" in line]
    assert line.startswith(f"ERROR: manners/france: {told}")
    assert "Traceback" not in result.stderr.str() + result.stdout.str()
    assert project.opened == []


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("gone.py:polite", "gone.py can't be read: No such file or directory"),
        ("../checks.py:polite", "../checks.py leaves the golden set's directory"),
        ("checks.py", "found 'checks.py'"),
        ("checks:polite", "found 'checks:polite'"),
        ("checks.py:not a name", "found 'checks.py:not a name'"),
    ],
)
def test_a_path_that_names_no_function_is_refused_with_its_place(project, write_golden, path, told):
    case = f"  - id: a\n    prompt: p\n    checks: [{{type: python, path: '{path}'}}]\n"
    write_golden(project.pytester, "capitals", GOLDEN + case)
    result = project.run("--gate-allow-python")
    assert result.ret == 4
    assert f"capitals.yaml:5: cases[0].checks[0].path: {told}" in result.stderr.str()
    assert "(allowed: a file and a function in it, such as checks.py:polite" in result.stderr.str()


@pytest.mark.parametrize("name", ["python:checks.py:polite", "contains:x", "not-python"])
def test_a_name_is_not_a_type(project, write_golden, name):
    """What a check is called in scores can't be written as its type."""
    case = f"  - id: a\n    prompt: p\n    references: [x]\n    checks: [{{type: '{name}'}}]\n"
    write_golden(project.pytester, "capitals", GOLDEN + case)
    result = project.run("--gate-allow-python")
    assert result.ret == 4
    assert "capitals.yaml:6: cases[0].checks[0].type: " in result.stderr.str()


def test_lint_does_not_run_them(manners, tmp_path):
    from harness.authoring.lint import lint_golden_set
    from harness.golden.load import load_golden_set

    project = manners("raise SystemExit('it was run')\n")
    lint_golden_set(load_golden_set(project.pytester.path / "golden_sets" / "capitals.yaml"))


def test_a_case_is_a_copy(manners):
    """What a check changes in it is neither stored nor seen by the other side's answer."""
    checks = CHECKS.replace(
        'assert case.set_name == "manners"', 'assert case.metadata.pop("words") == 1; case.metadata["x"] = 1'
    )
    project = manners(checks)
    path = project.pytester.path / "golden_sets" / "capitals.yaml"
    path.write_text(path.read_text().replace("    prompt:", "    metadata: {words: 1}\n    prompt:"))
    assert project.run("--gate-allow-python", "--gate-json=record.json").ret == 0
    results = record_of(project)["run"]["results"]
    assert [each["case"]["metadata"] for each in results] == [{"words": 1}] * 2
    assert [each["outcome"] for each in results] == ["passed"] * 2


@pytest.mark.parametrize(
    ("arguments", "gets"),
    [
        ("answer", False),
        ("answer, strict=False", False),
        ("answer, *, strict=False", False),
        ("answer, *others", False),
        ("answer, case", True),
        ("answer, item", True),
        ("answer, case=None", True),
        ("answer, case, strict=False", True),
    ],
)
def test_a_switch_of_the_function_s_own_is_not_the_case(manners, arguments, gets):
    """A case in the place of ``strict=False`` would be true."""
    second = arguments.partition(", ")[2].strip("*, ").partition("=")[0].partition(",")[0] or "None"
    checks = f"from harness.types import GoldenCase\n\n\ndef polite({arguments}):\n    return isinstance({second}, GoldenCase) is {gets}\n"
    project = manners(checks + CHECKS.partition("\n\n\n")[2])
    project.run("--gate-allow-python", "--gate-json=record.json")
    assert {each["outcome"] for each in record_of(project)["run"]["results"]} == {"passed"}


def test_a_file_is_run_once_for_all_its_functions(manners):
    checks = "from pathlib import Path\n\nwith Path('runs.txt').open('a') as file:\n    file.write('x')\n\n\n"
    project = manners(checks + CHECKS)
    assert project.run("--gate-allow-python").ret == 0
    assert (project.pytester.path / "runs.txt").read_text() == "x"


def test_the_code_that_runs_is_that_of_the_hash(manners):
    """Python keeps a compiled file while time and size of its source are the same."""
    project = manners()
    assert project.run("--gate-allow-python").ret == 0
    path = project.pytester.path / "golden_sets" / "checks.py"
    times = path.stat()
    path.write_text(CHECKS.replace('"know" not', '"Rome" not'))
    assert path.stat().st_size == times.st_size
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    result = project.run("--gate-allow-python", "--gate-fail-on=case", "--gate-json=record.json")
    assert result.ret == 1
    results = record_of(project)["run"]["results"]
    assert {each["case"]["id"]: each["outcome"] for each in results} == {
        "france": "passed",
        "italy": "failed",
    }


def test_what_a_check_prints_is_no_part_of_a_command_s_json(manners):
    project = manners(CHECKS.replace("    return", "    print('aside')\n    return"))
    assert project.run("--gate-allow-python", "--gate-json=record.json").ret == 0
    done = CliRunner().invoke(app, ["verify", "record.json", "--json", "--allow-python"])
    assert json.loads(done.stdout)["verification"]["scores"] == 8
    assert done.stderr.splitlines() == ["aside"] * 8


@pytest.mark.parametrize(
    "body",
    [
        "import sys; sys.stdout.close(); sys.stderr.close()",
        "import os; os.close(1); os.close(2)",
        "import sys; sys.stdout = sys.stderr = None",
    ],
)
def test_a_function_that_closes_the_output_leaves_it_as_it_was(manners, body):
    """Also of the process, and also where pytest captures it."""
    for capture in ("fd", "sys", "no"):
        result = manners(CHECKS.replace("    return", f"    {body}\n    return")).run(
            "--gate-allow-python", f"--capture={capture}", "--gate-json=record.json"
        )
        assert result.ret == 0
        assert "2 passed" in result.stdout.str()


@pytest.mark.parametrize("body", ["while True: pass", "import time; time.sleep(1000)"])
def test_a_function_that_does_not_end_ends_the_session_with_its_name(manners, body):
    """The answers are in the cache."""
    project = manners(CHECKS.replace('return "know"', f'{body}\n    return "know"'), timeout=", timeout: 1")
    result = project.run("--gate-allow-python")
    assert result.ret == 4
    line = "ERROR: manners/france: checks.py:polite did not end within 1 s for one answer"
    assert line in result.stderr.str().splitlines()
    opened = len(project.opened)
    manners(timeout=", timeout: 1")
    assert project.run("--gate-allow-python").ret == 0
    assert len(project.opened) == opened
