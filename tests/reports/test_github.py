"""What GitHub Actions shows, and what writes the comment there."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import scipy.special  # noqa: F401 - loaded once: a session inside a test would import it anew, which numpy refuses
import yaml

from harness.types import GateRecord
from reports.github import add_summary, annotations

ROOT = Path(__file__).parents[2]


@pytest.fixture
def record(invented: Callable[..., GateRecord], tmp_path: Path) -> GateRecord:
    """A regression, whose golden sets are files of the folder, each case on a line of its own."""
    found = invented(orders=60, lost=25)
    results = tuple(
        replace(result, case=replace(result.case, line=number + 3))
        for number, result in enumerate(found.run.results)
    )
    for golden_set in found.run.golden_sets:
        (tmp_path / golden_set.path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / golden_set.path).write_text("cases: []")
    return replace(found, run=replace(found.run, results=results))


def test_each_lost_case_is_told_at_its_line(
    record: GateRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    first, *cases = annotations(record, tmp_path)
    assert first.startswith("::error title=tunegate::REGRESS: ")
    assert "\n" not in first
    assert len(cases) == 9
    lines = {result.key: result.case.line for result in record.run.results}
    files = {golden_set.name: golden_set.path for golden_set in record.run.golden_sets}
    for each in cases:
        key = each.rpartition("::")[2]
        place = f"file={files[key.partition('/')[0]]},line={lines[key]},"
        assert place in each
        assert each.startswith("::error ")


def test_a_file_that_is_not_there_has_no_annotation(record: GateRecord, tmp_path: Path) -> None:
    assert len(list(annotations(record, tmp_path / "elsewhere"))) == 1


def test_signs_with_a_meaning_are_escaped(record: GateRecord, tmp_path: Path) -> None:
    model = replace(record.run.model, label="50 %\n::error::x")
    first = next(iter(annotations(replace(record, run=replace(record.run, model=model)), tmp_path)))
    assert "50 %25" in first
    assert len(first.splitlines()) == 1


def test_the_summary_is_added_to(record: GateRecord, tmp_path: Path) -> None:
    file = tmp_path / "summary.md"
    file.write_text("before\n")
    assert add_summary(record, {"GITHUB_STEP_SUMMARY": str(file)}) == file
    assert file.read_text().startswith("before\n<!-- tunegate:")
    assert add_summary(record, {}) is None


def test_the_comment_is_written_once_and_then_renewed(tmp_path: Path) -> None:
    """A stand-in for GitHub's command knows one earlier comment if the file says so."""
    log, gh = tmp_path / "log", tmp_path / "gh"
    gh.write_text(
        '#!/usr/bin/env bash\nif [[ "$*" == *--paginate* ]]; then cat "$EARLIER"; else echo "$*" >> "$LOG"; fi\n'
    )
    gh.chmod(0o755)
    comment, earlier = tmp_path / "comment.md", tmp_path / "earlier"
    comment.write_text("<!-- tunegate: m -->\n\nhello\n")
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "LOG": str(log),
        "EARLIER": str(earlier),
    }
    command = ["bash", ROOT / "ci" / "comment.sh", "o/r", "7", comment]
    for known in ("", "42\n43\n"):
        earlier.write_text(known)
        subprocess.run(command, check=True, env=environment, timeout=60)
    first, second = log.read_text().splitlines()
    assert "--method POST repos/o/r/issues/7/comments" in first
    assert "--method PATCH repos/o/r/issues/comments/42" in second
    # In a pull request from a fork the token may only read.
    gh.write_text("#!/usr/bin/env bash\nexit 1\n")
    done = subprocess.run(command, check=True, env=environment, capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("::warning title=tunegate::no comment was written on pull request 7")
    comment.unlink()
    done = subprocess.run(command, check=True, env=environment, capture_output=True, text=True, timeout=60)
    assert "no comment" in done.stdout


def test_action_and_template_name_options_that_exist(pytester: pytest.Pytester) -> None:
    listed = pytester.runpytest_inprocess("--help", "-p", "no:xdist").stdout.str()
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    steps = action["runs"]["steps"]
    assert action["runs"]["using"] == "composite"
    assert all("shell" in step for step in steps if "run" in step)
    (gate,) = [step["run"] for step in steps if step.get("id") == "gate"]
    options = [word.partition("=")[0] for word in gate.split() if word.startswith("--gate-")]
    assert {"--gate-markdown", "--gate-json"} <= set(options)
    assert [option for option in options if option not in listed] == []
    template = yaml.safe_load((ROOT / "ci" / "gitlab.yml").read_text(encoding="utf-8"))[".tunegate"]
    known = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    assert [
        name for name in template["variables"] if name != "TUNEGATE_PACKAGE" and f"`{name}`" not in known
    ] == []


def step(run: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """A step's script, as a runner starts it; programs in the folder come first."""
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", "HOME": str(folder), **variables}
    shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", run]
    return subprocess.run(
        shell, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def program(path: Path, script: str) -> None:
    path.write_text(f"#!/usr/bin/env bash\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def use(tmp_path: Path) -> Callable[..., tuple[subprocess.CompletedProcess[str], dict[str, str]]]:
    """One use of the action in a job: its gate and what it makes of the result."""
    steps = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))["runs"]["steps"]
    gate, result = (next(each for each in steps if each.get("id") == name) for name in ("gate", "result"))

    def start(script: str, **inputs: str) -> tuple[subprocess.CompletedProcess[str], dict[str, str]]:
        program(tmp_path / "tunegate", f'printf "%s\\n" "$@" > words\n{script}')
        output = tmp_path / "output"
        output.write_text("")
        files = {"RUNNER_TEMP": str(tmp_path / "temp"), "GITHUB_OUTPUT": str(output)}
        done = step(gate["run"], tmp_path, **(dict.fromkeys(gate["env"], "") | files | inputs))
        given = dict(line.split("=", 1) for line in output.read_text().splitlines())
        environment = {**os.environ, **files, "DIRECTORY": given["directory"]}
        subprocess.run([sys.executable, "-c", result["run"]], check=True, env=environment, timeout=60)
        verdict, _, *json, _ = output.read_text().splitlines()[len(given) :]
        return done, given | {"verdict": verdict.partition("=")[2], "json": "\n".join(json)}

    return start


# What the stand-in for the gate writes: a verdict for each name.
WRITES = """for word in "$@"; do case "$word" in --gate-json=*) file="${word#*=}";; esac; done
write() { echo "{\\"verdict\\": {\\"outcome\\": \\"$2\\"}}" > "${file%.json}$1.json"; }
"""


@pytest.mark.parametrize("status", [0, 1])
def test_the_action_passes_the_words_on_and_gives_the_verdict(use, tmp_path: Path, status: int) -> None:
    given = {"MODEL": "x y", "ARGUMENTS": "--gate-fail-on=inconclusive\n-m 'a and not b'"}
    done, outputs = use(f"{WRITES} write '' regress; exit {status}", **given)
    assert done.returncode == status, done.stderr
    words = (tmp_path / "words").read_text().splitlines()
    assert (words[0], words[1]) == ("gate", "--model=x y")
    assert words[-3:] == ["--gate-fail-on=inconclusive", "-m", "a and not b"]
    assert outputs["verdict"] == "regress"
    assert outputs["json"] == f"{outputs['directory']}/gate.json"
    # What is not given is the project's to say.
    assert [word for word in words if "baseline" in word or "golden" in word] == []
    use("", BASELINE="shipped", GOLDEN="sets")
    assert {"--gate-baseline=shipped", "--gate-golden=sets"} <= {
        *(tmp_path / "words").read_text().splitlines()
    }


def test_a_quotation_mark_that_stays_open_is_bad_input(use) -> None:
    done, _ = use("", ARGUMENTS='-m "a')
    assert (done.returncode, done.stdout) == (4, "::error::arguments: a quotation mark that is not closed\n")


def test_each_use_of_the_action_has_its_own_result(use) -> None:
    """A gate that is refused has not the verdict of the one before it, and their artifacts have two names."""
    _, first = use(f"{WRITES} write '' pass")
    refused, second = use("exit 4")
    assert refused.returncode == 4
    assert (first["verdict"], second["verdict"], second["json"]) == ("pass", "", "")
    assert first["artifact"] != second["artifact"]


def test_the_verdict_of_several_models_is_the_worst(use) -> None:
    _, outputs = use(f"{WRITES} write -a pass; write -b inconclusive")
    assert outputs["verdict"] == "inconclusive"
    assert outputs["json"].splitlines() == [f"{outputs['directory']}/gate-{name}.json" for name in "ab"]


def test_both_pipelines_keep_the_file_that_the_gate_caches_in(tmp_path: Path) -> None:
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    (cache,) = [each["with"] for each in action["runs"]["steps"] if "actions/cache" in each.get("uses", "")]
    template = yaml.safe_load((ROOT / "ci" / "gitlab.yml").read_text(encoding="utf-8"))[".tunegate"]
    paths = [cache["path"].rpartition("}}/")[2], *template["cache"]["paths"]]
    assert paths == [".tunegate/cache.sqlite*"] * 2
    assert '"cache.sqlite"' in (ROOT / "harness" / "plugin" / "session.py").read_text(encoding="utf-8")


@pytest.mark.parametrize(("known", "method"), [("[]", "POST"), ('[{"id": 9, "body": "MARK\\nold"}]', "PUT")])
@pytest.mark.parametrize(
    "request_",
    [
        {"CI_MERGE_REQUEST_IID": "5"},
        {"CI_PROJECT_PATH": "team/proj", "CI_OPEN_MERGE_REQUESTS": "up/proj!3,team/proj!5"},
    ],
)
def test_gitlab_s_comment_is_written_or_renewed(
    tmp_path: Path, known: str, method: str, request_: dict[str, str]
) -> None:
    template = yaml.safe_load((ROOT / "ci" / "gitlab.yml").read_text(encoding="utf-8"))[".tunegate"]
    (script,) = template["after_script"]
    program(tmp_path / "curl", f"""echo "$@" >> calls; case "$*" in *per_page*) echo '{known}';; esac""")
    (tmp_path / "gate").mkdir()
    (tmp_path / "gate" / "comment.md").write_text("MARK\nnew")
    variables = {"CI_API_V4_URL": "https://g/api/v4", "CI_PROJECT_ID": "3", **request_}
    assert step(script, tmp_path, **variables).returncode == 0
    assert not (tmp_path / "calls").exists()
    assert step(script, tmp_path, GITLAB_TOKEN="t", **variables).returncode == 0
    _, written = (tmp_path / "calls").read_text().splitlines()
    assert f"--request {method}" in written
    assert written.endswith("/notes/9" if method == "PUT" else "/merge_requests/5/notes")
    # Of several models each has its own.
    (tmp_path / "gate" / "comment.md").rename(tmp_path / "gate" / "comment-a.md")
    (tmp_path / "gate" / "comment-b.md").write_text("OTHER\nnew")
    (tmp_path / "calls").unlink()
    assert step(script, tmp_path, GITLAB_TOKEN="t", **variables).returncode == 0
    calls = (tmp_path / "calls").read_text()
    assert [name in calls for name in ("body@gate/comment-a.md", "body@gate/comment-b.md")] == [True, True]
