"""What an answer says before the calls in it."""

import pytest

from harness.metrics.written_calls import words_before_calls

CALL = '{"name": "weather", "arguments": {"at": "Oslo"}}'
TAGGED = f"<tool_call>\n{CALL}\n</tool_call>"
XML = "<tool_call>\n<function=weather>\n<parameter=at>\n90210\n</parameter>\n</function>\n</tool_call>"


@pytest.mark.parametrize("words", ["", "I ask.", "I ask.\nBoth of them:", "[1] is a place, {2} another."])
@pytest.mark.parametrize(
    ("written", "called"),
    [
        (TAGGED, ["weather"]),
        (f"{TAGGED}\n{TAGGED}<|im_end|>", ["weather", "weather"]),
        (XML, ["weather"]),
        (f"[TOOL_CALLS] [{CALL}]", ["weather"]),
        (f"<function_calls>{TAGGED}</function_calls>", ["weather"]),
        (f"[{CALL},\n {CALL}]", ["weather", "weather"]),
        (CALL.replace(", ", ",\n  "), ["weather"]),
    ],
)
def test_the_words_stay_without_the_calls(words, written, called):
    assert words_before_calls(f"{words}\n{written}" if words else written, called) == words


def test_python_s_calls_are_all_of_an_answer():
    assert words_before_calls('[weather(at="Oslo")]', ["weather"]) == ""


@pytest.mark.parametrize(
    ("written", "called"),
    [
        ("It rains.", ["weather"]),
        (f"{TAGGED}\n{TAGGED}", ["weather"]),
        (TAGGED, ["time"]),
        (TAGGED, []),
        ('<tool_call>{"name": "weather"', ["weather"]),
        (f"<think>{TAGGED}</think>\nIt rains.", ["weather"]),
    ],
)
def test_what_is_not_known_to_be_a_call_stays(written, called):
    assert words_before_calls(written, called) == written
