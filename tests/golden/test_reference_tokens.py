"""How many tokens a reference has before a model has split it, and what one of them moves."""

import pytest

from harness.golden.reference_tokens import (
    estimated_tokens,
    has_light_tails,
    is_per_token,
    lone_drop_of_cases,
    shortest_reference,
    token_drop,
    token_drop_of_cases,
)
from harness.types import GoldenCase, Message


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("yes", 1),
        ("positive", 1),
        ("", 1),
        ("The capital of France is Paris.", 7),
        # A quarter of the bytes: many marks share a token.
        ('{"name": "Bob", "city": "Paris"}', 8),
        ("日本の首都は東京です。", 8.25),
        ("\ud800", 1),
    ],
)
def test_words_and_marks_are_counted_but_no_more_than_a_quarter_of_the_bytes(text, tokens):
    assert estimated_tokens(text) == pytest.approx(tokens, abs=0.01)


def test_the_estimate_is_no_more_than_what_a_tokenizer_makes_of_english():
    """Rather too few: a pass then needs more cases than it may, and none too few."""
    from pathlib import Path

    text = (Path(__file__).parents[2] / "docs" / "glossary.md").read_text(encoding="utf-8")[:4000]
    assert estimated_tokens(text) <= len(text.encode()) / 4


def test_one_token_of_each_case_and_of_one_more():
    """Of two cases of 10 and 20 tokens one token is 1 and 0.5 nats a token; the shorter one counts again."""
    assert token_drop([10, 20]) == pytest.approx((1 + 0.5 + 1) / 3)
    assert token_drop([]) == 0.0
    assert token_drop([1] * 40) == pytest.approx(10.0)


def test_the_shortest_reference_counts_and_a_case_without_any_does_not():
    cases = [
        GoldenCase(id=str(n), set_name="s", messages=(Message(role="user", content="?"),), references=texts)
        for n, texts in enumerate([("yes", "it is so as far as I can see"), ()])
    ]
    assert [shortest_reference(case) for case in cases] == [1, None]
    assert token_drop_of_cases(cases) == 10.0
    assert token_drop_of_cases(cases[1:]) == 0.0
    # Of what a plug-in makes of losses the gate allows for no token either.
    assert [lone_drop_of_cases(metric, cases) for metric in ("perplexity", "bits-per-byte")] == [10.0, 0.0]


def test_a_metric_of_losses_per_token():
    assert [has_light_tails(each) for each in ("perplexity", "rouge-l", "no-such")] == [True, False, False]
    assert [is_per_token(each) for each in ("perplexity", "choice-likelihood")] == [True, False]
