"""Batches are dealt out as workers finish, and what a lost worker had is given to another one."""

import heapq
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.engines.workers.deal import EarlyAnswers, FinishedBatch, LostWorker, deal, evened

KEYS = [f"case-{place}" for place in range(100)]


class Fakes:
    """Workers that answer at once, the first one that was asked first; some fall over at a given row."""

    def __init__(self, deadly=(), times=1, memory=False):
        self.deadly, self.times, self.memory = set(deadly), times, memory
        self.started, self.ended, self.busy, self.log = 0, [], {}, []

    def start(self):
        self.started += 1
        return self.started

    def give(self, worker, batch):
        self.busy[worker] = batch
        self.log.append((worker, list(batch)))

    def wait(self):
        worker, batch = next(iter(self.busy.items()))
        del self.busy[worker]
        if self.deadly & set(batch) and self.times:
            self.times -= 1
            return [LostWorker(worker=worker, reason=f"worker {worker} fell over", memory=self.memory)]
        return [FinishedBatch(worker=worker, found={row: f"answer {row}" for row in batch}, failures={})]

    def end(self, worker):
        self.ended.append(worker)


def test_whoever_has_finished_gets_the_next_batch():
    found, fakes = {}, Fakes()
    assert deal([[0, 1], [2], [3], [4]], fakes, 2, KEYS, found.update) == {}
    assert found == {row: f"answer {row}" for row in range(5)}
    assert fakes.log == [(1, [0, 1]), (2, [2]), (1, [3]), (2, [4])]
    assert sorted(fakes.ended) == [1, 2]


class EarlyFakes(Fakes):
    """They give their first answers early, before they fall over or finish."""

    def __init__(self, early, **rest):
        super().__init__(**rest)
        self.early, self.told = early, set()

    def wait(self):
        worker, batch = next(iter(self.busy.items()))
        rows = [row for row in batch if row in self.early and row not in self.told]
        if rows:
            self.told.update(rows)
            return [EarlyAnswers(worker=worker, found={row: f"early {row}" for row in rows})]
        return super().wait()


def test_what_a_worker_told_before_it_was_lost_is_not_asked_again():
    found, early, fakes = {}, {}, EarlyFakes({0, 1}, deadly={2})
    with pytest.warns(RuntimeWarning, match="worker 1 fell over; its 1 requests, from case-2 on"):
        assert deal([[0, 1, 2], [3]], fakes, 1, KEYS, found.update, early.update) == {}
    assert early == {0: "early 0", 1: "early 1"}
    assert found == {2: "answer 2", 3: "answer 3"}


def test_what_was_told_early_to_nobody_is_computed_again(recwarn):
    found, fakes = {}, EarlyFakes({0, 1}, deadly={2})
    assert deal([[0, 1, 2], [3]], fakes, 1, KEYS, found.update) == {}
    assert found == {place: f"answer {place}" for place in range(4)}
    assert "its 3 requests, from case-0 on" in str(recwarn.list[0].message)


def test_a_worker_that_is_lost_after_all_its_answers_costs_none(recwarn):
    found, early, fakes = {}, {}, EarlyFakes({0, 1}, deadly={0})
    assert deal([[0, 1], [2]], fakes, 1, KEYS, found.update, early.update) == {}
    assert (set(early), set(found)) == ({0, 1}, {2})
    assert not recwarn.list


def test_each_batch_is_handed_on_before_its_worker_gets_another():
    """So that whoever kills the whole run loses what the workers had, and nothing that was finished."""
    fakes, kept = Fakes(), []
    give = fakes.give

    def noted(worker, batch):
        finished = {row for each, rows in fakes.log if each == worker for row in rows}
        assert finished <= {row for found in kept for row in found}
        give(worker, batch)

    fakes.give = noted
    deal([[place] for place in range(12)], fakes, 3, KEYS, kept.append)
    assert [list(found) for found in kept] == [[place] for place in range(12)]


def test_no_more_workers_than_batches():
    fakes = Fakes()
    deal([[0]], fakes, 8, KEYS, {}.update)
    assert fakes.started == 1


def test_a_lost_worker_s_batch_is_computed_again_by_another_one():
    found, fakes = {}, Fakes(deadly=[1])
    with pytest.warns(
        RuntimeWarning, match="worker 1 fell over; its 2 requests, from case-0 on, are computed"
    ):
        failures = deal([[0, 1], [2]], fakes, 2, KEYS, found.update)
    assert (failures, set(found)) == ({}, {0, 1, 2})
    assert fakes.log[-1] == (3, [0, 1])
    assert fakes.ended == [2, 3] or sorted(fakes.ended) == [2, 3]


def test_a_batch_that_ends_two_workers_is_left_out_and_the_others_are_answered():
    found, fakes = {}, Fakes(deadly=[1], times=9)
    with pytest.warns(RuntimeWarning):
        failures = deal([[0, 1], [2], [3]], fakes, 2, KEYS, found.update)
    assert set(found) == {2, 3}
    assert {row: str(error) for row, error in failures.items()} == {
        0: "case-0: worker 3 fell over, for the second time",
        1: "case-1: worker 3 fell over, for the second time",
    }


def test_where_memory_ran_out_halves_are_computed_by_fewer_workers():
    found, fakes = {}, Fakes(deadly=[3], memory=True)
    with pytest.warns(RuntimeWarning):
        assert deal([[0, 1, 2, 3], [4]], fakes, 2, KEYS, found.update) == {}
    assert set(found) == {0, 1, 2, 3, 4}
    assert [batch for _, batch in fakes.log] == [[0, 1, 2, 3], [4], [0, 1], [2, 3]]
    assert len({worker for worker, _ in fakes.log[2:]}) == 1


class SmallMachine(Fakes):
    """Its workers are killed by a batch that needs more memory than there is, or by a row that does alone."""

    def __init__(self, room, larger=()):
        super().__init__(memory=True)
        self.room, self.larger = room, set(larger)

    def wait(self):
        batch = next(iter(self.busy.values()))
        self.deadly = set(batch) if len(batch) > self.room or self.larger & set(batch) else set()
        self.times = 1
        return super().wait()


def test_where_memory_ran_out_parts_are_halved_until_they_fit():
    found, machine = {}, SmallMachine(room=2)
    with pytest.warns(RuntimeWarning):
        assert deal([[*range(16)]], machine, 2, KEYS, found.update) == {}
    assert set(found) == set(range(16))


def test_a_row_that_has_no_memory_alone_takes_no_other_with_it():
    found, machine = {}, SmallMachine(room=16, larger=[5])
    with pytest.warns(RuntimeWarning):
        failures = deal([[*range(16)]], machine, 2, KEYS, found.update)
    assert set(found) == set(range(16)) - {5}
    assert {row: str(error)[-19:] for row, error in failures.items()} == {5: "for the second time"}


def test_workers_are_ended_when_whoever_asks_is_interrupted():
    fakes = Fakes()

    def interrupt(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        deal([[0], [1], [2]], fakes, 2, KEYS, interrupt)
    assert sorted(fakes.ended) == [1, 2]


@given(st.lists(st.integers(1, 9), max_size=9), st.integers(1, 6))
def test_evened_batches_hold_the_same_rows_and_leave_no_worker_idle_at_the_end(sizes, workers):
    rows = iter(range(100))
    batches = [[next(rows) for _ in range(size)] for size in sizes]
    found = evened(batches, workers)
    assert [row for batch in found for row in batch] == [row for batch in batches for row in batch]
    assert all(found)
    left = batches[len(batches) - len(batches) % workers :]
    if left and all(len(batch) >= workers for batch in left):
        assert len(found) % workers == 0


def test_one_batch_for_three_workers_is_split_in_thirds():
    assert evened([[0, 1, 2, 3, 4, 5, 6]], 3) == [[0, 1, 2], [3, 4], [5, 6]]
    assert evened([[0, 1, 2, 3, 4, 5, 6]], 3, 3) == [[0, 1, 2, 3], [4, 5, 6]]
    assert evened([[0, 1], [2, 3]], 3, 8) == [[0, 1], [2, 3]]


class ClockedWorkers(Fakes):
    """Workers on a clock of their own: a batch takes its latency."""

    def __init__(self, latencies):
        super().__init__()
        self.latencies, self.now, self.due = latencies, 0.0, []

    def give(self, worker, batch):
        heapq.heappush(self.due, (self.now + self.latencies[batch[0]], worker, tuple(batch)))

    def wait(self):
        self.now, worker, batch = heapq.heappop(self.due)
        return [FinishedBatch(worker=worker, found=dict.fromkeys(batch, ""), failures={})]


def test_a_hundred_workers_are_kept_busy():
    """3000 batches of 0.5 to 1.5 s: at least nine tenths of the workers' time is spent on them."""
    draw = random.Random(1)
    latencies = sorted((0.5 + draw.random() for _ in range(3000)), reverse=True)
    clocked = ClockedWorkers(latencies)
    keys = [str(place) for place in range(3000)]
    assert deal([[place] for place in range(3000)], clocked, 100, keys, {}.update) == {}
    assert sum(latencies) / (100 * clocked.now) >= 0.9


def test_where_there_is_no_room_yet_what_runs_is_waited_for():
    found, fakes = {}, Fakes()
    start, full = fakes.start, iter([False, True, True, False, False, False])
    fakes.start = lambda: None if next(full) else start()
    assert deal([[0], [1], [2]], fakes, 3, KEYS, found.update) == {}
    assert set(found) == {0, 1, 2}


class LostMachine(Fakes):
    """The first two workers are on a machine that is lost at once, a busy one and an idle one."""

    def wait(self):
        if self.started == 2 and self.busy.keys() == {2}:
            self.busy.clear()
            gone = {"reason": "node n was lost", "of_batch": False}
            return [LostWorker(worker=2, **gone), LostWorker(worker=1, **gone)]
        return super().wait()


def test_a_lost_machine_s_idle_workers_get_nothing_and_its_batches_are_not_to_blame():
    found, fakes = {}, LostMachine(deadly=[1])
    with pytest.warns(RuntimeWarning):
        failures = deal([[0], [1]], fakes, 2, KEYS, found.update)
    assert (failures, set(found)) == ({}, {0, 1})
    assert [worker for worker, _ in fakes.log] == [1, 2, 3, 4]
