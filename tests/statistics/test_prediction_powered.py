"""A biased judge, a few labels, an honest mean."""

import random

import pytest

from harness.statistics.prediction_powered import prediction_powered_mean


def draw_items(draw, n, more, rate, flatter):
    """Truth of both parts, and a judge that passes some of what fails."""
    labels = [float(draw.random() < rate) for _ in range(n)]
    others = [float(draw.random() < rate) for _ in range(more)]

    def judged(values):
        return [1.0 if value or draw.random() < flatter else 0.0 for value in values]

    return labels, judged(labels), judged(others)


@pytest.mark.parametrize(("n", "more", "flatter"), [(60, 500, 0.3), (30, 300, 0.1), (60, 60, 0.9)])
def test_intervals_cover_however_the_judge_flatters(n, more, flatter):
    """The judge alone would be wrong by up to a third; 400 intervals hold the truth in about 90 %."""
    draw = random.Random(17)
    held = 0
    for _ in range(400):
        found = prediction_powered_mean(*draw_items(draw, n, more, 0.6, flatter))
        held += found.low <= 0.6 <= found.high
    assert 0.85 <= held / 400 <= 0.96


def test_a_good_judge_narrows_the_interval():
    draw = random.Random(2)
    labels, judged, others = draw_items(draw, 60, 2000, 0.6, 0.05)
    with_judge = prediction_powered_mean(labels, judged, others)
    alone = prediction_powered_mean(labels, judged, [])
    assert (with_judge.high - with_judge.low) < 0.6 * (alone.high - alone.low)


def test_a_judge_of_no_worth_is_left_out():
    draw = random.Random(4)
    labels = [float(draw.random() < 0.5) for _ in range(80)]
    noise = [draw.random() for _ in range(480)]
    found = prediction_powered_mean(labels, noise[:80], noise[80:])
    alone = prediction_powered_mean(labels, noise[:80], [])
    assert found.high - found.low == pytest.approx(alone.high - alone.low, rel=0.05)


def test_without_further_items_it_is_the_mean_of_the_labels():
    found = prediction_powered_mean([1, 0, 1, 1], [0, 0, 1, 1], [])
    assert found.estimate == pytest.approx(0.75)


def test_one_label_is_refused():
    with pytest.raises(ValueError, match="two labelled"):
        prediction_powered_mean([1.0], [1.0], [1.0, 0.0])
