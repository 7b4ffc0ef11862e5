"""SQL answers."""

from typing import get_args

import pytest

from harness.registry.content_options import Dialect


@pytest.mark.parametrize(
    ("text", "options", "value_is"),
    [
        ("SELECT name FROM users WHERE id = 1;", {}, 1),
        ("WITH a AS (SELECT 1 AS x) SELECT x FROM a", {"tables": ["users"]}, 1),
        ("SELECT * FROM Users u JOIN shop.orders o ON u.id = o.id", {"tables": ["users", "orders"]}, 1),
        ("SELECT * FROM users, secrets", {"tables": ["users"]}, 0),
        ("SELECT * FROM users WHERE id IN (SELECT id FROM secrets)", {"tables": ["users"]}, 0),
        ("SELECT 1", {"statements": ["select"]}, 1),
        ("DROP TABLE users", {"statements": ["select"]}, 0),
        ("SELECT 1; DROP TABLE users", {"statements": ["select"]}, 0),
        ("WITH d AS (DELETE FROM users RETURNING *) SELECT * FROM d", {"statements": ["select"], "dialect": "postgres"}, 0),
        ("SELECT * INTO copy FROM users", {"statements": ["select"]}, 0),
        ("INSERT INTO a SELECT * FROM b", {"statements": ["insert", "select"]}, 1),
        ("SELECT `a` FROM `t`", {"dialect": "mysql"}, 1),
        ("SELECT * FORM users", {}, 0),
        ("SELECT FROM", {}, 0),
        ("SELECT (", {}, 0),
        ("hello", {}, 0),
        ("Sure thing", {}, 0),
        ("The answer: SELECT 1", {}, 0),
        ("```sql\nSELECT 1\n```", {}, 0),
        ("-- nothing", {}, 0),
        ("", {}, 0),
        ("(" * 3000, {}, 0),
        ("SELECT '\ud800'", {}, 1),
    ],
)  # fmt: skip
def test_only_whole_answers_of_allowed_sql_pass(score, text, options, value_is):
    assert score("is-sql", text, **options).value == value_is


def test_the_reason_is_one_plain_line(score):
    reason = score("is-sql", "SELECT a b c FROM t").explanation
    assert reason.startswith("not SQL: ")
    assert reason.isprintable()


@pytest.mark.parametrize("dialect", get_args(Dialect))
def test_each_dialect_is_one_of_the_librarys(score, dialect):
    assert score("is-sql", "SELECT 1", dialect=dialect).value == 1
