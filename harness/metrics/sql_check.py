"""``is-sql``: the whole answer is SQL that sqlglot's parser understands. Nothing is executed."""

import logging
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from harness.metrics.definition import ScoringRequest, binary, quote
from harness.types import JsonValue, MetricError, Score


def is_sql(requests: Sequence[ScoringRequest]) -> list[Score | MetricError]:
    """Whether each answer is SQL with allowed statements and tables only."""
    # It warns of each statement that it does not understand: here that is a result.
    logging.getLogger("sqlglot").setLevel(logging.ERROR)
    return [_is_sql(request) for request in requests]


def _is_sql(request: ScoringRequest) -> Score:
    import sqlglot
    from sqlglot.errors import SqlglotError

    options, text = request.check.options, request.text.strip()
    if text.startswith("```"):
        return binary(request, False, "the answer is in a ``` code fence; only bare SQL counts")
    dialect = options.get("dialect")
    try:
        statements = sqlglot.parse(text, dialect=dialect if isinstance(dialect, str) else None)
    except SqlglotError as error:
        return binary(request, False, f"not SQL: {_first_line(error)}")
    except RecursionError:
        return binary(request, False, "not SQL: nested too deeply")
    found = [one for one in statements if one is not None]
    if not found:
        return binary(request, False, "the answer has no statement")
    problem = next((problem for one in found if (problem := _problem(one, options))), "")
    if problem:
        return binary(request, False, problem)
    kinds = ", ".join(dict.fromkeys(_kind(one) for one in found))
    return binary(request, True, f"the answer is SQL ({kinds})")


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].replace("\x1b[4m", "").replace("\x1b[0m", "")


def _problem(statement: Any, options: Mapping[str, JsonValue]) -> str:
    """Why a parsed text is not an allowed statement; empty if it is one."""
    if not _kind(statement):
        # The parser also takes words for an expression: "Sure thing" is the column Sure, called thing.
        return f"not SQL: {quote(statement.sql()[:60])} is no statement"
    allowed = _texts(options.get("statements"))
    # WITH can also contain a DELETE, and SELECT INTO makes a table.
    kinds = [kind for node in statement.walk() if (kind := _kind(node))] if allowed else []
    if refused := [kind for kind in kinds if kind not in allowed]:
        return f"a {refused[0]} statement; allowed are {', '.join(allowed)}"
    tables = {name.casefold() for name in _texts(options.get("tables"))}
    for name in _tables(statement) if tables else []:
        if name.casefold() not in tables and name.rpartition(".")[2].casefold() not in tables:
            return f"the table {quote(name)} is not allowed"
    return ""


def _texts(value: JsonValue) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list | tuple) else []


@cache
def _kinds() -> Mapping[str, tuple[type[Any], ...]]:
    from sqlglot import exp

    return {
        "select": (exp.Query, exp.Values),
        "insert": (exp.Insert,),
        "update": (exp.Update,),
        "delete": (exp.Delete,),
        "merge": (exp.Merge,),
        "create": (exp.Create, exp.Into),
        "alter": (exp.Alter,),
        "drop": (exp.Drop, exp.TruncateTable),
    }


def _kind(statement: Any) -> str:
    """The statement's name in lower case; empty for an expression or what the parser did not understand."""
    return next((name for name, kinds in _kinds().items() if isinstance(statement, kinds)), "")


def _tables(statement: Any) -> list[str]:
    """Names of the tables in a statement, without those that it defines itself by WITH."""
    from sqlglot import exp

    own = {cte.alias.casefold() for cte in statement.find_all(exp.CTE)}
    named = [table for table in statement.find_all(exp.Table) if table.name]
    names = [".".join(part.name for part in table.parts) for table in named]
    return [name for name in names if name.casefold() not in own]
