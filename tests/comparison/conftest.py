"""Runs of one set, and what a test reads of a verdict."""

import pytest

from harness.types import (
    GateVerdict,
)

PASS, REGRESS, OPEN = GateVerdict.PASS, GateVerdict.REGRESS, GateVerdict.INCONCLUSIVE


@pytest.fixture(name="run_with")
def _run_with(make_result, make_run):
    """Makes a run of ``n`` cases of one set of which the first ``failed`` fail."""

    def build(n=80, failed=0, *, name="orders", first=0, **settings):
        results = [make_result(f"{name}/{first + place:03}", place >= failed) for place in range(n)]
        return make_run(results, **settings)

    return build


def row_of(comparison, metric="pass-rate", name="orders"):
    return next(row for row in comparison.metrics if (row.set_name, row.metric) == (name, metric))


def scored(make_result, values, outcome=True):
    return [
        make_result(f"s/{place:03}", outcome, scores=[("rouge-l", value)])
        for place, value in enumerate(values)
    ]
