"""Retained skills and the change of cross-entropy on general text."""

from dataclasses import replace

import pytest

from harness.comparison.pairing import fold_repeats
from harness.comparison.whole_sets import (
    LOSS_LIMIT,
    loss_change,
    mean_divergence,
    measure_forgetting,
    retained,
)
from harness.statistics.clusters import wilson
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


def test_an_equal_model_s_repeated_probes_are_kept(make_result):
    """Each passes 9 of 10 answers on both sides: all had a failed answer, and nothing is lost."""

    def side(failed):
        answers = [make_result(f"g/{n}", each != failed) for n in range(20) for each in range(10)]
        return fold_repeats(answers)

    kept = retained("knowledge", list(zip(side(0), side(5), strict=True)))
    assert (kept.passed_by_baseline, kept.retained, kept.rate.estimate) == (18, 18, 1.0)
    assert kept.rate.low < 1.0 == kept.rate.high


def test_a_repeated_probe_is_kept_as_far_as_both_sides_pass_it(make_result):
    """5 of 5, 4, 2 and none before, 3, 5, 1 and 5 now: 3 + 4 + 1 of 11 answers are kept, gains count nowhere."""

    def side(*passed):
        answers = [make_result(f"g/{n}", each < count) for n, count in enumerate(passed) for each in range(5)]
        return fold_repeats(answers)

    kept = retained("knowledge", list(zip(side(3, 5, 1, 5), side(5, 4, 2, 0), strict=True)))
    assert kept.rate.estimate == pytest.approx(8 / 11)
    assert (kept.passed_by_baseline, kept.retained) == (2, 2)
    assert 0 <= kept.rate.low < 8 / 11 < kept.rate.high <= 1


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
    """300 tokens at +0.1 and twice 50 at +0.5 are +0.2 a token."""
    change = loss_change(
        [loss("a", 3.1, 300), loss("b", 2.5, 50), loss("c", 2.5, 50)],
        [loss("a", 3.0, 300), loss("b", 2.0, 50), loss("c", 2.0, 50)],
    )
    assert change.estimate == pytest.approx(0.2)
    assert change.low < 0.2 < change.high
    assert change.confidence == 0.9


def test_a_passage_that_was_cut_differently_is_left_out():
    """Another tokenizer makes other tokens: nats per token don't compare."""
    others = [loss("b", 2.0), loss("c", 2.0), loss("d", 2.0)]
    now, before = [loss("a", 3.5, 90), *others], [loss("a", 3.0, 100), *others]
    assert loss_change(now, before).estimate == 0
    found = measure_forgetting(
        [], [*now, loss("code/a", 1.0)], [*before, loss("code/a", 1.0), loss("e", 1.0)]
    )
    assert found.passages == (3, 4)
    assert measure_forgetting([], now, now).passages == (4, 4)


@pytest.mark.parametrize("shared", [0, 1, 2])
def test_fewer_than_three_passages_measure_nothing(make_result, shared):
    """Of one there is no spread, and any rise of it was surely above 0: no run could pass."""
    now = [loss(str(n), 3.15 + n / 100, 100 if n < shared else 90) for n in range(15)]
    before = [loss(str(n), 3.0) for n in range(15)]
    assert loss_change(now, before) is None
    probe = make_result("g/a")
    found = measure_forgetting([(probe, probe)], now, before)
    assert (found.loss_change, found.tripped, found.passages) == (None, False, (shared, 15))


def test_equal_losses_are_no_change():
    losses = [loss("a", 3.0), loss("b", 2.0), loss("c", 1.0)]
    change = loss_change(losses, losses)
    assert (change.low, change.estimate, change.high) == (0, 0, 0)


@pytest.mark.parametrize(
    ("rise", "tripped"), [(LOSS_LIMIT / 2, False), (LOSS_LIMIT * 2, True), (-LOSS_LIMIT * 2, False)]
)
def test_the_tripwire_speaks_beyond_its_limit(rise, tripped):
    before = [loss(str(n), 3.0 + n / 10) for n in range(8)]
    now = [loss(str(n), 3.0 + n / 10 + rise * (0.9 + 0.2 * (n % 2))) for n in range(8)]
    assert measure_forgetting([], now, before).tripped is tripped


def test_the_limit_itself_is_within_it(monkeypatch):
    """A rise of exactly the limit does not trip the wire; the least above it does."""
    before = [loss(str(n), 3.0) for n in range(8)]
    now = [loss(str(n), 3.25) for n in range(8)]
    for limit, tripped in ((0.25, False), (0.2499, True)):
        monkeypatch.setattr("harness.comparison.whole_sets.LOSS_LIMIT", limit)
        assert measure_forgetting([], now, before).tripped is tripped


def test_one_wild_passage_does_not_trip_it():
    """The mean is beyond the limit, but only by one passage of eight: the interval reaches below zero."""
    before = [loss(str(n), 3.0) for n in range(8)]
    now = [loss(str(n), 3.0 + (1.6 if n == 0 else 0.0)) for n in range(8)]
    forgetting = measure_forgetting([], now, before)
    assert forgetting.loss_change.estimate > LOSS_LIMIT
    assert not forgetting.tripped


def test_the_mean_divergence_counts_each_token_once():
    """300 tokens at 0.1 and 100 at 0.5 are 0.2; two passages, so t with one degree of freedom.

    Deviations of the sums are 300 x -0.1 and 100 x 0.3: the error is sqrt(2 x 2 x 30^2) / 400 = 0.15.
    """
    found = mean_divergence([loss("a", 0.1, 300), loss("b", 0.5, 100)], 0.9)
    assert found.estimate == pytest.approx(0.2)
    assert found.high == pytest.approx(0.2 + 6.313752 * 0.15)
    assert (found.low, found.confidence) == (0.0, 0.9)
    assert mean_divergence([], 0.9) is None


def test_equal_divergences_leave_what_two_passages_can_miss():
    """No spread: the share 1 - 0.05^(1/2) of the population, times the largest divergence."""
    found = mean_divergence([loss("a", 0.2), loss("b", 0.2)], 0.9)
    assert found.high == pytest.approx(0.2 + 0.2 * (1 - 0.05**0.5))


def test_refusals_are_counted_on_each_side(make_result):
    def answered(key, text):
        result = make_result(key)
        return replace(result, completion=replace(result.completion, text=text))

    refusal, lost = "I'm sorry, but I can't help with that.", replace(make_result("g/3"), completion=None)
    pairs = [
        (answered("g/0", refusal), answered("g/0", "Four.")),
        (answered("g/1", refusal), answered("g/1", refusal)),
        (answered("g/2", "Four."), answered("g/2", "Four.")),
        (lost, answered("g/3", refusal)),
        (answered("g/4", refusal), lost),
    ]
    assert measure_forgetting(pairs, (), ()).refusals == (1, 2)
    assert measure_forgetting([(lost, lost)], (), ()).refusals is None


def test_the_rate_has_the_confidence_that_is_asked_for(pairs):
    assert retained("knowledge", pairs("knowledge", 20, 15), 0.98).rate == wilson(15, 20, 0.98)


def test_other_kinds_of_text_are_for_information():
    """Code got much harder, prose did not: the tripwire is about prose."""
    before = [loss(f"{kind}{name}", 2.0) for kind in ("", "code/", "german/") for name in "abc"]
    now = [loss(each.passage, 2.0 + 0.5 * each.passage.startswith("code/")) for each in before]
    forgetting = measure_forgetting([], now, before)
    assert forgetting.loss_change.estimate == 0.0
    assert not forgetting.tripped
    assert {kind: change.estimate for kind, change in forgetting.loss_by_kind.items()} == {
        "code": 0.5,
        "german": 0.0,
    }
