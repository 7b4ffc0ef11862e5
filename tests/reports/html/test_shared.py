"""What the lost cases share comes to the top: traits, the driver slice, failed checks, and one typical example."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from harness.types import (
    DriverFinding,
    DriverSlice,
    Finding,
    FindingData,
    GateRecord,
    GateVerdict,
    Interval,
    SharedTrait,
    TraitsFinding,
)
from reports.html.build import build_view
from reports.html.groups import lost_groups
from reports.html.shared import shared_view

Invented = Callable[..., GateRecord]


def told(record: GateRecord, *data: FindingData) -> GateRecord:
    """The record with further findings about its orders."""
    assert record.verdict is not None
    found = tuple(Finding(set_name="orders", metric="pass-rate", data=each) for each in data)
    return replace(record, verdict=replace(record.verdict, findings=(*record.verdict.findings, *found)))


def lost_keys(record: GateRecord) -> tuple[str, ...]:
    assert record.comparison is not None
    return tuple(key for row in record.comparison.metrics if row.metric == "pass-rate" for key in row.lost)


def trait(text: str, keys: tuple[str, ...], **rest: Any) -> SharedTrait:
    given = {"kept": 1, "of_kept": 30, "of_lost": 10, "p_value": 0.001, **rest}
    return SharedTrait(set_name="orders", trait=text, lost=len(keys), keys=keys, **given)


def driver(keys: tuple[str, ...]) -> DriverSlice:
    drop = Interval(estimate=0.45, low=0.3, high=0.6, confidence=0.9, method="made up")
    return DriverSlice(
        set_name="orders",
        kind="tag",
        name="accents",
        n=20,
        lost=keys,
        lost_in_set=10,
        drop=drop,
        drop_elsewhere=0.02,
        p_value=0.01,
    )


def test_traits_and_the_driver_are_lines_with_counts(invented: Invented) -> None:
    record = invented(orders=60, probes=0, lost=10)
    keys = lost_keys(record)
    findings = (
        TraitsFinding(
            traits=(trait("answer begins with '{'", keys[:7], before=2), trait("answer is empty", keys[:2]))
        ),
        DriverFinding(driver=driver(keys[5:])),
    )
    view = shared_view(told(record, *findings))
    assert view is not None
    assert view.title == "What the 10 lost cases share"
    assert [(line.text, line.sample, line.count, line.elsewhere) for line in view.lines] == [
        ("answer begins with", "{", "7 of 10", "baseline: 2 of 10"),
        ("answer is empty", "", "2 of 10", "kept cases: 1 of 30"),
        ("tag", "accents", "5 of 10", "45.0\u00a0pts worse there, 2.0\u00a0pts worse elsewhere"),
    ]
    assert view.lines[0].share == 70


def test_the_example_has_the_first_trait_and_short_texts(invented: Invented) -> None:
    record = invented(orders=60, probes=0, lost=10)
    keys = lost_keys(record)
    view = shared_view(told(record, TraitsFinding(traits=(trait("answer is JSON", keys[3:5]),))))
    assert view is not None
    assert view.example is not None
    assert view.example.key in keys[3:5]
    assert view.example.before.startswith("{")
    assert "; expected " in view.example.failed
    assert " ordered " in view.example.prompt  # the order itself, not the instruction before it


def test_where_nothing_stands_out_the_failed_checks_remain(invented: Invented) -> None:
    view = shared_view(invented(orders=60, probes=0, lost=10))
    assert view is not None
    assert (view.lines, view.note) == ((), "No tag and no trait of prompts or answers stands out among them.")
    assert view.failed.startswith("json-equals in 10")


def test_where_the_gate_did_not_look_nothing_is_claimed(invented: Invented) -> None:
    """Traits and slices are looked for only in sets that did not pass."""
    record = invented(orders=120, probes=0, lost=2, gained=2)
    assert record.comparison is not None
    rows = tuple(
        replace(row, verdict=GateVerdict.PASS) if row.margin is not None else row
        for row in record.comparison.metrics
    )
    view = shared_view(replace(record, comparison=replace(record.comparison, metrics=rows)))
    assert view is not None
    assert (view.title, view.note, view.lines) == ("The 2 lost cases", "", ())


def test_one_lost_case_is_no_pattern(invented: Invented) -> None:
    view = shared_view(invented(orders=60, probes=0, lost=1))
    assert view is not None
    assert (view.title, view.note) == ("The lost case", "One lost case is an example, not a pattern.")


def test_without_a_lost_case_there_is_nothing_to_share(invented: Invented) -> None:
    assert shared_view(invented(lost=0)) is None
    assert shared_view(invented(compared=False, lost=4)) is None


def test_a_baseline_without_texts_gives_no_example(invented: Invented) -> None:
    """As an accepted baseline's file stores it."""
    record = invented(orders=60, probes=0, lost=10)
    assert record.baseline is not None
    bare = tuple(replace(result, completion=None) for result in record.baseline.results)
    view = shared_view(replace(record, baseline=replace(record.baseline, results=bare)))
    assert view is not None
    assert view.example is None


def test_each_lost_case_is_in_one_group_the_largest_first(invented: Invented) -> None:
    record = invented(orders=60, probes=0, lost=10)
    keys = lost_keys(record)
    findings = (
        TraitsFinding(traits=(trait("answer is empty", keys[:2]), trait("answer is JSON", keys[1:6]))),
        DriverFinding(driver=driver(keys[5:8])),
    )
    record = told(record, *findings)
    cases = build_view(record).cases.cases
    groups = lost_groups(record, cases)
    assert [(group.title, len(group.numbers)) for group in groups] == [
        ("answer is JSON", 4),
        ("answer is empty", 2),
        ("tag accents", 2),
        ("without a shared trait", 2),
    ]
    numbers = [number for group in groups for number in group.numbers]
    assert sorted(cases[number - 1].key for number in numbers) == sorted(keys)


def test_records_of_earlier_versions_have_traits_without_cases(invented: Invented) -> None:
    record = invented(orders=60, probes=0, lost=10)
    old = replace(trait("answer is JSON", ()), lost=9)
    record = told(record, TraitsFinding(traits=(old,)))
    view = shared_view(record)
    assert view is not None
    assert view.lines[0].count == "9 of 10"
    assert [group.title for group in lost_groups(record, build_view(record).cases.cases)] == [""]
