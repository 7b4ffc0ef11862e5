"""The cases as compressed data in the page: an index of all, and their details in parts.

A browser unpacks the index at once and the details in the background, so a page of thousands of cases opens
as fast as a small one. Default and empty values are left out.
"""

import base64
import gzip
import json
import re
from collections.abc import Sequence
from typing import Any

from reports.html.case_view import Answer, CaseView, CheckRow, Excerpt, Mark
from reports.html.view import CaseList
from tunegate.printable import visible

PART = 250  # cases
_LEVEL = 6
# How JSON writes control characters except tab and line feed.
_ESCAPED = re.compile(r"\\(u00|b|f|r)")


def packed_index(cases: CaseList) -> str:
    """What the list of all cases shows, as base64 of gzip of JSON."""
    return pack(_index(cases))


def packed_details(part: Sequence[CaseView]) -> str:
    """The details of at most ``PART`` cases, in the same form."""
    return pack([_details(case) for case in part])


def pack(value: Any) -> str:
    """A JSON value as base64 of gzip, the hidden characters of its texts made visible."""
    text = _json(value)
    # Going through all values takes half of the time, and most texts have nothing hidden.
    if visible(text) != text or _ESCAPED.search(text):
        text = _json(_visible(value))
    # Without a time, so that the same record gives the same page.
    return base64.b64encode(gzip.compress(text.encode(), _LEVEL, mtime=0)).decode()


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _visible(value: Any) -> Any:
    """The value with the hidden characters of all texts made visible, keys included."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, dict):
        return {key: _visible(entry) for key, entry in value.items()}
    return [_visible(entry) for entry in value] if isinstance(value, list) else value


def _index(cases: CaseList) -> dict[str, Any]:
    """What the list shows, with names as numbers."""
    names = {
        name: [choice.label for choice in choices]
        for name, choices in (
            ("sets", cases.sets),
            ("outcomes", cases.outcomes),
            ("changes", cases.changes),
            ("tags", cases.tags),
        )
    }
    numbers = {name: {label: place for place, label in enumerate(labels)} for name, labels in names.items()}
    return {
        **names,
        "part": PART,
        "shown": cases.shown,
        "groups": [[group.title, list(group.numbers)] for group in cases.groups],
        "drops": [[group.title, list(group.numbers)] for group in cases.drops],
        "cases": [
            [
                numbers["sets"][case.set_name],
                case.case_id,
                numbers["outcomes"][case.outcome],
                numbers["changes"][case.change],
                [numbers["tags"][tag] for tag in dict.fromkeys(case.tags)],
                case.description or case.brief,
                list(case.notes),
                case.tokens,
                None if case.latency_s is None else round(case.latency_s, 3),
            ]
            for case in cases.cases
        ],
    }


def _details(case: CaseView) -> dict[str, Any]:
    found: dict[str, Any] = {
        "brief": case.brief if case.description else "",
        "cluster": case.cluster,
        "turns": [[turn.role, *_excerpt(turn.content)] for turn in case.turns],
        "references": [_excerpt(text) for text in case.references],
        "context": [_excerpt(text) for text in case.context],
        "baseline": None if case.same_answer else _answer(case.baseline),
        "candidate": _answer(case.candidate),
        "same": case.same_answer,
        "note": case.diff_note,
        "differences": [
            [each.path, each.expected, each.baseline, each.candidate] for each in case.differences
        ],
        "checks": [_check(row) for row in case.checks],
        "compared": case.baseline is not None,
        "traces": [[trace.metric, *_excerpt(trace.traceback)] for trace in case.traces],
        "prompts": [[each.sides, each.sha256, *_excerpt(each.text)] for each in case.prompts],
        "rerun": case.rerun,
    }
    return {name: value for name, value in found.items() if value}


def _excerpt(text: Excerpt) -> list[Any]:
    return [text.text, text.omitted] if text.omitted else [text.text]


def _answer(answer: Answer | None) -> dict[str, Any] | None:
    """The answer; its text alternates between parts of both sides and parts of this one only."""
    if answer is None:
        return None
    texts: list[str] = []
    for piece in answer.pieces:
        if (len(texts) % 2 == 0) != (piece.kind == "same"):
            texts.append("")
        texts.append(piece.text)
    found = {
        "outcome": answer.outcome,
        "text": texts,
        "omitted": answer.omitted,
        "cut": answer.cut,
        "facts": answer.facts,
        "reasoning": None if answer.reasoning is None else _excerpt(answer.reasoning),
    }
    return {name: value for name, value in found.items() if value}


def _check(row: CheckRow) -> list[Any]:
    return [row.name, row.wants, row.about, _mark(row.baseline), _mark(row.candidate), *_excerpt(row.why)]


def _mark(mark: Mark | None) -> list[Any] | None:
    return None if mark is None else [mark.value, mark.passed]
