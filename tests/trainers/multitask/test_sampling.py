"""Which task's batch comes when: shares, whole numbers of steps, an even order, the same for the same seed."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainers.multitask.config import MultitaskConfig
from trainers.multitask.sampling import (
    batches,
    interleaved,
    main_phases,
    quotas,
    shares,
    single_phase,
)

SIZES = {"intent": 400, "names": 100, "answer": 100}


def config(**changes):
    settings = {
        "base": "minilm",
        "output": "out",
        "max_steps": 60,
        "batch_size": 8,
        "tasks": [{"name": name, "kind": "label", "data": "x"} for name in SIZES],
    }
    return MultitaskConfig.model_validate({**settings, **changes})


@pytest.mark.parametrize(
    ("sampling", "temperature", "expected"),
    [
        ("balanced", 1.0, [1 / 3, 1 / 3, 1 / 3]),
        ("proportional", 1.0, [4 / 6, 1 / 6, 1 / 6]),
        ("temperature", 1.0, [4 / 6, 1 / 6, 1 / 6]),
        ("temperature", 2.0, [2 / 4, 1 / 4, 1 / 4]),  # square roots: 20, 10, 10
    ],
)
def test_shares(sampling, temperature, expected):
    assert list(shares(SIZES, sampling, temperature).values()) == pytest.approx(expected)


def test_no_task_is_left_out():
    assert quotas({"a": 0.98, "b": 0.01, "c": 0.01}, 10) == {"a": 8, "b": 1, "c": 1}
    assert quotas({"a": 0.5, "b": 0.5}, 2) == {"a": 1, "b": 1}


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=6), st.integers(0, 500))
def test_quotas_add_up(sizes, more):
    steps = len(sizes) + more
    found = quotas(shares(dict(enumerate(map(float, sizes))), "proportional"), steps)
    assert sum(found.values()) == steps
    assert min(found.values()) >= 1


def test_the_order_is_spread_evenly_and_seeded():
    order = interleaved({"a": 40, "b": 20}, 0)
    assert Counter(order) == {"a": 40, "b": 20}
    for start in range(0, 60, 15):
        assert 3 <= Counter(order[start : start + 15])["b"] <= 7
    assert interleaved({"a": 40, "b": 20}, 0) == order
    assert interleaved({"a": 40, "b": 20}, 1) != order


def test_batches_take_every_row_once_a_pass():
    found = batches(10, 4, 6, "seed")
    assert [len(batch) for batch in found] == [4, 4, 2, 4, 4, 2]
    assert sorted(row for batch in found[:3] for row in batch) == list(range(10))
    assert found[:3] != found[3:]
    assert batches(10, 4, 6, "other") != found


def test_a_task_alone_learns_the_batches_that_it_has_among_others():
    """The fair comparison: same rows, same order, same number of steps."""
    for changes in ({}, {"sampling": "proportional"}, {"gradients": "sum"}, {"mode": "sequential"}):
        chosen = config(**changes)
        together = [batch for phase in main_phases(chosen, SIZES) for step in phase.steps for batch in step]
        for task in SIZES:
            alone = [batch for step in single_phase(chosen, SIZES, task).steps for batch in step]
            assert alone == [batch for batch in together if batch.task == task]


def test_modes():
    joint = main_phases(config(), SIZES)
    assert [len(phase.steps) for phase in joint] == [60]
    assert Counter(step[0].task for step in joint[0].steps) == dict.fromkeys(SIZES, 20)
    summed = main_phases(config(gradients="pcgrad"), SIZES)
    assert all([batch.task for batch in step] == list(SIZES) for step in summed[0].steps)
    assert len(summed[0].steps) == 60
    after = main_phases(config(mode="sequential", sampling="proportional"), SIZES)
    assert [(phase.name, len(phase.steps)) for phase in after] == [
        ("sequential-intent", 39),
        ("sequential-names", 10),
        ("sequential-answer", 11),  # of equal remainders the first by name
    ]
