"""Functions for workers, and workers that are no processes: what is sent is pickled anyway."""

import pickle

from harness.engines.library_faults import answer_batch, raise_failures
from harness.engines.workers.functions import function_batches, load_batch_function


class DoublingEngine:
    """Twice each number; a word has none."""

    def __init__(self, argument):
        self.times = argument

    def compute(self, items):
        return [self.times * int(item) for item in items]


class InProcess:
    """Computes the batches in this process, the last one first."""

    def __init__(self):
        self.batches = []

    def compute(self, kind, requests, on_batch):
        kind, requests = pickle.loads(pickle.dumps((kind, requests)))
        batches, failures = function_batches(kind, load_batch_function(kind), requests), {}
        for batch in reversed(batches.rows):
            self.batches.append(list(batch))
            failures |= answer_batch(batches, batch, on_batch)
        raise_failures(failures, len(requests))
