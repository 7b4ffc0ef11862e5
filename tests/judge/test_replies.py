"""What counts as a verdict, however it is wrapped, and what never does."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.judge.replies import ReplyError, read_reply

SCHEMA = {
    "type": "object",
    "properties": {
        "reason": {"type": "string"},
        "pass": {"type": "boolean"},
        "grade": {"type": "integer", "minimum": 1, "maximum": 5},
        "winner": {"type": "string", "enum": ["A", "B", "tie"]},
    },
    "required": ["pass"],
}


@pytest.mark.parametrize(
    "text",
    [
        '{"pass": true}',
        '```json\n{"pass": true}\n```',
        'Here it is:\n{"pass": true}\nI hope that helps.',
        '<think>{"pass": false} would be harsh</think>{"pass": true}',
        'Well. <think>{"pass": false} would be harsh</think>{"pass": true}',
        'it says {"pass": false}, but</think>{"pass": true}',
        '<|channel|>analysis<|message|>{"pass": false}?<|end|><|start|>assistant<|channel|>final<|message|>{"pass": true}',
        'analysis{"pass": false} is harshassistantfinal{"pass": true}',
        "{'pass': True}",
        '{"pass": "yes"}',
        '{"Pass": true}',
        '{"pass": true, "confidence": 0.4}',
        'An example is {"pass": false}. My verdict is {"pass": true}',
    ],
)
def test_a_wrapped_verdict_is_found(text):
    assert read_reply(text, SCHEMA) == {"pass": True}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yes",
        "true",
        '{"reason": "good"}',
        '{"pass": 1}',
        '{"pass": null}',
        '{"pass": tr',
        '{"pass": "maybe"}',
        "[true]",
    ],
)
def test_no_verdict_is_made_up(text):
    with pytest.raises(ReplyError):
        read_reply(text, SCHEMA)


def test_numbers_and_words_are_taken_in_the_schema_s_spelling():
    found = read_reply('{"pass": true, "grade": "4", "winner": "TIE"}', SCHEMA)
    assert (found["grade"], found["winner"]) == (4, "tie")


@pytest.mark.parametrize("grade", [0, 6, 3.5, "five"])
def test_a_grade_off_the_scale_is_no_grade(grade):
    with pytest.raises(ReplyError, match="grade"):
        read_reply(json.dumps({"pass": True, "grade": grade}), SCHEMA)


def test_braces_in_a_reason_do_not_end_the_object():
    assert read_reply('So: {"reason": "uses } and \\"{\\"", "pass": false} done', SCHEMA)["pass"] is False


@given(st.text())
def test_any_text_is_a_verdict_or_an_error(text):
    try:
        found = read_reply(text, SCHEMA)
    except ReplyError:
        return
    assert isinstance(found["pass"], bool)


@given(
    st.fixed_dictionaries({"pass": st.booleans(), "reason": st.text()}),
    st.text(alphabet=st.characters(exclude_characters="{}`<")),
)
def test_what_a_judge_says_around_its_verdict_does_not_change_it(verdict, around):
    assert read_reply(f"{around}\n{json.dumps(verdict)}\n{around}", SCHEMA) == verdict


def test_a_reply_that_is_cut_inside_its_reasoning_says_so():
    with pytest.raises(ReplyError, match="reasoning only: it was cut"):
        read_reply('<think>{"pass": true} perhaps, but', SCHEMA)
