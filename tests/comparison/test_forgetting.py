"""Retained skills and the change of cross-entropy on general text."""

import pytest

from harness.comparison.forgetting import LOSS_LIMIT, loss_change, measure_forgetting, retained
from harness.statistics.rates import wilson
from harness.types import TextLoss


@pytest.fixture(name="pairs")
def _pairs(make_result):
    """Makes probe pairs of one skill: passed by the baseline, of which the candidate keeps some."""

    def build(skill, known, kept, failed_before=0):
        tags = [skill] if skill else []
        both = [(n < kept, True) for n in range(known)] + [(True, False)] * failed_before
        return [
            (make_result(f"g/{skill}{n}", now, tags=tags), make_result(f"g/{skill}{n}", then, tags=tags))
            for n, (now, then) in enumerate(both)
        ]

    return build


def loss(passage, nats, tokens=100):
    return TextLoss(passage=passage, nats_per_token=nats, tokens=tokens)


def test_only_what_the_baseline_passed_can_be_retained(pairs):
    kept = retained("knowledge", pairs("knowledge", 20, 15, failed_before=10))
    assert (kept.passed_by_baseline, kept.retained) == (20, 15)
    assert kept.rate == wilson(15, 20)


def test_nothing_known_is_nothing_to_retain(pairs):
    assert retained("knowledge", pairs("knowledge", 0, 0, failed_before=5)) is None
    assert retained("knowledge", []) is None


def test_skills_are_told_apart_by_the_first_tag(pairs):
    probes = (
        pairs("knowledge", 20, 15) + pairs("arithmetic", 10, 1) + pairs("", 4, 4) + pairs("format", 0, 0, 3)
    )
    forgetting = measure_forgetting(probes, (), ())
    assert {skill.skill: (skill.retained, skill.passed_by_baseline) for skill in forgetting.by_skill} == {
        "arithmetic": (1, 10),
        "knowledge": (15, 20),
        "untagged": (4, 4),
    }
    assert (forgetting.overall.retained, forgetting.overall.passed_by_baseline) == (20, 34)
    assert forgetting.loss_change is None
    assert not forgetting.tripped


def test_probes_of_a_cluster_are_not_independent(make_result):
    pairs = [
        (
            make_result(f"g/{n}", n % 4 > 0, cluster=str(n % 4)),
            make_result(f"g/{n}", True, cluster=str(n % 4)),
        )
        for n in range(40)
    ]
    rate = retained("all", pairs).rate
    assert rate.estimate == 0.75
    assert rate.high - rate.low > 2 * (wilson(30, 40).high - wilson(30, 40).low)


def test_nothing_measured_is_no_forgetting():
    assert measure_forgetting([], (), ()) is None


def test_each_token_counts_once():
    """300 tokens at +0.1 and 100 at +0.5 are +0.2 a token."""
    change = loss_change(
        [loss("a", 3.1, 300), loss("b", 2.5, 100)], [loss("a", 3.0, 300), loss("b", 2.0, 100)]
    )
    assert change.estimate == pytest.approx(0.2)
    assert change.low < 0.2 < change.high
    assert change.confidence == 0.9


def test_a_passage_that_was_cut_differently_is_left_out():
    """Another tokenizer makes other tokens: nats per token don't compare."""
    change = loss_change([loss("a", 3.5, 90), loss("b", 2.0)], [loss("a", 3.0, 100), loss("b", 2.0)])
    assert change.estimate == 0
    assert loss_change([loss("a", 3.5, 90)], [loss("a", 3.0, 100)]) is None
    assert loss_change([loss("a", 3.5)], [loss("b", 3.5)]) is None


def test_equal_losses_are_no_change():
    change = loss_change([loss("a", 3.0), loss("b", 2.0)], [loss("a", 3.0), loss("b", 2.0)])
    assert (change.low, change.estimate, change.high) == (0, 0, 0)


@pytest.mark.parametrize(
    ("rise", "tripped"), [(LOSS_LIMIT / 2, False), (LOSS_LIMIT * 2, True), (-LOSS_LIMIT * 2, False)]
)
def test_the_tripwire_speaks_beyond_its_limit(rise, tripped):
    before = [loss(str(n), 3.0 + n / 10) for n in range(8)]
    now = [loss(str(n), 3.0 + n / 10 + rise * (0.9 + 0.2 * (n % 2))) for n in range(8)]
    assert measure_forgetting([], now, before).tripped is tripped


def test_one_wild_passage_does_not_trip_it():
    """The mean is beyond the limit, but only by one passage of eight: the interval reaches below zero."""
    before = [loss(str(n), 3.0) for n in range(8)]
    now = [loss(str(n), 3.0 + (1.6 if n == 0 else 0.0)) for n in range(8)]
    forgetting = measure_forgetting([], now, before)
    assert forgetting.loss_change.estimate > LOSS_LIMIT
    assert not forgetting.tripped
