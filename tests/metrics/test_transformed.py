"""``transform``: what a check sees of an answer."""

import pytest

from harness.golden.transforms import StepError, read_steps
from harness.metrics.text import TooSlowError
from harness.metrics.transformed import checked_text
from harness.run.scoring import score_cases
from harness.types import Check, Completion, GoldenCase

FENCED = 'Here:\n```json\n{"a": [1, "é"]}\n```\nDone. ```x```'


def seen(text: str, *steps: object) -> str:
    checked = checked_text(Check(type="contains", transform=read_steps(list(steps))), text)
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
        ("b", [{"regex": r"(a)?b"}], "missing: '(a)?b' matches nowhere in the answer"),
        ("a #### b #### c", [{"after": "####"}, "strip"], "c"),
        ("a #### b #### c", [{"before": "####"}, "strip"], "a"),
        ("a", [{"after": "####"}], "missing: '####' is missing from the answer"),
        ("", ["strip"], ""),
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


def test_a_pattern_that_never_ends_is_an_error_of_its_check_alone():
    slow = Check(type="equals", value="a", transform=({"regex": r"(a|aa)+$"},))
    case = GoldenCase(id="a", set_name="s", messages=(), checks=(slow, Check(type="contains", value="a")))
    with pytest.raises(TooSlowError):
        checked_text(slow, "a" * 80 + "b")
    answer = Completion(
        text="a" * 80 + "b", stop_reason="stop", prompt_tokens=0, completion_tokens=0, latency_s=0
    )
    (result,) = score_cases([case], {case.key: answer})
    assert [error.metric for error in result.errors] == ["equals"]
    assert [score.metric for score in result.scores] == ["contains"]
