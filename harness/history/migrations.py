"""The history's schema, as numbered steps, and how its newest form stores answers: each once, by its content.

A released step is never changed: add another. Everything here works on stored JSON; later changes of the
types don't change it.
"""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice
from types import MappingProxyType
from typing import Any

from harness.history import schemas
from harness.history.first_metrics import FIRST_METRICS
from harness.history.schemas import Database
from harness.history.stored_reasons import with_findings, with_renamed_limit
from harness.types.storage import DamagedFactsError, pack, parse_json, unpack

# Rows that are looked up and written together; SQLite takes at least 999 values in a statement.
# One encoder for all: json.dumps makes a new one each time.
_ENCODE = json.JSONEncoder(separators=(",", ":")).encode
_CHUNK = 500
# What the rendered prompt is, in a completion: it belongs to what was asked.
_PROMPT = ("prompt", "prompt_sha256")
# Columns that SQL can read, before those that are packed.
_PLAIN = {"cases": 2, "answers": 3}


def _m001_runs(database: Database) -> None:
    """Runs, their results and scores, and the gate records that connect a run with its baseline."""
    _make(database, schemas.RUNS)


def _m002_comparisons(database: Database) -> None:
    """The compared metrics and the retained skills as rows, so that SQL can compare them from run to run."""
    _make(database, schemas.COMPARISONS)
    for run_id, facts in database.execute("SELECT run_id, facts FROM gates").fetchall():
        try:
            _fill_comparisons(database, run_id, parse_json(facts)["comparison"])
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedFactsError(f"the gate of run {run_id} is damaged: {error!r}") from error


def _fill_comparisons(database: Database, run_id: str, comparison: Mapping[str, Any] | None) -> None:
    """Rows of a comparison in the first schema. Later changes of the types don't change this."""
    if comparison is None:
        return
    for place, row in enumerate(comparison["metrics"]):
        database.execute(
            f"INSERT INTO comparisons VALUES ({', '.join('?' * 18)})",
            (
                *(run_id, place, row["set_name"], row["metric"], row["kind"], row["n"]),
                *(row["candidate"]["mean"]["estimate"], row["baseline"]["mean"]["estimate"]),
                *(row["drop"]["estimate"], row["drop"]["low"], row["drop"]["high"]),
                *(row["p_value"], row["p_adjusted"], len(row["lost"]), len(row["gained"])),
                *(row["margin"], row["minimum_detectable_drop"], row["verdict"]),
            ),
        )
    forgetting = comparison["forgetting"]
    for place, row in enumerate(() if forgetting is None else forgetting["by_skill"]):
        database.execute(
            "INSERT INTO retentions VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                *(run_id, place, row["skill"], row["passed_by_baseline"], row["retained"]),
                *(row["rate"]["low"], row["rate"]["high"]),
            ),
        )


def _m003_noise(database: Database) -> None:
    """Noise records: a model's answers to the same cases, resampled."""
    _make(database, schemas.NOISE)


def _m004_metrics(database: Database) -> None:
    """Each run has facts about its metrics; for earlier runs they follow from the metrics' names."""
    for run_id, facts in database.execute("SELECT id, facts FROM runs").fetchall():
        results = database.execute("SELECT facts FROM results WHERE run_id = ? ORDER BY place", (run_id,))
        try:
            names = dict.fromkeys(name for (result,) in results for name in _scored(parse_json(result)))
            run = parse_json(facts)
            run["metrics"] = {name: FIRST_METRICS[name] for name in names if name in FIRST_METRICS}
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedFactsError(f"run {run_id} is damaged: {error!r}") from error
        database.execute("UPDATE runs SET facts = ? WHERE id = ?", (json.dumps(run), run_id))


def _scored(result: Mapping[str, Any]) -> Iterator[str]:
    """Names of the metrics in a case's scores."""
    for answer in result.get("repeats") or [result]:
        for score in answer["scores"]:
            yield score["metric"]


def _m005_findings(database: Database) -> None:
    """Verdicts as findings in place of sentences; the new name of regressed cases."""
    for table, key, changed in (
        ("gates", "run_id", with_findings),
        ("runs", "id", with_renamed_limit),
    ):
        for name, text in database.execute(f"SELECT {key}, facts FROM {table}").fetchall():
            try:
                facts = json.dumps(changed(parse_json(text)))
            except (ValueError, KeyError, TypeError) as error:
                raise DamagedFactsError(f"run {name} in {table} is damaged: {error!r}") from error
            database.execute(f"UPDATE {table} SET facts = ? WHERE {key} = ?", (facts, name))


def _m006_answers_once(database: Database) -> None:
    """Cases and answers are stored once, by their content; of whoever stored a run, branch and commit."""
    for column in ("no INTEGER", "branch TEXT", "commit_sha TEXT", "dirty INTEGER", "machine TEXT"):
        database.execute(f"ALTER TABLE runs ADD COLUMN {column}")
    database.execute("ALTER TABLE gates ADD COLUMN no INTEGER")
    runs = database.execute(f"SELECT id, facts FROM runs ORDER BY {database.row_order}").fetchall()
    for number, (run_id, facts) in enumerate(runs, start=1):
        where = parse_json(facts)["environment"]
        dirty = None if where.get("dirty") is None else int(where["dirty"])
        database.execute(
            "UPDATE runs SET no = ?, commit_sha = ?, dirty = ?, machine = ? WHERE id = ?",
            (number, where.get("commit"), dirty, where.get("machine"), run_id),
        )
    gates = database.execute(f"SELECT run_id FROM gates ORDER BY {database.row_order}").fetchall()
    database.executemany(
        "UPDATE gates SET no = ? WHERE run_id = ?",
        [(number, run_id) for number, (run_id,) in enumerate(gates, start=1)],
    )
    database.execute("CREATE UNIQUE INDEX runs_by_no ON runs (no)")
    database.execute("CREATE UNIQUE INDEX gates_by_no ON gates (no)")
    database.execute("CREATE INDEX runs_by_commit ON runs (commit_sha)")
    database.execute("ALTER TABLE results RENAME TO results_before")
    database.execute("DROP TABLE scores")
    _make(database, schemas.ANSWERS)
    for number, (run_id, _) in enumerate(runs, start=1):
        found = database.execute(
            "SELECT facts FROM results_before WHERE run_id = ? ORDER BY place", (run_id,)
        )
        try:
            results = (parse_json(facts) for (facts,) in found.fetchall())
            write_answers(database, number, results, packed=False)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DamagedFactsError(f"run {run_id} is damaged: {error!r}") from error
    database.execute("DROP TABLE results_before")


def _m007_packed_facts(database: Database) -> None:
    """What is JSON of cases and answers is packed; texts of answers stay as they are."""
    database.execute("DROP VIEW results")
    for table, names in (("cases", "facts, prompt_facts"), ("answers", "facts")):
        database.execute(f"ALTER TABLE {table} ADD COLUMN packed BLOB")
        last = 0
        while rows := database.execute(
            f"SELECT no, {names} FROM {table} WHERE no > ? ORDER BY no LIMIT {_CHUNK}", (last,)
        ).fetchall():
            database.executemany(
                f"UPDATE {table} SET packed = ? WHERE no = ?",
                [(pack(*texts), number) for number, *texts in rows],
            )
            last = rows[-1][0]
        for name in names.split(", "):
            database.execute(f"ALTER TABLE {table} DROP COLUMN {name}")
    _make(database, schemas.PACKED)


def _m008_noise_by_content(database: Database) -> None:
    """A case that is asked in several ways has a noise record of each."""
    _make(database, schemas.NOISE_BY_CONTENT)


def _make(database: Database, statements: Iterable[str]) -> None:
    for statement in statements:
        database.execute(statement)


MIGRATIONS: tuple[Callable[[Database], None], ...] = (
    _m001_runs,
    _m002_comparisons,
    _m003_noise,
    _m004_metrics,
    _m005_findings,
    _m006_answers_once,
    _m007_packed_facts,
    _m008_noise_by_content,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Content:
    """One result, in parts: keys and rows of its case and of its answer, without their numbers."""

    case_key: bytes
    case_row: tuple[str, ...]
    key: bytes
    row: tuple[str | None, ...]
    scores: list[tuple[str | float | None, ...]]


def plain_text(text: str) -> str:
    """The text as any database stores it: lone surrogates become question marks, and NUL a sign for it."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "\N{SYMBOL FOR NULL}")


def write_answers(
    database: Database,
    run_no: int,
    results: Iterable[Mapping[str, Any]],
    *,
    packed: bool = True,
    counted: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Store a run's results; nobody else may be writing.

    Args:
        database: The database.
        run_no: The run's number.
        results: The results as JSON, in order.
        packed: False for the tables of the sixth schema.
        counted: What cases count as, by their keys, where it may not be their outcome.

    Raises:
        KeyError: One is not a result.
    """
    outcomes: Counter[tuple[str, str]] = Counter()
    left, place = iter(results), 0
    while chunk := [_content(result) for result in islice(left, _CHUNK)]:
        asked = {each.case_key: each.case_row for each in chunk}
        cases, _ = _numbers(database, "cases", asked, packed=packed)
        rows = {each.key: (cases[each.case_key], *each.row) for each in chunk}
        answers, new = _numbers(database, "answers", rows, packed=packed)
        scores = {each.key: each.scores for each in chunk if each.key in new}
        _insert(
            database,
            "answer_scores",
            [(answers[key], at, *row) for key, found in scores.items() for at, row in enumerate(found)],
        )
        taken = [(run_no, at, answers[each.key]) for at, each in enumerate(chunk, start=place)]
        _insert(database, "run_answers", taken)
        outcomes.update((each.case_row[0], _counted(each, counted)) for each in chunk)
        place += len(chunk)
    _insert(database, "run_outcomes", [(run_no, *name, cases) for name, cases in outcomes.items()])


def _counted(content: _Content, counted: Mapping[str, str]) -> str:
    return counted.get("/".join(content.case_row[:2]), str(content.row[0]))


def read_answers(database: Database, run_id: str) -> Iterator[dict[str, Any]]:
    """A run's results as JSON, in order; each is what was given to :func:`write_answers`.

    Args:
        database: The database.
        run_id: The run's id.

    Raises:
        ValueError: One is damaged, or missing.
    """
    found = database.execute(
        "SELECT case_packed, answer, packed FROM results WHERE run_id = ? ORDER BY place", (run_id,)
    ).fetchall()
    _require_all(database, run_id, len(found))
    try:
        for case_packed, answer, packed in found:
            yield _result(case_packed, answer, packed)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"an answer is none: {error!r}") from error


def _require_all(database: Database, run_id: str, found: int) -> None:
    (stored,) = database.execute(
        "SELECT coalesce(sum(cases), 0) FROM run_outcomes JOIN runs ON runs.no = run_no WHERE runs.id = ?",
        (run_id,),
    ).fetchone()
    if found != stored:
        raise ValueError(f"it has {found} answers where {stored} were stored")
    lonely = "SELECT 1 FROM run_answers WHERE run_no NOT IN (SELECT no FROM runs) LIMIT 1"
    if not found and database.execute(lonely).fetchone():
        raise ValueError("its answers are under a number that no run has")


def _result(case_packed: bytes, answer: str | None, packed: bytes) -> dict[str, Any]:
    case_facts, prompt_facts = unpack(case_packed)
    (facts,) = unpack(packed)
    result: dict[str, Any] = {"case": json.loads(case_facts), **json.loads(facts)}
    prompt: dict[str, Any] = json.loads(prompt_facts)
    for completion in _completions(result):
        if "prompt" not in completion:
            completion.update(prompt)
    if result["completion"] is not None and "text" not in result["completion"]:
        result["completion"]["text"] = answer
    return result


def _completions(result: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The last answers of a case: the one that decided, and those of its repeats."""
    for each in (result, *result.get("repeats", ())):
        if each["completion"] is not None:
            yield each["completion"]


def _content(result: Mapping[str, Any]) -> _Content:
    case = result["case"]
    own = result["completion"]
    prompt = {} if own is None else {name: own[name] for name in _PROMPT if name in own}
    kept = {
        **{name: value for name, value in result.items() if name != "case"},
        "repeats": [
            {**repeat, "completion": _without(repeat["completion"], prompt)}
            for repeat in result.get("repeats", ())
        ],
        "completion": _without(own, prompt),
    }
    answer = None if own is None else plain_text(own["text"])
    if answer is not None and answer == own["text"]:
        del kept["completion"]["text"]
    names = (plain_text(case["set_name"]), plain_text(case["id"]))
    case_row = (*names, _json(case), _json(prompt))
    row = (str(result["outcome"]), answer, _json(kept))
    case_key = _key(*case_row)
    return _Content(
        case_key=case_key,
        case_row=case_row,
        key=_key(case_key.hex(), *row),
        row=row,
        scores=list(score_rows(result)),
    )


def _without(completion: Mapping[str, Any] | None, prompt: Mapping[str, Any]) -> dict[str, Any] | None:
    """A completion without its prompt, where that is the case's."""
    if completion is None:
        return None
    same = all(name in completion and completion[name] == value for name, value in prompt.items())
    return {name: value for name, value in completion.items() if not (same and name in prompt)}


def score_rows(result: Mapping[str, Any]) -> Iterator[tuple[str | float | None, ...]]:
    """Rows of each score of an answer, and of each metric that broke: the columns of its scores' table."""
    for score in result["scores"]:
        passed = score.get("passed")
        yield (
            plain_text(score["metric"]),
            _number(score["value"]),
            _number(score.get("threshold")),
            None if passed is None else int(passed),
            None,
        )
    for error in result.get("errors", ()):
        yield (plain_text(error["metric"]), None, None, None, plain_text(error["error"]))


def _number(value: float | None) -> float | None:
    """None for NaN, for which databases have different rules."""
    return None if value is None or math.isnan(value) else float(value)


def _numbers(
    database: Database, table: str, rows: Mapping[bytes, Sequence[Any]], *, packed: bool
) -> tuple[dict[bytes, int], set[bytes]]:
    """The number of each row by its key, and the keys of those that are stored only now."""
    keys = list(rows)
    found = database.execute(
        f"SELECT key, no FROM {table} WHERE key IN ({', '.join('?' * len(keys))})", keys
    ).fetchall()
    numbers = {bytes(key): int(number) for key, number in found}
    new = [key for key in keys if key not in numbers]
    first = int(database.execute(f"SELECT coalesce(max(no), 0) + 1 FROM {table}").fetchone()[0])
    numbers.update((key, number) for number, key in enumerate(new, start=first))
    plain = _PLAIN[table] if packed else None
    _insert(database, table, [(numbers[key], key, *_row(rows[key], plain)) for key in new])
    return numbers, set(new)


def _row(row: Sequence[Any], plain: int | None) -> list[Any]:
    """A row, with all that comes after its plain columns packed."""
    return list(row) if plain is None else [*row[:plain], pack(*row[plain:])]


def _insert(database: Database, table: str, rows: Sequence[Sequence[Any]]) -> None:
    if rows:
        database.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)


def _json(value: object) -> str:
    return _ENCODE(value)


def _key(*parts: str | None) -> bytes:
    hashed = blake2b(digest_size=16)
    for part in parts:
        # Lengths keep parts apart; a missing one differs from an empty one.
        data = b"" if part is None else part.encode("utf-8", "surrogatepass")
        hashed.update(f"{-1 if part is None else len(data)}:".encode() + data)
    return hashed.digest()
