"""What labels that a side lacks may be: of a macro-F1 a rare one costs most."""

from dataclasses import replace

from harness.types import Outcome
from tests.comparison.test_whole_sets_set_metrics import row_of, run_of


def test_a_missing_label_may_be_a_rare_one():
    """Of 90 red and 10 blue, five red have no label: as blue they cost 0.11, as no label at all 0.01."""
    expected = ["red"] * 90 + ["blue"] * 10
    whole = run_of(expected, expected)
    lacking = [replace(result, scores=(), outcome=Outcome.ERRORED) for result in whole.results[:5]]
    row, _, _ = row_of(replace(whole, results=(*lacking, *whole.results[5:])), whole)
    assert (row.missing, row.drop.estimate) == (5, 0)
    assert row.high_unseen >= 1 - (2 * 85 / 175 + 20 / 25) / 2
    # Where the baseline lacks them, it may be as low as that, so the candidate has regressed less surely.
    row, _, _ = row_of(whole, replace(whole, results=(*lacking, *whole.results[5:])))
    assert row.drop.low <= -(1 - (2 * 85 / 175 + 20 / 25) / 2)
    assert row.high_at_best < row.drop.high
