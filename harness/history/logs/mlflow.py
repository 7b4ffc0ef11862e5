"""Evaluation tables of MLflow: ``eval_results_table.json``, and files of ``mlflow.genai``'s ``result_df``."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.errors import DataError
from harness.history.logs.rows import table_rows
from harness.history.logs.run_log import SHARE, LogAnswer, LogCase, LogRow, RunLog, gathered, named_by_content
from harness.history.logs.values import changed_at, entry, number_of, read_json
from harness.types import Message, MetricFacts

_SET = "mlflow"
_ENDINGS = ("/score", "/value", "/v1/score")
_PROMPTS, _ANSWERS = ("inputs", "request", "input", "question"), ("outputs", "predictions", "response")
_TARGETS = ("targets", "ground_truth", "expected_response/value", "expected_response")
_WORDS = {"yes": 1.0, "true": 1.0, "pass": 1.0, "no": 0.0, "false": 0.0, "fail": 0.0}
# MLflow's own metrics between 0 and 1.
_SHARES = {"exact_match", "rouge1", "rouge2", "rougeL", "rougeLsum", "bleu", "precision_at_k", "recall_at_k"}
_LOWER = {"toxicity"}


def recognises(path: Path) -> bool:
    """JSON of columns and data, or CSV, with a column ``NAME/value`` or ``NAME/score``."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(4000)
    if path.suffix == ".json":
        return head.lstrip().startswith(b'{"columns"') and any(
            each in head for each in (b"/score", b"\\/score", b"/value", b"\\/value")
        )
    return path.suffix == ".csv" and any(
        cell.strip('"').endswith(_ENDINGS)
        for cell in head.split(b"\n")[0].decode(errors="replace").split(",")
    )


def read(path: Path) -> RunLog:
    """Read one table.

    Raises:
        DataError: It is cut or of another form, or has no column of scores.
    """
    rows = _rows(path)
    names = dict.fromkeys(name for row in rows for name in row if name.endswith(_ENDINGS))
    metrics = [name for name in names if any(_number(row.get(name)) is not None for row in rows)]
    if not metrics:
        raise DataError(path, None, "no column NAME/score or NAME/value has numbers")
    seen: dict[str, int] = {}
    facts = {name: known for name in metrics if (known := _facts(name, rows)) is not None}
    deciding = next(iter([*facts, *metrics]))
    others = [name for name in metrics if name != deciding]
    return RunLog(
        path=path,
        tool="MLflow",
        model=path.stem if path.stem != "eval_results_table" else path.absolute().parent.name,
        started_at=changed_at(path),
        cases=gathered(_row((path, number), row, metrics, seen) for number, row in enumerate(rows, start=1)),
        facts=facts,
        deciding={_SET: deciding},
        notes=(f"{deciding} decides (--metric chooses: {', '.join(others)})",) if others else (),
    )


def _rows(path: Path) -> list[Mapping[str, Any]]:
    if path.suffix != ".json":
        return [row for _, row in table_rows(path)]
    facts = read_json(path)
    columns = entry(facts, "columns", list, (path, None))
    data = entry(facts, "data", list, (path, None))
    for number, cells in enumerate(data, start=1):
        if not isinstance(cells, list) or len(cells) != len(columns):
            raise DataError(path, None, f"row {number} has not one cell for each column: cut; log again")
    if not data:
        raise DataError(path, None, "it has no rows: evaluate again")
    return [dict(zip(columns, cells, strict=True)) for cells in data]


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
    place: tuple[Path, int], row: Mapping[str, Any], metrics: Sequence[str], seen: dict[str, int]
) -> LogRow:
    prompt = next((_text(row[name]) for name in _PROMPTS if row.get(name) is not None), None)
    target = next((_text(row[name]) for name in _TARGETS if row.get(name) is not None), None)
    answer = next((_text(row[name]) for name in _ANSWERS if row.get(name) is not None), None)
    own = row.get("client_request_id")
    name = str(own) if own else named_by_content([prompt, target]) if prompt is not None else str(place[1])
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
                    key: number_of(value, place, f"row {place[1]}: {key}")
                    for key, value in values.items()
                    if value is not None
                },
                text=answer,
                error=f"the trace ended as {row.get('state')}" if failed else "",
                latency_s=float(_number(row.get("execution_duration")) or 0) / 1000,
            ),
        ),
    )
    return LogRow(case=case, repeat=str(seen[name]), place=(place[0], None))


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
