"""What the lost cases share: traits, the slice in which losses gather, failed checks, and one example."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from harness.comparison.decisions import is_untestable
from harness.types import (
    CaseResult,
    DriverFinding,
    DriverSlice,
    GateRecord,
    GateVerdict,
    Outcome,
    RetentionFinding,
    SharedTrait,
    TraitsFinding,
)
from reports.html import figures
from reports.html.case_checks import check_rows
from reports.html.first_screen import ExampleView, SharedLine, SharedView
from reports.html.metrics import change_text
from reports.html.names import PASS_RATE
from reports.html.text import one_line

_SAMPLE = re.compile(r"(?P<text>.*?)'(?P<sample>.+)'$", re.DOTALL)
_MOST_LINES, _MOST_SKILLS, _MOST_CHECKS = 4, 4, 3
_LONGEST = 110


def shared_view(record: GateRecord) -> SharedView | None:
    """What the lost cases share; None if there are none."""
    lost = lost_results(record)
    if not lost:
        return None
    lines = tuple(_lines(record))[:_MOST_LINES]
    if len(lost) == 1:
        title, nothing = "The lost case", "One lost case is an example, not a pattern."
    elif not lines and _all_passed(record, lost):
        # The gate looks for traits and slices only where a set did not pass.
        title, nothing = f"The {figures.count(len(lost))} lost cases", ""
    else:
        title = f"What the {figures.count(len(lost))} lost cases share"
        nothing = "No tag and no trait of prompts or answers stands out among them."
    return SharedView(
        title=title,
        lines=lines,
        note="" if lines else nothing,
        failed=_failed_checks(lost),
        example=_example(record, lost),
    )


def _all_passed(record: GateRecord, lost: Sequence[CaseResult]) -> bool:
    """Whether all sets with lost cases passed, or have nothing to lose: what they share is not looked for."""
    rows = record.comparison.metrics if record.comparison is not None else ()
    found = (row for row in rows if row.verdict is GateVerdict.PASS or is_untestable(row))
    passed = {row.set_name for row in found if row.metric == PASS_RATE}
    return {result.case.set_name for result in lost} <= passed


def lost_results(record: GateRecord) -> list[CaseResult]:
    """The candidate's results of the lost cases, in the run's order."""
    rows = record.comparison.metrics if record.comparison is not None else ()
    keys = {key for row in rows if row.metric == PASS_RATE for key in row.lost}
    return [result for result in record.run.results if result.key in keys]


def _lines(record: GateRecord) -> Iterator[SharedLine]:
    assert record.verdict is not None
    several = len({each.case.set_name for each in lost_results(record)}) > 1
    for finding in record.verdict.findings:
        data = finding.data
        prefix = f"{one_line(finding.set_name or '', 40)}: " if several and finding.set_name else ""
        if isinstance(data, TraitsFinding):
            for trait in data.traits:
                yield _trait_line(trait, prefix)
        elif isinstance(data, DriverFinding):
            yield _driver_line(data.driver, prefix)
    for finding in record.verdict.findings:
        if isinstance(finding.data, RetentionFinding) and finding.data.worst:
            yield _skills_line(finding.data)


def _trait_line(trait: SharedTrait, prefix: str) -> SharedLine:
    found = _SAMPLE.match(trait.trait)
    text, sample = (found["text"], found["sample"]) if found else (trait.trait, "")
    if trait.before is not None:
        elsewhere = f"baseline: {figures.count(trait.before)} of {figures.count(trait.of_lost)}"
    else:
        elsewhere = f"kept cases: {figures.count(trait.kept)} of {figures.count(trait.of_kept)}"
    return SharedLine(
        text=f"{prefix}{one_line(text)}",
        sample=one_line(sample, 40),
        count=f"{figures.count(trait.lost)} of {figures.count(trait.of_lost)}",
        elsewhere=elsewhere,
        share=round(100 * trait.lost / max(trait.of_lost, 1), 1),
    )


def _driver_line(driver: DriverSlice, prefix: str) -> SharedLine:
    there, elsewhere = (
        change_text(value, rate=True) for value in (driver.drop.estimate, driver.drop_elsewhere)
    )
    return SharedLine(
        text=f"{prefix}{driver.kind}",
        sample=one_line(driver.name, 40),
        count=f"{figures.count(len(driver.lost))} of {figures.count(driver.lost_in_set)}",
        elsewhere=f"{there} there, {elsewhere} elsewhere",
        share=round(100 * len(driver.lost) / max(driver.lost_in_set, 1), 1),
    )


def _skills_line(finding: RetentionFinding) -> SharedLine:
    worst = ", ".join(
        f"{one_line(each.skill, 30)} {each.passed_by_baseline - each.retained}/{each.passed_by_baseline}"
        for each in finding.worst[:_MOST_SKILLS]
    )
    kept = finding.overall
    lost = kept.passed_by_baseline - kept.retained
    return SharedLine(
        text="general skills lost",
        sample="",
        count=f"{figures.count(lost)} of {figures.count(kept.passed_by_baseline)}",
        elsewhere=worst,
        share=round(100 * lost / max(kept.passed_by_baseline, 1), 1),
    )


def _failed_checks(lost: Sequence[CaseResult]) -> str:
    """The most frequent failed checks of the lost cases, each with its number of cases."""
    counts = Counter(
        name for result in lost for name in {score.metric for score in result.scores if score.passed is False}
    )
    common = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))[:_MOST_CHECKS]
    return ", ".join(f"{one_line(name, 40)} in {figures.count(count)}" for name, count in common)


def _example(record: GateRecord, lost: Sequence[CaseResult]) -> ExampleView | None:
    """The lost case with the shortest texts on both sides, preferably one with the first trait."""
    before = {result.key: result for result in record.baseline.results} if record.baseline else {}
    traits = [
        trait
        for finding in (record.verdict.findings if record.verdict else ())
        if isinstance(finding.data, TraitsFinding)
        for trait in finding.data.traits
    ]
    typical = set(traits[0].keys) if traits else set()
    shown: list[tuple[bool, int, str, ExampleView]] = []
    for result in lost:
        then = before.get(result.key)
        if result.completion is None or then is None or then.completion is None:
            continue
        if then.outcome is not Outcome.PASSED:
            continue
        asked = result.case.messages[-1].shown if result.case.messages else ""  # of a log without prompts
        texts = (_last_part(asked), then.completion.text, result.completion.text)
        view = ExampleView(
            key=one_line(result.key),
            failed=_failed_check(record, result, then),
            **dict(
                zip(
                    ("prompt", "before", "now"),
                    (one_line(text, _LONGEST) or "(empty)" for text in texts),
                    strict=True,
                )
            ),
        )
        shown.append((result.key not in typical, sum(map(len, texts)), result.key, view))
    return min(shown, key=lambda entry: entry[:3])[3] if shown else None


def _failed_check(record: GateRecord, result: CaseResult, before: CaseResult) -> str:
    """The first check that failed, what it expects, and why it failed."""
    rows = check_rows(result, before, _LONGEST, record.run.metrics)
    failed = next((row for row in rows if row.candidate.passed is False), None)
    if failed is None:
        return ""
    expected = failed.wants or next(iter(result.case.references), "")
    said = f"{failed.name}: {failed.why.text}" if failed.why.text else failed.name
    # What must not be in an answer is said by the reason.
    if expected and not (failed.why.text and failed.name.startswith("not-")):
        said = f"{said}; expected {expected}"
    return one_line(said, 2 * _LONGEST)


def _last_part(prompt: str) -> str:
    """A prompt, or of a long one its last line: instructions come first, and are the same in all cases."""
    lines = prompt.strip().splitlines()
    return prompt if len(prompt) <= _LONGEST or not lines else lines[-1]
