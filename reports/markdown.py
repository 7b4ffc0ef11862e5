"""A gate's result as Markdown, for a comment on a pull request or a job's summary."""

import re
from collections.abc import Iterator

from harness.comparison.pairing import PASS_RATE
from harness.presentation.sentences import (
    empty_metrics,
    instead_of_verdict,
    is_reason,
    rows_without_value,
    sentence_of,
    verdict_line,
)
from harness.presentation.terminal import confidences, detectable, interval, outcome_counts, pairs
from harness.types import CaseResult, GateRecord, GateVerdict, MetricComparison
from harness.types.run import conversation
from tunegate.figures import both_of
from tunegate.printable import printable, printable_line

# GitHub refuses comments of more than 65 536 characters.
_MOST_CHARACTERS = 60_000
_MOST_CASES = 50
_LONGEST_TEXT = 600


def marker_of(record: GateRecord) -> str:
    """The first line of the comment: a later one about the same model's name replaces the one that has it."""
    return f"<!-- tunegate: {printable_line(record.run.model.label).replace('--', '- -')} -->"


def render_markdown(record: GateRecord, unsaved: str | None = None, place: str = "") -> str:
    """The verdict, a table of the metrics, the reasons, and the lost cases folded.

    Args:
        record: The gate's record.
        unsaved: None if the history has the run; otherwise the command that saves it, empty if there is none.
        place: Where the history is, as options of commands.
    """
    parts = [marker_of(record), f"### {_plain(verdict_line(record))}"]
    if record.comparison is not None and record.verdict is not None:
        parts += ["\n".join(_table(record)), "\n".join(_reasons(record))]
    else:
        parts.append(_plain(outcome_counts(record.run)))
    foot = f"<sub>{_where_it_is(record.run.id, unsaved, place)}</sub>"
    whole = "\n\n".join(part for part in parts if part)
    folded = list(_lost_cases(record))
    shown = 0
    while shown < min(len(folded), _MOST_CASES):
        if len(whole) + len(folded[shown]) + len(foot) > _MOST_CHARACTERS:
            break
        whole += f"\n\n{folded[shown]}"
        shown += 1
    if shown < len(folded):
        whole += f"\n\n…and {len(folded) - shown} more lost cases in the report."
    return printable(f"{whole}\n\n{foot}\n")


def _where_it_is(run: str, unsaved: str | None, place: str) -> str:
    """How to see the run in a terminal, or why it can't be seen."""
    shown = f"{_code(f'tunegate runs show {run}{place}')} shows all of it."
    if unsaved is None:
        return f"Run {_code(run)}. {shown}"
    if not unsaved:
        return f"Run {_code(run)} could not be stored: no command can show it."
    return f"Run {_code(run)} is not stored yet: {_code(unsaved)} saves it, then {shown}"


def _table(record: GateRecord) -> Iterator[str]:
    assert record.comparison is not None
    rows = record.comparison.metrics
    gated = [row for row in rows if row.verdict is not None]
    graded = [row for row in rows if row.verdict is None and row.kind == "graded"]
    confidence = confidences(row.drop for row in (*gated, *graded))
    yield f"| metric | n | baseline → now | drop [{confidence}] | detects | verdict |"
    yield "|---|---|---|---|---|---|"
    lacking, empty = rows_without_value(record), empty_metrics(record)
    for row in (*gated, *graded):
        told = lacking.get((row.set_name, row.metric))
        cells = [
            _plain(f"{row.set_name} {row.metric}"),
            pairs(row, record.comparison),
            told or " → ".join(both_of(row.baseline.mean.estimate, row.candidate.mean.estimate, 2)),
            interval(row.drop, abs(row.baseline.mean.estimate)),
            detectable(row),
            instead_of_verdict(record, row, told, empty) or _verdict(row),
        ]
        yield f"| {' | '.join(cells)} |"


def _verdict(row: MetricComparison) -> str:
    if row.verdict is None:
        return "–"
    return f"**{row.verdict}**" if row.verdict is GateVerdict.REGRESS else str(row.verdict)


def _reasons(record: GateRecord) -> Iterator[str]:
    """What the table doesn't show clearly."""
    assert record.verdict is not None
    for finding in record.verdict.findings:
        if is_reason(finding):
            yield f"- {_plain(sentence_of(finding))}"


def _lost_cases(record: GateRecord) -> Iterator[str]:
    if record.comparison is None or record.baseline is None:
        return
    lost = [key for row in record.comparison.metrics if row.metric == PASS_RATE for key in row.lost]
    now = {result.key: result for result in record.run.results}
    before = {result.key: result for result in record.baseline.results}
    for key in lost:
        result = now[key]
        failed = [
            f"{score.metric}: {score.explanation or f'{score.value:.3g}'}"
            for score in result.scores
            if score.passed is False
        ]
        prompt = conversation(result.case, ())
        blocks = [
            *([("prompt", prompt[-1].shown)] if prompt else []),
            ("was", _answer(before[key])),
            ("now", _answer(result)),
            *([("failed", "\n".join(failed))] if failed else []),
        ]
        body = "\n\n".join(f"{name}\n{_fenced(text)}" for name, text in blocks)
        yield f"<details><summary>lost: {_html(key)}</summary>\n\n{body}\n\n</details>"


def _answer(result: CaseResult) -> str:
    return "(the text was not stored)" if result.completion is None else result.completion.text


def _fenced(text: str) -> str:
    """A text as a block in which nothing is markup, whatever is in it."""
    cut = text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}…"
    longest = max((len(run) for run in re.findall("`+", cut)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{cut}\n{fence}"


def _code(text: str) -> str:
    return f"`{text.replace('`', chr(39))}`"


def _html(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\n", " ")


def _plain(text: str) -> str:
    """A line of text in which no character is markup: names and ids are others'."""
    return re.sub(r"([\\`*_\[\]|#~@])", r"\\\1", _html(text))
