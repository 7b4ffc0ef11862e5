"""Perplexity of the reference."""

import math
from dataclasses import replace

import pytest

from harness.metrics.definition import score_function
from harness.types import MetricError, ScoredTexts, TextLoss


def loss(nats: float, tokens: int = 5) -> TextLoss:
    return TextLoss(passage="reference", nats_per_token=nats, tokens=tokens)


def test_it_is_e_to_the_mean_loss_in_nats(score) -> None:
    assert score("perplexity", "any answer", "r", losses=(loss(math.log(8)),)).value == pytest.approx(8)


def test_the_likeliest_reference_counts(score) -> None:
    result = score("perplexity", "", "a", "b", losses=(loss(2.0), loss(0.5, 7)))

    assert result.value == pytest.approx(math.exp(0.5))
    assert result.explanation == "0.500 nats a token over the 7 tokens of reference 2 of 2"


@pytest.mark.parametrize("losses", [None, ()])
def test_without_a_measured_loss_it_is_an_error(request_for, losses: tuple[TextLoss, ...] | None) -> None:
    (result,) = score_function("perplexity")([request_for("perplexity", "", "a", losses=losses)])

    assert isinstance(result, MetricError)
    assert "not measured" in result.error


def test_it_tells_into_how_many_tokens_each_reference_is_split(score) -> None:
    said = score("perplexity", "", "a", "b", losses=(loss(2.0), replace(loss(0.5, 7), direct=True)))

    assert said.texts == ScoredTexts(tokens=(5, 7), direct=True)
