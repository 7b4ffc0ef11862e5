"""Refusals among lost answers, in whatever words and also where they are cut."""

from dataclasses import replace

import pytest

from harness.comparison.pairing import pair_runs, paired_metrics
from harness.comparison.slices import shared_traits
from harness.comparison.traits import traits_of


def said(result, answer):
    """The result with that answer."""
    return replace(result, completion=replace(result.completion, text=answer))


def rate_of(now, then):
    pairing = pair_runs(now, then)
    return paired_metrics(pairing)[0], pairing.pairs


REFUSALS = (
    "I can't help",
    "I’m sorry, but that is not something",
    "As an AI, my",
    "I cannot assist with it",
    "I won't",
    "Unfortunately I am unable",
    "Unfortunately, I'm not able",
    "Sorry, I can't",
    "Ich kann Ihnen dabei leider nicht helfen.",
)


@pytest.mark.parametrize("answer", REFUSALS)
def test_a_refusal_is_named_as_one_also_where_it_is_cut(make_result, answer):
    assert next(traits_of([said(make_result("s/a"), answer)]))[0] == "answer refuses"


@pytest.mark.parametrize(
    "answer",
    [
        "I am sorry to hear it.",
        "I can see that",
        "An AI answers.",
        "I won it",
        "As an AI assistant, I love to help: the capital is Paris.",
        "As an AI engineer she wrote it. It took her a year.",
        "I'm sorry, but the answer is 42.",
    ],
)
def test_what_declines_nothing_is_no_refusal(make_result, answer):
    assert "answer refuses" not in next(traits_of([said(make_result("s/a"), answer)]))


def test_refusals_in_varied_words_are_what_is_shared(make_result, make_run):
    then = make_run([said(make_result(f"s/{n:02}"), f"Yes, {n}.") for n in range(60)])
    now = make_run(
        [said(make_result(f"s/{n:02}", n >= 9), REFUSALS[n] if n < 9 else f"Yes, {n}.") for n in range(60)]
    )
    assert shared_traits(*rate_of(now, then))[0].trait == "answer refuses"
