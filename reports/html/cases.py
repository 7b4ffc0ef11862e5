"""Cases with both answers, word by word, and why they passed or failed."""

import json
from collections.abc import Mapping, Sequence

from harness.comparison.repeats import stability_of
from harness.types import CaseResult, Check, GateRecord, MetricError, MetricFacts, Outcome, Score
from reports.html import figures
from reports.html.diff import Piece, diff_words
from reports.html.text import fitting_limit, one_line
from reports.html.view import Answer, AskedPrompt, CaseView, Change, CheckRow, Excerpt, Mark, Trace, Turn

# Characters of all cases together: this limits the page to a few megabytes.
_ALL_TEXT = 3_000_000
# Pairs of equal words for all word diffs together: at most a few seconds.
_ALL_PAIRS = 6_000_000
_MOST_PAIRS = 200_000
_LONG_CHARACTERS, _LONG_LINES = 700, 14
_BRIEF = 160
_WANTS = 60
_MOST_LISTED = 20


def case_views(record: GateRecord) -> list[CaseView]:
    """All cases of the run, in its order."""
    changes = _changes(record)
    before = {result.key: result for result in record.baseline.results} if record.baseline else {}
    results = record.run.results
    limit = fitting_limit(
        (len(text) for result in results for text in _texts(result, before)), total=_ALL_TEXT
    )
    pairs = min(_MOST_PAIRS, _ALL_PAIRS // max(len(results), 1))
    return [
        _case_view(
            number,
            result,
            before.get(result.key),
            changes,
            limit,
            pairs,
            _unstable_note(record, result.key),
            record.run.metrics,
        )
        for number, result in enumerate(results, start=1)
    ]


def _changes(record: GateRecord) -> Mapping[str, Change]:
    """The change of each paired case; the others are missing."""
    if record.comparison is None:
        return {}
    unpaired = set(record.comparison.unpaired)
    lost: set[str] = set()
    gained: set[str] = set()
    for row in record.comparison.metrics:
        if row.metric == "pass-rate":
            lost.update(row.lost)
            gained.update(row.gained)
    changes: dict[str, Change] = {}
    for result in record.run.results:
        key = result.key
        if key in lost:
            changes[key] = "lost"
        elif key in gained:
            changes[key] = "gained"
        elif key not in unpaired and result.outcome in {Outcome.PASSED, Outcome.FAILED}:
            changes[key] = "still passes" if result.outcome is Outcome.PASSED else "still fails"
    return changes


def _texts(result: CaseResult, before: Mapping[str, CaseResult]) -> list[str]:
    case = result.case
    texts = [message.content for message in case.messages] + [*case.references, *case.retrieved_context]
    for side in (result, before.get(result.key)):
        if side is not None and side.completion is not None:
            texts.append(side.completion.text)
            texts += [text for text in (side.completion.reasoning, side.completion.prompt) if text]
    return texts


def excerpt(text: str, limit: int) -> Excerpt:
    """The beginning of a text.

    Args:
        text: The whole text.
        limit: Most characters that are shown.
    """
    return Excerpt(text=text[:limit], omitted=max(len(text) - limit, 0))


def _case_view(
    number: int,
    result: CaseResult,
    before: CaseResult | None,
    changes: Mapping[str, Change],
    limit: int,
    most_pairs: int,
    unstable: str,
    metrics: Mapping[str, MetricFacts],
) -> CaseView:
    case = result.case
    notes = [*_notes(result, before), *([unstable] if unstable else [])]
    if before is not None and before.case.content_sha256 != case.content_sha256:
        before = None
    baseline, candidate, note = _answers(result, before, limit, most_pairs)
    rows = _check_rows(result, before, limit, metrics)
    return CaseView(
        number=number,
        set_name=one_line(case.set_name),
        case_id=one_line(case.id),
        outcome=result.outcome,
        change=changes.get(result.key, "not compared"),
        brief=_brief(result),
        notes=tuple(notes),
        cluster=one_line(case.cluster or ""),
        tags=tuple(one_line(tag) for tag in case.tags[:_MOST_LISTED]),
        turns=tuple(Turn(role=turn.role, content=excerpt(turn.content, limit)) for turn in case.messages),
        references=tuple(excerpt(text, limit) for text in case.references[:_MOST_LISTED]),
        context=tuple(excerpt(text, limit) for text in case.retrieved_context[:_MOST_LISTED]),
        baseline=baseline,
        candidate=candidate,
        same_answer=_text(before) is not None and _written(before) == _written(result),
        diff_note=note,
        checks=tuple(rows),
        traces=tuple(
            Trace(metric=one_line(error.metric), traceback=excerpt(error.traceback, limit))
            for error in result.errors
            if error.traceback
        ),
        prompts=tuple(_prompts(result, before, limit)),
    )


def _prompts(result: CaseResult, before: CaseResult | None, limit: int) -> list[AskedPrompt]:
    """The rendered prompts: one if both sides have the same."""
    sides: dict[str, list[str]] = {}
    hashes: dict[str, str] = {}
    for label, side in (("baseline", before), ("candidate", result)):
        completion = None if side is None else side.completion
        if completion is not None and completion.prompt is not None:
            sides.setdefault(completion.prompt, []).append(label)
            hashes[completion.prompt] = (completion.prompt_sha256 or "")[:12]
    return [
        AskedPrompt(
            sides="" if len(sides) == 1 else " and ".join(labels),
            text=excerpt(prompt, limit),
            sha256=hashes[prompt],
        )
        for prompt, labels in sides.items()
    ]


def _written(result: CaseResult | None) -> tuple[str | None, str | None]:
    """Answer and reasoning."""
    if result is None or result.completion is None:
        return None, None
    return result.completion.text, result.completion.reasoning


def _text(result: CaseResult | None) -> str | None:
    return None if result is None or result.completion is None else result.completion.text


def _notes(result: CaseResult, before: CaseResult | None) -> list[str]:
    case = result.case
    notes = ["must pass"] if case.must_pass else []
    for side, asked in (("baseline", before), ("candidate", result)):
        if asked is not None and asked.repeats:
            count = stability_of(asked)
            notes.append(f"{side}: {count.passed} of {len(asked.repeats)} answers passed")
    if case.xfail is not None:
        notes.append(f"expected to fail: {one_line(case.xfail)}")
    if before is not None and before.case.content_sha256 != case.content_sha256:
        notes.append("the case changed since the baseline's run")
    return notes


def _unstable_note(record: GateRecord, key: str) -> str:
    """A note on a case that reruns of the baseline both passed and failed, or an empty text."""
    noted = record.comparison.unstable.get(key) if record.comparison is not None else None
    return (
        ""
        if noted is None
        else f"unstable: the baseline's reruns passed it {noted.passed} of {noted.answers} times"
    )


def _brief(result: CaseResult) -> str:
    if result.outcome is Outcome.SKIPPED:
        return one_line(result.case.skip or "", _BRIEF)
    if result.outcome is Outcome.UNSCORED:
        return "none of its checks decides"
    if result.errors:
        return one_line(f"{result.errors[0].metric}: {result.errors[0].error}", _BRIEF)
    failed = [score for score in result.scores if score.passed is False]
    told = [f"{score.metric}: {score.explanation}" if score.explanation else score.metric for score in failed]
    return one_line("; ".join(told[:2]), _BRIEF)


def _answers(
    result: CaseResult, before: CaseResult | None, limit: int, most_pairs: int
) -> tuple[Answer | None, Answer | None, str]:
    """Both answers, marked where they differ, and a note on differences that marks can't show."""
    now_text, before_text = _text(result), _text(before)
    if now_text is None or before_text is None:
        return (
            _answer(before, _whole(before_text, limit), limit),
            _answer(result, _whole(now_text, limit), limit),
            "",
        )
    diff = diff_words(before_text[:limit], now_text[:limit], most_pairs)
    return (
        _answer(before, diff.before, limit, max(len(before_text) - limit, 0)),
        _answer(result, diff.after, limit, max(len(now_text) - limit, 0)),
        diff.note,
    )


def _whole(text: str | None, limit: int) -> tuple[Piece, ...]:
    return (Piece("same", text[:limit]),) if text else ()


def _answer(
    result: CaseResult | None, pieces: Sequence[Piece], limit: int, omitted: int = 0
) -> Answer | None:
    if result is None or result.completion is None:
        return None
    completion = result.completion
    text = "".join(piece.text for piece in pieces)
    return Answer(
        outcome=result.outcome,
        pieces=tuple(pieces),
        omitted=max(omitted, len(completion.text) - len(text)),
        cut=completion.stop_reason == "length",
        facts=(
            f"{figures.count(completion.completion_tokens)} tokens, {figures.duration(completion.latency_s)}"
        ),
        reasoning=None if completion.reasoning is None else excerpt(completion.reasoning, limit),
        long=len(text) > _LONG_CHARACTERS or text.count("\n") >= _LONG_LINES,
    )


def _check_rows(
    result: CaseResult, before: CaseResult | None, limit: int, metrics: Mapping[str, MetricFacts]
) -> list[CheckRow]:
    """One row per check, failed ones first."""
    rows: list[CheckRow] = []
    seen: dict[str, int] = {}
    for check in result.case.checks:
        place = seen.setdefault(check.type, 0)
        seen[check.type] += 1
        facts = metrics.get(check.type)
        rows += _check_row(check.type, place, _wants(check, facts), result, before, limit, facts)
    # Scores without a check of the case, such as a failed generation.
    for name in dict.fromkeys(entry.metric for entry in _entries(result)):
        if name not in seen:
            rows += _check_row(name, 0, "", result, before, limit, metrics.get(name))
    return sorted(rows, key=lambda row: row.candidate.passed is not False)


def _check_row(
    name: str,
    place: int,
    wants: str,
    result: CaseResult,
    before: CaseResult | None,
    limit: int,
    facts: MetricFacts | None,
) -> list[CheckRow]:
    now = _nth(result, name, place)
    then = None if before is None else _nth(before, name, place)
    if now is None and then is None:
        return []
    why = _explanation(now)
    if (
        isinstance(then, Score)
        and then.passed is False
        and isinstance(now, Score)
        and now.passed is not False
    ):
        why = f"before: {then.explanation}" if then.explanation else why
    mark = _mark(now, facts) or Mark(value="–")
    return [
        CheckRow(
            name=one_line(name),
            wants=wants,
            baseline=_mark(then, facts),
            candidate=mark,
            why=excerpt(why, limit),
        )
    ]


def _entries(result: CaseResult) -> list[Score | MetricError]:
    return [*result.scores, *result.errors]


def _nth(result: CaseResult, name: str, place: int) -> Score | MetricError | None:
    """The result of the nth check of one type. Scores come before errors, each in the checks' order."""
    found = [entry for entry in _entries(result) if entry.metric == name]
    return found[place] if place < len(found) else None


def _explanation(entry: Score | MetricError | None) -> str:
    if entry is None:
        return ""
    return entry.error if isinstance(entry, MetricError) else entry.explanation


def _mark(entry: Score | MetricError | None, facts: MetricFacts | None) -> Mark | None:
    if entry is None:
        return None
    if isinstance(entry, MetricError):
        return Mark(value="error", passed=False)
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
    parts += [f"{name} {one_line(str(value), _WANTS)}" for name, value in check.options.items()]
    return ", ".join(parts)
