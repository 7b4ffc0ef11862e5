"""Evaluation tables of MLflow: ``eval_results_table.json``, and files of ``mlflow.genai``'s ``result_df``."""

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.errors import DataError
from harness.history.logs.log_cases import LogAnswer, LogCase, RunLog
from harness.history.logs.rows import table_rows
from harness.history.logs.run_log import SHARE, LogRow, each_row, gathered, named_by_content
from harness.history.logs.values import (
    changed_at,
    count_of,
    entry,
    head_of,
    number_of,
    plain_suffix,
    read_json,
)
from harness.types import Message, MetricFacts

_SET, _TABLE = "mlflow", "eval_results_table."
_ENDINGS = ("/score", "/value", "/v1/score")
_PROMPTS, _ANSWERS = ("inputs", "request", "input", "question"), ("outputs", "predictions", "response")
_TARGETS = ("targets", "ground_truth", "expected_response/value", "expected_response")
_WORDS = {"yes": 1.0, "true": 1.0, "pass": 1.0, "no": 0.0, "false": 0.0, "fail": 0.0}
# MLflow's own metrics between 0 and 1.
_SHARES = {"exact_match", "rouge1", "rouge2", "rougeL", "rougeLsum", "bleu", "precision_at_k", "recall_at_k"}
_LOWER = {"toxicity"}


def recognises(path: Path) -> bool:
    """JSON of columns and data, or CSV, with a column ``NAME/value`` or ``NAME/score``."""
    head = head_of(path)
    if plain_suffix(path) == ".json":
        return head.lstrip().startswith('{"columns"') and any(
            each in head for each in ("/score", "\\/score", "/value", "\\/value")
        )
    first, *_ = head.splitlines() or [""]
    return plain_suffix(path) == ".csv" and any(
        cell.strip('"').endswith(_ENDINGS) for cell in first.split(",")
    )


def read(path: Path) -> RunLog:
    """Read one table.

    Raises:
        DataError: It is cut or of another form, or has no column of scores.
    """
    lines, rows = zip(*_rows(path), strict=True)
    expected = _expected(rows)
    names = dict.fromkeys(name for row in rows for name in row if name.endswith(_ENDINGS))
    metrics = [
        name
        for name in names
        if name not in expected and any(_number(row.get(name)) is not None for row in rows)
    ]
    if not metrics:
        raise DataError(path, None, "no column NAME/score or NAME/value has numbers")
    seen: dict[str, int] = {}
    facts = {name: known for name in metrics if (known := _facts(name, rows)) is not None}
    deciding = _deciding(metrics, facts, are_distinguished=any("assessments" in row for row in rows))
    others = [name for name in metrics if name != deciding]
    notes = [f"{deciding} decides (--metric chooses: {', '.join(others)})"] if others and deciding else []
    if any(_first(row, _PROMPTS) is None for row in rows):
        notes.append(f"{path.name}: rows without an input are paired by their number alone")
    return RunLog(
        path=path,
        tool="MLflow",
        model=path.absolute().parent.name if path.name.startswith(_TABLE) else path.name.partition(".")[0],
        started_at=changed_at(path),
        cases=gathered(
            each_row(
                zip(lines, itertools.count(1), rows, strict=False),
                path,
                "row",
                lambda each: _row((path, each[0]), each[1], each[2], metrics, seen),
            )
        ),
        facts=facts,
        deciding={} if deciding is None else {_SET: deciding},
        notes=tuple(notes),
    )


def _expected(rows: Sequence[Mapping[str, Any]]) -> set[str]:
    """Columns of what an answer should be, which are among those of its scores."""
    return {
        f"{each.get('assessment_name')}/value"
        for row in rows
        for each in row.get("assessments") or ()
        if isinstance(each, dict) and each.get("expectation") is not None
    }


def _deciding(
    metrics: Sequence[str], facts: Mapping[str, MetricFacts], *, are_distinguished: bool
) -> str | None:
    """The metric that decides: the first whose direction is known; None if it has to be asked for.

    Args:
        metrics: Names of all columns of scores.
        facts: Those whose direction is known.
        are_distinguished: Whether columns of expectations are known, and not among them.
    """
    if len(metrics) > 1 and not are_distinguished and any(name.endswith("/value") for name in metrics):
        return None
    return next(iter([*facts, *metrics]))


def _rows(path: Path) -> list[tuple[int | None, Mapping[str, Any]]]:
    """The rows; those of CSV with their lines."""
    if plain_suffix(path) != ".json":
        return list(table_rows(path))
    facts = read_json(path)
    columns = [str(name) for name in entry(facts, "columns", list, (path, None))]
    if doubled := [name for name in dict.fromkeys(columns) if columns.count(name) > 1]:
        raise DataError(path, None, f"the column {doubled[0]!r} occurs twice: give each its own name")
    data = entry(facts, "data", list, (path, None))
    for number, cells in enumerate(data, start=1):
        if not isinstance(cells, list) or len(cells) != len(columns):
            raise DataError(path, None, f"row {number} has not one cell for each column: cut; log again")
    if not data:
        raise DataError(path, None, "it has no rows: evaluate again")
    return [(None, dict(zip(columns, cells, strict=True))) for cells in data]


def _number(value: object) -> float | None:
    """A score; None for text, such as an expectation or a reason."""
    if isinstance(value, bool | int | float):
        return float(value)
    if isinstance(value, str):
        if (word := _WORDS.get(value.strip().lower())) is not None:
            return word
        try:
            return float(value)
        except ValueError:
            return None
    return None


def _facts(name: str, rows: Sequence[Mapping[str, Any]]) -> MetricFacts | None:
    plain = name.partition("/")[0]
    values = [row[name] for row in rows if row.get(name) is not None]
    if plain in _SHARES or all(isinstance(value, bool) or str(value).lower() in _WORDS for value in values):
        return SHARE
    return replace(SHARE, higher_is_better=False) if plain in _LOWER else None


def _row(
    place: tuple[Path, int | None],
    number: int,
    row: Mapping[str, Any],
    metrics: Sequence[str],
    seen: dict[str, int],
) -> LogRow:
    prompt, target, answer = (_first(row, names) for names in (_PROMPTS, _TARGETS, _ANSWERS))
    own = row.get("client_request_id")
    name = str(own) if own else named_by_content([prompt, target]) if prompt is not None else str(number)
    seen[name] = seen.get(name, 0) + 1
    failed = row.get("state") not in {None, "OK", "STATE_UNSPECIFIED"}
    values = {} if failed else {key: _number(row.get(key)) for key in metrics}
    case = LogCase(
        set_name=_SET,
        id=name,
        messages=() if prompt is None else (Message(role="user", content=prompt),),
        references=() if target is None else (target,),
        identity="MLflow",
        answers=(
            LogAnswer(
                values={
                    key: number_of(value, place, f"row {number}: {key}")
                    for key, value in values.items()
                    if value is not None
                },
                text=answer,
                error=f"the trace ended as {row.get('state')}" if failed else "",
                latency_s=count_of(row.get("execution_duration"), place, f"row {number}: execution_duration")
                / 1000,
            ),
        ),
    )
    return LogRow(case=case, repeat=str(seen[name]), place=place)


def _first(row: Mapping[str, Any], names: Sequence[str]) -> str | None:
    return next((_text(row[name]) for name in names if row.get(name) is not None), None)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
