"""``transform``: what a check sees of an answer."""

import re
from dataclasses import replace

import pytest

from harness.errors import SettingsError
from harness.golden.load import load_golden_set
from harness.golden.transforms import StepError, read_steps
from harness.metrics.text import TooSlowError
from harness.metrics.transformed import checked_text
from harness.run.inputs import require_permitted
from harness.run.scoring import Judging, score_cases
from harness.types import NOTHING_ALLOWED, Check, Completion, GoldenCase, Outcome, Permissions

FENCED = 'Here:\n```json\n{"a": [1, "é"]}\n```\nDone. ```x```'


def seen(text: str, *steps: object) -> str:
    checked = checked_text(
        Check(type="contains", transform=read_steps(list(steps)).steps), text, NOTHING_ALLOWED
    )
    return f"missing: {checked.missing}" if checked.missing else checked.text


@pytest.mark.parametrize(
    ("text", "steps", "expected"),
    [
        (" A b ", ["strip"], "A b"),
        (" A b ", ["strip", "lower"], "a b"),
        ("\n\n one \ntwo\n\n", ["first-line"], " one "),
        ("\n\n one \ntwo\n\n", ["last-line"], "two"),
        (" \n", ["last-line"], "missing: the answer has no line with text"),
        (FENCED, ["code-block"], '{"a": [1, "é"]}'),
        (FENCED, ["code-block", {"json-path": "$.a[1]"}], "é"),
        (FENCED, ["code-block", {"json-path": "$.a"}], '[1, "é"]'),
        (FENCED, ["code-block", {"json-path": "$.b"}], "missing: $.b selects no values of the answer's JSON, not one"),
        (FENCED, ["code-block", {"json-path": "$.a[*]"}], "missing: $.a[*] selects 2 values of the answer's JSON, not one"),
        (FENCED, [{"json-path": "$.a"}], "missing: the answer begins with 'Here:"),
        ("no fence", ["code-block"], "no fence"),
        ("```py\nx = 1", ["code-block"], "missing: the answer's code block has no end"),
        ("````\n```\na\n```\n````", ["code-block"], "```\na\n```"),
        ("~~~\na\n~~~", ["code-block"], "a"),
        ("```\n```\nb", ["code-block"], ""),
        ("```\na\r\nb\n```", ["code-block"], "a\r\nb"),
        ("Answer: 4, answer: 5", [{"regex": r"(\d)"}], "4"),
        ("Answer: 4", [{"regex": r"Answer: \d"}], "Answer: 4"),
        ("Answer: x", [{"regex": r"(\d)"}], r"missing: '(\d)' matches nowhere in the answer"),
        ("b", [{"regex": r"(a)?b"}], "missing: '(a)?b' matches without any of its groups"),
        ("It is 7.", [{"regex": r"Answer: (\d)|(\d)\.$"}], "7"),
        ("a #### b #### c", [{"after": "####"}, "strip"], "c"),
        ("a #### b #### c", [{"before": "####"}, "strip"], "a"),
        ("a", [{"after": "####"}], "missing: '####' is missing from the answer"),
        ("", ["strip"], ""),
        ("Re\u0301ponse: x", [{"after": "R\u00e9ponse:"}, "strip"], "x"),
        ("x R\u00e9ponse:", [{"before": "Re\u0301ponse:"}, "strip"], "x"),
    ],
)  # fmt: skip
def test_a_step_takes_its_part(text, steps, expected):
    assert seen(text, *steps).startswith(expected)
    if not expected.startswith("missing"):
        assert seen(text, *steps) == expected


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("stripp", "unknown step 'stripp'; did you mean strip"),
        ("regex", "regex needs a text"),
        ([], "found an empty list"),
        (3, "found 3"),
        ({"regex": "("}, "regex: .*missing"),
        ({"regex": 3}, "regex: found 3"),
        ({"after": ""}, "after: found"),
        ({"json-path": "a"}, "json-path: "),
        ({"json-path": "$[?match(@, 'a')]"}, "json-path: "),
        ({"after": "a", "before": "b"}, "found"),
        ([["strip"]], "found"),
        ({"strip": "x"}, "unknown step 'strip'"),
    ],
)
def test_a_faulty_step_is_refused(written, problem):
    with pytest.raises(StepError, match=problem):
        read_steps(written)


@pytest.mark.parametrize("name", ["contains", "not-contains"])
def test_a_check_fails_if_its_text_is_not_in_the_answer_negated_or_not(name):
    check = Check(type=name, value="a", transform=({"after": "Answer:"},))
    case = GoldenCase(id="a", set_name="s", messages=(), checks=(check,))
    answer = Completion(text="a", stop_reason="stop", prompt_tokens=0, completion_tokens=0, latency_s=0)
    (score,) = score_cases([case], {case.key: answer})[0].scores
    assert (score.value, score.passed) == (0.0, False)
    assert score.explanation == "'Answer:' is missing from the answer"


@pytest.mark.usefixtures("hurried")
def test_a_pattern_that_never_ends_is_an_error_of_its_check_alone():
    slow = Check(type="equals", value="a", transform=({"regex": r"(a|aa)+$"},))
    case = GoldenCase(id="a", set_name="s", messages=(), checks=(slow, Check(type="contains", value="a")))
    with pytest.raises(TooSlowError):
        checked_text(slow, "a" * 80 + "b", NOTHING_ALLOWED)
    answer = Completion(
        text="a" * 80 + "b", stop_reason="stop", prompt_tokens=0, completion_tokens=0, latency_s=0
    )
    (result,) = score_cases([case], {case.key: answer})
    assert [error.metric for error in result.errors] == ["equals"]
    assert [score.metric for score in result.scores] == ["contains"]


CLEAN = """\
def body(answer):
    if "secret" in answer:
        raise ValueError("no body")
    if "number" in answer:
        return 4
    return answer.partition("BODY")[2].strip() if "BODY" in answer else None
"""


@pytest.fixture
def by_function(tmp_path):
    """A case whose checks see what a function gives."""
    (tmp_path / "clean.py").write_text(CLEAN)
    (tmp_path / "set.yaml").write_text(
        "name: s\ncases:\n- id: a\n  prompt: q\n  checks:\n"
        "  - {type: equals, value: x, transform: [strip, {python: 'clean.py:body'}]}\n"
        "  - {type: contains, value: x}\n"
    )
    (case,) = load_golden_set(tmp_path / "set.yaml").cases
    return case


def scored(case, text, allowed):
    answer = Completion(text=text, stop_reason="stop", prompt_tokens=0, completion_tokens=0, latency_s=0)
    (result,) = score_cases([case], {case.key: answer}, judging=Judging(allowed=allowed))
    return result


PYTHON = Permissions(python=True)


def test_a_function_of_the_project_is_a_step(by_function):
    passed, _ = scored(by_function, " x BODY x ", PYTHON).scores
    assert passed.passed
    missing, _ = scored(by_function, "x", PYTHON).scores
    assert missing.passed is False
    assert missing.explanation == "clean.py:body finds its part nowhere in the answer"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("x secret", "transform by clean.py:body: ValueError: no body"),
        ("x number", r"transform by clean.py:body gave 4 \(allowed: a text, or None\)"),
    ],
)
def test_a_function_that_breaks_makes_its_check_errored(by_function, text, why):
    result = scored(by_function, text, PYTHON)
    (error,) = result.errors
    assert re.fullmatch(why, error.error)
    assert result.outcome is Outcome.ERRORED


def test_a_function_runs_only_where_it_is_allowed(by_function):
    with pytest.raises(
        SettingsError, match=r"s/a: transform by clean\.py:body: it runs code of this project"
    ):
        require_permitted([by_function], Permissions())
    require_permitted([by_function], PYTHON)
    (error,) = scored(by_function, "BODY x", Permissions()).errors
    assert "it runs code of this project" in error.error


def test_a_changed_file_is_another_check(by_function, tmp_path):
    (tmp_path / "clean.py").write_text(CLEAN + "# other")
    (case,) = load_golden_set(tmp_path / "set.yaml").cases
    assert case.content_sha256 != by_function.content_sha256
    with pytest.raises(SettingsError, match="was changed since the golden set was read"):
        require_permitted([replace(by_function)], PYTHON)


@pytest.mark.parametrize(
    ("path", "why"),
    [("clean.py", "found 'clean.py'"), ("../clean.py:body", "leaves"), ("none.py:body", "can't be read")],
)
def test_a_step_names_a_file_of_the_golden_set(tmp_path, path, why):
    with pytest.raises(StepError, match=why):
        read_steps({"python": path}, tmp_path)
    with pytest.raises(StepError, match="only a golden set's file can name a function"):
        read_steps({"python": path})


@pytest.mark.parametrize("body", ["import pytest; pytest.skip('no')", "import sys; sys.exit(0)"])
def test_whatever_a_function_raises_is_an_error_of_its_check(by_function, tmp_path, body):
    (tmp_path / "clean.py").write_text(f"def body(answer):\n    {body}\n")
    (case,) = load_golden_set(tmp_path / "set.yaml").cases
    result = scored(case, "BODY x", PYTHON)
    assert result.outcome is Outcome.ERRORED
    assert result.errors[0].error.startswith("transform by clean.py:body: S")
