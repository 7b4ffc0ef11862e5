"""Each tag has its pass rate on both sides, its drop with an interval, and its flips."""

from collections.abc import Callable
from dataclasses import replace

from harness.types import DriverSlice, GateRecord, Interval, Stability
from reports.html.slices import slices_view

Invented = Callable[..., GateRecord]


def test_the_largest_drops_come_first(invented: Invented) -> None:
    view = slices_view(invented(orders=60, probes=60, lost=20, probes_lost=3))
    assert view is not None
    assert view.rows[0].tag in {"extraction", "accents"}
    by_tag = {row.tag: row for row in view.rows}
    assert by_tag["extraction"].lost == "20"
    assert by_tag["extraction"].n == "60"
    assert {"arithmetic", "knowledge", "instructions", "format"} <= set(by_tag)
    assert all(row.drop.interval.startswith("[") for row in view.rows)
    assert view.left_out == 0


def test_the_slice_that_the_gate_named_is_marked(invented: Invented) -> None:
    record = invented(orders=60, probes=0, lost=20)
    assert record.comparison is not None
    drop = Interval(estimate=0.45, low=0.3, high=0.6, confidence=0.9, method="made up")
    driver = DriverSlice(
        set_name="orders",
        kind="tag",
        name="accents",
        n=20,
        lost=("orders/a",),
        lost_in_set=10,
        drop=drop,
        drop_elsewhere=0.02,
        p_value=0.01,
    )
    view = slices_view(replace(record, comparison=replace(record.comparison, drivers=(driver,))))
    assert view is not None
    assert [row.tag for row in view.rows if row.driver] == ["accents"]


def test_a_tag_is_averaged_over_reruns_as_the_gate_s_own_is(invented: Invented) -> None:
    """The first screen said 27 points of the tag that the table gave 60."""
    record = invented(orders=20, probes=0, lost=10, both_fail=0)
    assert record.comparison is not None
    plain = slices_view(record)
    noise = {result.key: Stability(passed=1, answers=3) for result in record.run.results}
    view = slices_view(replace(record, comparison=replace(record.comparison, noise=noise)))
    assert plain is not None
    assert view is not None
    shown = [{row.tag: (row.baseline, row.candidate) for row in each.rows} for each in (plain, view)]
    kept = {tag: now for tag, (_, now) in shown[0].items()}
    assert {tag: now for tag, (_, now) in shown[1].items()} == kept
    assert shown[0]["extraction"][0] != shown[1]["extraction"][0] == "50.0\u202f%"


def test_of_many_tags_those_without_a_flip_are_left_out(invented: Invented) -> None:
    record = invented(orders=120, probes=0, lost=2)
    assert record.baseline is not None
    run, baseline = (
        replace(
            side,
            results=tuple(
                replace(result, case=replace(result.case, tags=(f"tag-{place}",)))
                for place, result in enumerate(side.results)
            ),
        )
        for side in (record.run, record.baseline)
    )
    view = slices_view(replace(record, run=run, baseline=baseline))
    assert view is not None
    assert (len(view.rows), view.left_out) == (60, 60)
    assert sum(row.lost == "1" for row in view.rows) == 2


def test_without_a_baseline_there_are_no_slices(invented: Invented) -> None:
    assert slices_view(invented(compared=False)) is None
