"""The checks of a case on both sides: what each requires, its values, and why it failed."""

import json
from collections.abc import Collection, Mapping

from harness.golden.schema import CHECK_TYPES, base_type, decides
from harness.metrics.definition import quote
from harness.types import CaseResult, Check, MetricError, MetricFacts, Score, UnscoredMetric
from reports.html import figures
from reports.html.case_view import CheckRow, Mark, excerpt
from reports.html.text import one_line

_WANTS = 60
# Checks whose value is a pattern or a schema, which few people read: what they test is said first.
_PATTERNS = {"regex", "is-json"}


def check_rows(
    result: CaseResult, before: CaseResult | None, limit: int, metrics: Mapping[str, MetricFacts]
) -> list[CheckRow]:
    """One row per check, failed ones first.

    Args:
        result: The candidate's result.
        before: The baseline's.
        limit: Most characters of one text.
        metrics: The facts about the run's metrics.
    """
    rows: list[CheckRow] = []
    seen: dict[str, int] = {}
    for check in result.case.checks:
        place = seen.setdefault(check.type, 0)
        seen[check.type] += 1
        facts = metrics.get(check.type)
        wants = _wants(check, facts), _about(check)
        rows += _check_row(check.type, place, wants, result, before, limit, facts)
    # Scores without a check of the case, such as a failed generation.
    for name in dict.fromkeys(entry.metric for entry in _entries(result)):
        if name not in seen:
            rows += _check_row(name, 0, ("", ""), result, before, limit, metrics.get(name))
    return sorted(rows, key=lambda row: row.candidate.passed is not False)


def _check_row(
    name: str,
    place: int,
    wants: tuple[str, str],
    result: CaseResult,
    before: CaseResult | None,
    limit: int,
    facts: MetricFacts | None,
) -> list[CheckRow]:
    now = _nth(result, name, place)
    then = None if before is None else _nth(before, name, place)
    if now is None and then is None:
        return []
    why = explained(now, result)
    if (
        isinstance(then, Score)
        and then.passed is False
        and isinstance(now, Score)
        and now.passed is not False
    ):
        why = f"baseline: {explained(then, result)}" if then.explanation else why
    mark = _mark(now, facts) or Mark(value="–")
    return [
        CheckRow(
            name=one_line(name),
            wants=wants[0],
            about=wants[1],
            baseline=_mark(then, facts),
            candidate=mark,
            why=excerpt(why, limit),
        )
    ]


def _entries(result: CaseResult) -> list[Score | MetricError | UnscoredMetric]:
    return [*result.scores, *result.errors, *result.unscored]


def _nth(result: CaseResult, name: str, place: int) -> Score | MetricError | UnscoredMetric | None:
    """The result of the nth check of one type. Scores come before errors, each in the checks' order."""
    found = [entry for entry in _entries(result) if entry.metric == name]
    return found[place] if place < len(found) else None


def explained(entry: Score | MetricError | UnscoredMetric | None, result: CaseResult) -> str:
    """Why a check passed, failed or has no score, with "the pattern" in place of a long pattern.

    Args:
        entry: The check's score or error.
        result: Its case, which has the patterns.
    """
    if entry is None:
        return ""
    if isinstance(entry, MetricError):
        return entry.error
    if isinstance(entry, UnscoredMetric):
        return entry.reason
    text = entry.explanation
    for check in result.case.checks:
        if check.type == entry.metric and base_type(check.type) in _PATTERNS and isinstance(check.value, str):
            for quoted in (quote(check.value), repr(check.value)):
                text = text.replace(quoted, "the pattern")
    return text


def _mark(entry: Score | MetricError | UnscoredMetric | None, facts: MetricFacts | None) -> Mark | None:
    if entry is None:
        return None
    if isinstance(entry, MetricError):
        return Mark(value="error", passed=False)
    if isinstance(entry, UnscoredMetric):
        return Mark(value="unscored")
    binary = facts is not None and facts.kind == "binary"
    return Mark(value="" if binary else figures.score(entry.value), passed=entry.passed)


def _wants(check: Check, facts: MetricFacts | None) -> str:
    """What a check requires: its threshold, its value, its options."""
    parts: list[str] = []
    if check.threshold is not None:
        sign = "threshold" if facts is None else "≥" if facts.higher_is_better else "≤"
        parts.append(f"{sign}\u00a0{check.threshold:g}")
    if isinstance(check.value, str):
        parts.append(one_line(check.value, _WANTS))
    elif check.value is not None:
        parts.append(one_line(json.dumps(check.value, ensure_ascii=False), _WANTS))
    if check.checks:
        parts.append("of: " + one_line(", ".join(each.type for each in check.checks), _WANTS))
    if check.transform:
        parts.append("after: " + one_line(json.dumps(check.transform, ensure_ascii=False), _WANTS))
    parts += [f"{name} {one_line(str(value), _WANTS)}" for name, value in check.options.items()]
    return ", ".join(parts)


def _about(check: Check) -> str:
    """What a check tests, in words, if its value is a pattern or a schema."""
    kind = base_type(check.type)
    if kind not in _PATTERNS or check.value is None:
        return ""
    text = CHECK_TYPES[kind].summary
    return f"Not: {text}" if check.type.startswith("not-") else text


def gated_types(result: CaseResult, gated: Collection[str]) -> set[str]:
    """The checks of a case whose scores are gated.

    Args:
        result: The case's result.
        gated: The metrics that its set gates besides the pass rate.
    """
    return {check.type for check in result.case.checks} & set(gated)


def deciding_unscored(result: CaseResult) -> list[UnscoredMetric]:
    """The checks without a score that could have decided a case; one that only informs is no cause.

    Args:
        result: The case's result.
    """
    deciding = {
        single.type for check in result.case.checks if _decides(check) for single in check.single_checks
    }
    return [each for each in result.unscored if each.metric in deciding]


def _decides(check: Check) -> bool:
    # A record may hold the metric of a plug-in that is not installed here.
    return base_type(check.type) not in CHECK_TYPES or decides(check)
