"""Tokens of two engines are distinguished by their texts, however each engine writes them."""

import json
from types import SimpleNamespace

import pytest

from harness.engines.served.client import RefusedError
from harness.engines.served.next_token import FLOOR, NextToken, first_token_of_chat, largest_change


def test_a_listed_token_is_compared_with_the_most_that_it_can_be():
    few = NextToken(logprobs={"a": -0.5, "b": -1.5}, rest=-1.5)
    all_of_them = NextToken(logprobs={"a": -0.4, "c": -1.0, "b": -3.0}, rest=FLOOR)
    assert largest_change(few, few) == 0.0
    # b fell by 1.5; c has at most -1.5 where few tokens are listed, so at least 0.5 more here.
    assert largest_change(few, all_of_them) == pytest.approx(1.5)
    assert largest_change(all_of_them, few) == pytest.approx(1.5)
    assert largest_change(NextToken(logprobs={"a": -0.4}, rest=-1.5), all_of_them) == pytest.approx(0.5)


def test_a_token_that_one_model_here_never_says_is_a_change():
    one, other = (NextToken(logprobs=found, rest=FLOOR) for found in ({"a": -0.1, "b": -3.0}, {"b": -0.1}))
    assert largest_change(one, other) == pytest.approx(19.9)


WHOLE = {"Paris": -0.1, "Lyon": -3.0, "</s>": -4.0, "\n": -12.0}


@pytest.mark.parametrize(
    "listed",
    [
        # llama.cpp writes the space that a tokenizer of whole words leaves out where it decodes one alone.
        {" Paris": -0.1, " Lyon": -3.0},
        # And nothing for the end of the text.
        {" Paris": -0.1, " Lyon": -3.0, "": -4.0},
        {"Paris": -0.1, "Lyon": -3.0, "</s>": -4.0},
        # Both with the space and without are tokens.
        {" Paris": -0.1, "Paris": -2.5, " Lyon": -3.0},
    ],
)
def test_equal_weights_have_no_change_however_tokens_are_written(listed):
    served = NextToken(logprobs=listed, rest=min(listed.values()))
    here = NextToken(logprobs=WHOLE, rest=FLOOR)
    assert largest_change(here, served) == largest_change(served, here) == 0.0


def test_where_the_texts_don_t_meet_there_is_no_figure():
    here = NextToken(logprobs=WHOLE, rest=FLOOR)
    raw = {"\u2581Paris": -0.1, "\u2581Lyon": -3.0}
    assert largest_change(here, NextToken(logprobs=raw, rest=-3.0)) is None
    # Only the end of the text has one name.
    assert largest_change(here, NextToken(logprobs={**raw, "</s>": -4.0}, rest=-4.0)) is None


@pytest.mark.parametrize(
    ("token", "given", "text"),
    [
        (" Paris", list(b" Paris"), " Paris"),
        ("bytes:\\xe2\\x80", [0xE2, 0x80], "\ufffd"),
        (" Paris", None, " Paris"),
        ("</s>", [], "</s>"),
        ("odd", ["x", 300], "odd"),
    ],
)
def test_a_part_of_a_character_is_read_from_its_bytes(token, given, text):
    top = SimpleNamespace(token=token, bytes=given, logprob=-0.5)
    content = [SimpleNamespace(top_logprobs=[top])]
    reply = SimpleNamespace(choices=[SimpleNamespace(logprobs=SimpleNamespace(content=content))])
    job = first_token_of_chat({"messages": [], "stop": ["x"]})
    assert json.dumps(job.body) == '{"messages": [], "max_tokens": 1, "logprobs": true, "top_logprobs": 20}'
    assert job.read(reply, {}) == NextToken(logprobs={text: -0.5}, rest=-0.5)


def test_a_server_without_log_probabilities_is_named():
    reply = SimpleNamespace(choices=[SimpleNamespace(logprobs=None)])
    with pytest.raises(RefusedError, match="the server gives no log-probabilities"):
        first_token_of_chat({"messages": []}).read(reply, {})
