"""Wrong answers that try to pass their tests, each by another trick, and right ones with all that tests may use."""

from pathlib import Path

import pytest
import yaml

from harness.metrics.code_check import run_code

FILE = yaml.safe_load(Path(__file__).with_name("code_answers.yaml").read_text(encoding="utf-8"))
PAGE = Path(__file__).parents[2] / "docs" / "checks.md"


def answers(kind: str) -> list[object]:
    named = FILE["shared"]
    return [
        pytest.param(one["answer"], named.get(one["tests"], one["tests"]), id=one["name"].replace(" ", "-"))
        for one in FILE[kind]
    ]


@pytest.mark.processes
@pytest.mark.parametrize(("answer", "tests"), answers("wrong"))
def test_a_wrong_answer_passes_by_no_trick(answer: str, tests: str) -> None:
    passed, told = run_code(answer, tests)

    assert not passed
    # The trick was tried: the answer itself was read and run.
    assert not told.startswith("answer.py")


@pytest.mark.processes
@pytest.mark.parametrize(("answer", "tests"), answers("right"))
def test_a_right_answer_passes(answer: str, tests: str) -> None:
    assert run_code(answer, tests) == (True, "all tests pass")


def test_the_page_says_how_many_were_tried() -> None:
    told = " ".join(PAGE.read_text(encoding="utf-8").split())
    assert f"{len(FILE['wrong'])} wrong answers that try to pass" in told
    assert f"{len(FILE['right'])} right ones" in told
