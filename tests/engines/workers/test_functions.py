"""Functions of batches are computed by workers as models' answers are."""

import os
import signal
import sys

import pytest

from harness.engines.open import choose_plan
from harness.engines.workers import local
from harness.engines.workers.functions import Dealer, FunctionKind, Item
from harness.errors import SettingsError
from tests.engines.workers.in_process import InProcess

DOUBLED = FunctionKind(path="tests.engines.workers.in_process:DoublingEngine", argument=2, together=3)


def items(*values):
    return [Item(key=f"number {value}", value=value) for value in values]


def test_each_item_has_its_result_and_batches_are_no_larger_than_asked():
    workers, found = InProcess(), {}
    assert Dealer(lambda: workers).compute(DOUBLED, items(*range(7)), found.update) == {}
    assert found == {place: 2 * place for place in range(7)}
    assert workers.batches == [[6], [3, 4, 5], [0, 1, 2]]


def test_what_fails_is_told_by_item_and_hinders_no_other():
    found = {}
    failed = Dealer(InProcess).compute(DOUBLED, items(1, "word", 3), found.update)
    assert found == {0: 2, 2: 6}
    assert list(failed) == [1]
    assert failed[1].startswith("number word: ")
    assert list(Dealer(InProcess).compute(DOUBLED, items("word"), found.update)) == [0]


def test_a_function_that_can_not_be_loaded_is_one_line():
    kind = FunctionKind(path="harness.nowhere:Nothing", argument=0, together=1)
    with pytest.raises(SettingsError, match=r"harness\.nowhere:Nothing can't be imported"):
        Dealer(InProcess).compute(kind, items(1), print)


def test_workers_that_answer_also_compute_functions_and_two_are_never_open_at_a_time():
    opened, lent = [], []

    def open_own():
        opened.append(InProcess())
        return opened[-1]

    def open_engine(sides, plan):
        assert dealer._engine is None
        lent.append(InProcess())
        return lent[-1]

    dealer = Dealer(open_own)
    dealer.compute(DOUBLED, items(1), {}.update)
    engine = dealer.lending(open_engine)({}, None)
    dealer.compute(DOUBLED, items(2), {}.update)
    dealer.compute(DOUBLED, items(3), {}.update)
    assert ([len(each.batches) for each in opened], [len(each.batches) for each in lent]) == ([1], [2])
    assert engine is lent[0]
    dealer.close()
    dealer.compute(DOUBLED, items(4), {}.update)
    assert len(opened) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux alone")
def test_a_worker_that_is_killed_costs_its_batch_alone(monkeypatch):
    """In processes: its batch is computed by another one."""
    killed, give = [], local.LocalTransport.give

    def give_and_kill(transport, worker, batch):
        if not killed:
            killed.append(worker)
            os.kill(worker, signal.SIGKILL)
        give(transport, worker, batch)

    monkeypatch.setattr(local.LocalTransport, "give", give_and_kill)
    dealer = Dealer(lambda: local.open_workers({}, choose_plan("float32", "cpu", 1, ()), 2, 2))
    found, batches = {}, []

    def keep(batch):
        assert not found.keys() & batch.keys()
        batches.append(batch)
        found.update(batch)

    with pytest.warns(RuntimeWarning, match="are computed again"):
        assert dealer.compute(DOUBLED, items(*range(20)), keep) == {}
    assert found == {place: 2 * place for place in range(20)}
    assert len(batches) > 5
