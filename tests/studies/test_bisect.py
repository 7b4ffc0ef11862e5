"""All checkpoints of a run answer a case; the step that lost it is named."""

import json

import pytest
from typer.testing import CliRunner

from harness.cli.bisect import _finding
from harness.cli.main import app
from harness.errors import AdapterError
from harness.golden.load import load_golden_set
from harness.run.cache import Cache
from harness.studies.bisect import _bisection, bisect_cases, find_checkpoints
from harness.types import Outcome

GOLDEN = """\
name: small
cases:
  - {id: kept, prompt: what is w1, checks: [{type: not-equals, value: impossible answer}]}
  - {id: never, prompt: what is w1, checks: [{type: equals, value: impossible answer}]}
"""


@pytest.fixture
def run_directory(tmp_path, tiny_model_dir, make_tiny_adapter):
    """Three checkpoints that answer differently, as training leaves them."""
    for step, spread in ((4, 0.5), (8, 1.0), (12, 2.0)):
        make_tiny_adapter(
            tiny_model_dir, tmp_path / "out.work" / "checkpoints" / f"checkpoint-{step}", spread=spread
        )
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def test_checkpoints_are_found_from_any_of_their_directories(run_directory):
    work = run_directory.with_name("out.work")
    steps = [4, 8, 12]
    assert list(find_checkpoints(run_directory)) == steps
    assert list(find_checkpoints(work)) == steps
    assert list(find_checkpoints(work / "checkpoints")) == steps
    with pytest.raises(AdapterError, match=r"no checkpoints here, in checkpoints/ or in"):
        find_checkpoints(run_directory.parent / "elsewhere")


def test_the_step_that_lost_a_case_is_the_first_after_the_last_that_passed(run_directory, tmp_path):
    """The case asks for what step 8 says, which the base, step 4 and step 12 don't say."""
    checkpoints = find_checkpoints(run_directory)
    golden = tmp_path / "small.yaml"
    golden.write_text(GOLDEN)
    kept, never = bisect_cases(checkpoints, load_golden_set(golden).cases, Cache(None), lambda *_: None)
    assert list(kept.results) == [0, 4, 8, 12]
    assert (kept.lost_at, kept.last_passed) == (None, 12)
    assert (never.lost_at, never.last_passed) == (None, None)
    said = kept.results[8].completion.text
    assert said not in {kept.results[step].completion.text for step in (0, 4, 12)}
    golden.write_text(
        f"name: small\ncases:\n  - {{id: a, prompt: what is w1, checks: [{{type: equals, value: {json.dumps(said)}}}]}}\n"
    )
    (lost,) = bisect_cases(checkpoints, load_golden_set(golden).cases, Cache(None), lambda *_: None)
    assert (lost.lost_at, lost.last_passed) == (12, 8)


def test_the_command_names_the_step(run_directory, tmp_path):
    golden = tmp_path / "small.yaml"
    golden.write_text(GOLDEN)
    arguments = [
        "bisect",
        str(run_directory),
        "--golden",
        str(golden),
        "--directory",
        str(tmp_path),
    ]
    result = CliRunner().invoke(app, [*arguments, "--case", "kept", "--case", "small/never"])
    assert result.exit_code == 0, result.output
    assert "step 12, the last, passes small/kept" in result.output
    assert "no step passes small/never" in result.output
    missing = CliRunner().invoke(app, [*arguments, "--case", "none"])
    assert "--case none: no such case in" in str(missing.exception)


@pytest.mark.parametrize(
    ("outcomes", "lost_at", "said"),
    [
        (
            "ppee",
            None,
            "step 4 was the last to pass s/a; no later step has a verdict, so no loss is shown",
        ),
        ("pefp", None, "step 12, the last, passes s/a"),
        ("ppef", 12, "lost by step 12: step 4 was the last to pass s/a; no verdict at 8"),
        ("epfe", 8, "lost by step 8: step 4 was the last to pass s/a"),
        ("efff", None, "no step passes s/a, the base included; no verdict at the base"),
        ("eeee", None, "no step has a verdict on s/a, the base included"),
    ],
)
def test_a_step_without_a_verdict_has_lost_nothing(make_result, outcomes, lost_at, said):
    """An answer that a server or a time limit did not give is no failed case."""
    words = {"p": Outcome.PASSED, "f": Outcome.FAILED, "e": Outcome.ERRORED}
    results = {4 * place: make_result("s/a", words[each]) for place, each in enumerate(outcomes)}
    found = _bisection(results[0].case, results)
    assert found.lost_at == lost_at
    assert _finding(found) == f"{said}\n"
