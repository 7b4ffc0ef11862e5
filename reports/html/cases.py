"""Cases with both answers, word by word, and why they passed or failed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.comparison.pairing import stability_of
from harness.golden.counted_outcomes import GRADED, counted_as
from harness.types import CaseResult, GateRecord, Message, Outcome
from harness.types.run import conversation
from reports.earlier_runs import NO_EARLIER_RUNS, EarlierRuns
from reports.html import figures
from reports.html.case_checks import check_rows, deciding_unscored, explained
from reports.html.case_view import (
    Answer,
    AskedPrompt,
    CaseView,
    Change,
    Difference,
    Trace,
    Turn,
    excerpt,
)
from reports.html.commands import case_command, rerun_command
from reports.html.diff import Piece, diff_words
from reports.html.json_diff import json_differences
from reports.html.names import description_of, shown_path
from reports.html.text import fitting_limit, one_line

# Characters of all cases together: with compression this limits the page to a few megabytes.
_LEAST_TEXT, _TEXT_PER_CASE, _MOST_TEXT = 4_000_000, 4_000, 24_000_000
# Pairs of equal words for all word diffs together: at most a few seconds.
_ALL_PAIRS = 6_000_000
_MOST_PAIRS = 200_000
_LONG_CHARACTERS, _LONG_LINES = 700, 14
_BRIEF = 160
_MOST_LISTED = 20


def text_limit(record: GateRecord) -> int:
    """Most characters of one text, so that all cases together stay small; no more than the longest has."""
    before = _results_before(record)
    results = record.run.results
    total = min(max(_LEAST_TEXT, _TEXT_PER_CASE * len(results)), _MOST_TEXT)
    return fitting_limit((len(text) for result in results for text in _texts(result, before)), total=total)


def case_views(record: GateRecord, limit: int, earlier: EarlierRuns = NO_EARLIER_RUNS) -> Iterator[CaseView]:
    """All cases of the run, in its order, one by one.

    Args:
        record: The gate's record.
        limit: Most characters of one text.
        earlier: What the run is shown beside.
    """
    changes = _changes(record)
    before = _results_before(record)
    results = record.run.results
    differing = sum(_written(result) != _written(before.get(result.key)) for result in results)
    context = _Context(
        record=record,
        changes=changes,
        limit=limit,
        most_pairs=min(_MOST_PAIRS, _ALL_PAIRS // max(differing, 1)),
        paths={each.name: shown_path(each.path, earlier.project) for each in record.run.golden_sets},
        again=rerun_command(record, earlier),
    )
    for number, result in enumerate(results, start=1):
        yield _case_view(number, result, before.get(result.key), context)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Context:
    """What is the same for all cases.

    Attributes:
        limit: Most characters of one text.
        most_pairs: Limit of the work of one word diff.
        paths: Each golden set's file, as it is shown.
        again: The command that gates the candidate again.
    """

    record: GateRecord
    changes: Mapping[str, Change]
    limit: int
    most_pairs: int
    paths: Mapping[str, str]
    again: str

    def word(self, result: CaseResult) -> str:
        """What a case counts as."""
        if result.outcome is not Outcome.UNSCORED:
            return str(result.outcome)
        sets = self.record.run.golden_sets
        gated = next((each.gate.metric_margins for each in sets if each.name == result.case.set_name), {})
        return counted_as(result, gated, self.record.run.metrics)

    def counted(self, answer: Answer | None, result: CaseResult | None) -> Answer | None:
        """An answer with what its case counts as."""
        if answer is None or result is None:
            return answer
        return replace(answer, outcome=self.word(result))


def _results_before(record: GateRecord) -> dict[str, CaseResult]:
    return {result.key: result for result in record.baseline.results} if record.baseline else {}


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
    texts = [message.shown for message in case.messages] + [*case.references, *case.retrieved_context]
    for side in (result, before.get(result.key)):
        if side is not None and side.completion is not None:
            texts.append(side.completion.text)
            texts += [text for text in (side.completion.reasoning, side.completion.prompt) if text]
    return texts


def _case_view(number: int, result: CaseResult, before: CaseResult | None, context: _Context) -> CaseView:
    case, limit = result.case, context.limit
    unstable = _unstable_note(context.record, result.key)
    notes = [*_notes(result, before), *([unstable] if unstable else [])]
    if before is not None and before.case.content_sha256 != case.content_sha256:
        before = None
    baseline, candidate, note = _answers(result, before, limit, context.most_pairs)
    baseline, candidate = context.counted(baseline, before), context.counted(candidate, result)
    done = result.completion
    said = conversation(case, () if done is None else done.earlier)
    return CaseView(
        number=number,
        set_name=one_line(case.set_name),
        case_id=one_line(case.id),
        outcome=context.word(result),
        change=context.changes.get(result.key, "not compared"),
        brief="" if context.word(result) == GRADED else _brief(result),
        description=description_of(result.case),
        notes=tuple(notes),
        cluster=one_line(case.cluster or ""),
        tags=tuple(one_line(tag) for tag in case.tags[:_MOST_LISTED]),
        turns=tuple(Turn(role=_role(turn), content=excerpt(turn.shown, limit)) for turn in said),
        references=tuple(excerpt(text, limit) for text in case.references[:_MOST_LISTED]),
        context=tuple(excerpt(text, limit) for text in case.retrieved_context[:_MOST_LISTED]),
        baseline=baseline,
        candidate=candidate,
        same_answer=_text(before) is not None and _written(before) == _written(result),
        diff_note=note,
        differences=_differences(result, before),
        checks=tuple(check_rows(result, before, limit, context.record.run.metrics)),
        traces=tuple(
            Trace(metric=one_line(error.metric), traceback=excerpt(error.traceback, limit))
            for error in result.errors
            if error.traceback
        ),
        prompts=tuple(_prompts(result, before, limit)),
        tokens=None if done is None else done.completion_tokens,
        latency_s=None if done is None else done.latency_s,
        rerun=case_command(context.record, case, context.paths.get(case.set_name, ""), context.again),
    )


def _role(message: Message) -> str:
    """Who speaks; of a tool's result, which tool."""
    return message.role if message.name is None else f"{message.role} {one_line(message.name, 40)}"


def _differences(result: CaseResult, before: CaseResult | None) -> tuple[Difference, ...]:
    """The differing values of JSON answers: of changed ones, or of a failed one and its reference."""
    now, then = _text(result), _text(before)
    if now is None or (now == then and result.outcome is Outcome.PASSED):
        return ()
    references = result.case.references
    return json_differences(references[0] if references else None, then, now)


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
        said = [f"{each.metric}: {each.reason}" for each in deciding_unscored(result)]
        return one_line(said[0], _BRIEF) if said else "none of its checks decides"
    if result.errors:
        return one_line(f"{result.errors[0].metric}: {result.errors[0].error}", _BRIEF)
    failed = [score for score in result.scores if score.passed is False]
    told = [
        f"{score.metric}: {why}" if (why := explained(score, result)) else score.metric for score in failed
    ]
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
