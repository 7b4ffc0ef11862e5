"""``is-sql``: the whole answer is SQL that sqlglot's parser understands. Nothing is executed."""

import logging
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from harness.metrics.definition import ScoringRequest, binary, quote
from harness.types import JsonValue, MetricError, Score

# In a text between quotes it is refused, too.
_EXECUTABLE = re.compile(r"/\*M?!")
# Functions that only make rows out of their arguments.
_ROWS = frozenset(
    [
        "unnest",
        "generate_series",
        "exploding_generate_series",
        "json_table",
        "json_each",
        "explode",
        "flatten",
    ]
)


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
    if _EXECUTABLE.search(text):
        return binary(request, False, "a comment that MySQL executes (/*! … */) hides what the SQL does")
    dialect = options.get("dialect")
    try:
        statements = sqlglot.parse(text, dialect=dialect if isinstance(dialect, str) else None)
    except (SqlglotError, RecursionError) as error:
        problem = _first_line(error) if isinstance(error, SqlglotError) else "nested too deeply"
        return binary(request, False, f"not SQL: {problem}")
    found = [one for one in statements if one is not None]
    if not found:
        return binary(request, False, "the answer has no statement")
    problem = _unfinished_text(text, dialect) or next(
        (problem for one in found if (problem := _problem(one, options))), ""
    )
    if problem:
        return binary(request, False, problem)
    kinds = ", ".join(dict.fromkeys(_kind(one) for one in found))
    return binary(request, True, f"the answer is SQL ({kinds})")


# Their parsers accept a comma before FROM.
_LOOSE_COMMAS = frozenset({"bigquery", "clickhouse", "duckdb", "snowflake"})
_OPEN = frozenset({"ON", "SET", "COMMA", "DOT"})


def _unfinished_text(text: str, dialect: JsonValue) -> str:
    """What the parser ignores: a comma without a column, an end in the middle of a clause."""
    import sqlglot

    tokens = sqlglot.tokenize(text, read=dialect if isinstance(dialect, str) else None)
    kinds = [token.token_type.name for token in tokens]
    following = [*kinds[1:], "SEMICOLON"]
    for kind, after in zip(kinds, following, strict=True):
        if kind == "COMMA" and after == "FROM" and dialect not in _LOOSE_COMMAS:
            return "not SQL: a comma before FROM"
        if kind in _OPEN and after == "SEMICOLON":
            return "not SQL: it ends in the middle of a clause"
    return ""


def _unfinished(statement: Any, dialect: JsonValue) -> str:
    """Parts that the parser lets be missing; empty for a whole statement."""
    from sqlglot import exp

    for node in statement.walk():
        if isinstance(node, exp.Select) and not node.expressions and dialect != "postgres":
            return "a SELECT without a column"
        if isinstance(node, exp.Group) and not any(node.args.values()):
            return "a GROUP BY without a column"
        if isinstance(node, exp.Update) and not node.expressions and node is statement:
            return "an UPDATE that sets nothing"
        if isinstance(node, exp.Insert) and not (node.args.get("expression") or node.args.get("default")):
            return "an INSERT without rows" if node is statement else ""
    return ""


def _first_line(error: Exception) -> str:
    line = str(error).partition("\n")[0].replace("\x1b[4m", "").replace("\x1b[0m", "")
    # The parser's own objects, in words.
    line = re.sub(r"<Token token_type: TokenType\.SENTINEL,.*?>", "the end", line)
    line = re.sub(r"<Token token_type: \S+, text: (.*?), line: .*?>", r"\1", line)
    return re.sub(r"<class '(?:\w+\.)*(\w+)'>", r"\1", line)


def _problem(statement: Any, options: Mapping[str, JsonValue]) -> str:
    """Why a parsed text is not an allowed statement; empty if it is one."""
    if not _kind(statement):
        # The parser also takes words for an expression: "Sure thing" is the column Sure, called thing.
        return f"not SQL: {quote(statement.sql()[:60])} is no statement"
    if missing := _unfinished(statement, options.get("dialect")):
        return f"not SQL: {missing}"
    allowed = _texts(options.get("statements"))
    # WITH can also contain a DELETE, and SELECT INTO makes a table.
    inside = (node for node in statement.walk() if not _is_clause(node)) if allowed else ()
    kinds = [kind for node in inside if (kind := _kind(node))]
    if refused := [kind for kind in kinds if kind not in allowed]:
        return f"{refused[0]} is no allowed statement; allowed are {', '.join(allowed)}"
    tables = _texts(options.get("tables"))
    for table in _tables(statement) if tables else []:
        if not any(_is_same(table, allowed) for allowed in tables):
            return f"the table {quote('.'.join(name for name, _ in _names(table)))} is not allowed"
    return ""


def _is_clause(node: Any) -> bool:
    """Whether a node is a part of another statement, though it has a statement's name.

    They are the rows of an INSERT, what a MERGE does, and the column that an ALTER drops.
    """
    from sqlglot import exp

    return (
        (isinstance(node, exp.Values) and isinstance(node.parent, exp.Insert))
        or isinstance(node.parent, exp.When)
        or (isinstance(node, exp.Drop) and isinstance(node.parent, exp.Alter))
    )


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


def _is_same(table: Any, allowed: str) -> bool:
    """Whether a table is an allowed one: with its schema if it has one, and in its case if it is quoted."""
    names, wanted = _names(table), allowed.split(".")
    return len(names) == len(wanted) and all(
        name == one if is_quoted else name.casefold() == one.casefold()
        for (name, is_quoted), one in zip(names, wanted, strict=True)
    )


def _names(table: Any) -> list[tuple[str, bool]]:
    """The names of a table's catalogue, schema and itself, or a function's, and whether each is quoted."""
    from sqlglot import exp

    return [
        (_function_name(part), False)
        if isinstance(part, exp.Func)
        else (part.name, bool(part.args.get("quoted")))
        for part in table.parts
    ]


def _function_name(function: Any) -> str:
    from sqlglot import exp

    return str(function.name if isinstance(function, exp.Anonymous) else function.sql_name())


def _tables(statement: Any) -> list[Any]:
    """The tables in a statement, but for those that its WITH defines; and functions in a table's place."""
    from sqlglot import exp

    return [
        table
        for table in statement.find_all(exp.Table)
        if table.parts and _names(table)[-1][0].casefold() not in _ROWS and not _is_defined(table)
    ]


def _is_defined(table: Any) -> bool:
    """Whether a table is defined by a WITH whose scope it is in: SQL's rule, not by its name alone."""
    from sqlglot import exp

    if len(table.parts) > 1 or isinstance(table.this, exp.Func):
        return False
    # INSERT, UPDATE, DELETE and so on change a table of the database, whatever WITH defines.
    if (
        isinstance(table.parent, exp.DML | exp.DDL | exp.Schema | exp.Into | exp.Drop | exp.Alter)
        and table.arg_key == "this"
    ):
        return False
    below, node = table, table.parent
    while node is not None:
        defined = node.args.get("with_") or node.args.get("with")
        if isinstance(node, exp.With):
            # A definition sees those before it, and itself if it is recursive.
            seen = node.expressions[: _place(node.expressions, below) + bool(node.args.get("recursive"))]
            if any(_has_name(one, table) for one in seen):
                return True
        elif (
            defined is not None
            and defined is not below
            and any(_has_name(one, table) for one in defined.expressions)
        ):
            return True
        below, node = node, node.parent
    return False


def _place(nodes: Sequence[Any], wanted: Any) -> int:
    return next((place for place, node in enumerate(nodes) if node is wanted), 0)


def _has_name(definition: Any, table: Any) -> bool:
    """Whether a definition of WITH has a table's name, by the rules for quoted names."""
    named, name = definition.args["alias"].this, table.this
    if named.args.get("quoted") or name.args.get("quoted"):
        return bool(named.name == name.name)
    return bool(named.name.casefold() == name.name.casefold())
