"""SQL answers."""

from typing import get_args

import pytest

from harness.registry.content_options import Dialect


@pytest.mark.parametrize(
    ("text", "options", "value_is"),
    [
        ("SELECT name FROM users WHERE id = 1;", {}, 1),
        ("WITH a AS (SELECT 1 AS x) SELECT x FROM a", {"tables": ["users"]}, 1),
        ("SELECT * FROM Users u JOIN shop.orders o ON u.id = o.id", {"tables": ["users", "shop.orders"]}, 1),
        ("SELECT * FROM users, secrets", {"tables": ["users"]}, 0),
        ("SELECT * FROM users WHERE id IN (SELECT id FROM secrets)", {"tables": ["users"]}, 0),
        ("SELECT 1", {"statements": ["select"]}, 1),
        *((text, {}, 0) for text in ("SELECT", "select;", "SELECT FROM t", "SELECT a, FROM t", "SELECT a FROM t GROUP BY", "UPDATE t", "UPDATE t SET", "INSERT INTO t", "SELECT a FROM t JOIN u ON", "SELECT a, (SELECT) FROM t")),
        *((text, {}, 1) for text in ("SELECT a FROM t GROUP BY ALL", "INSERT INTO t DEFAULT VALUES", "INSERT INTO t SELECT 1", "TABLE t", "VALUES (1)", "SELECT 'a, FROM'", "CREATE TABLE t AS SELECT 1", "MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN UPDATE SET t.b = s.b WHEN NOT MATCHED THEN INSERT (a) VALUES (s.a)", "INSERT INTO t (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET a = 2")),
        ("SELECT FROM t", {"dialect": "postgres"}, 1),
        ("SELECT a, FROM t", {"dialect": "bigquery"}, 1),
        ("DROP TABLE users", {"statements": ["select"]}, 0),
        ("SELECT 1; DROP TABLE users", {"statements": ["select"]}, 0),
        ("WITH d AS (DELETE FROM users RETURNING *) SELECT * FROM d", {"statements": ["select"], "dialect": "postgres"}, 0),
        ("SELECT * INTO copy FROM users", {"statements": ["select"]}, 0),
        ("INSERT INTO t (a) VALUES (1), (2)", {"statements": ["insert"]}, 1),
        ("INSERT INTO t SELECT a FROM u", {"statements": ["insert"]}, 0),
        ("VALUES (1)", {"statements": ["insert"]}, 0),
        ("MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN UPDATE SET t.b = s.b WHEN NOT MATCHED THEN INSERT (a) VALUES (s.a)", {"statements": ["merge"]}, 1),
        ("ALTER TABLE t DROP COLUMN a", {"statements": ["alter"]}, 1),
        ("ALTER TABLE t DROP COLUMN a; DROP TABLE t", {"statements": ["alter"]}, 0),
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
    for text in ("SELECT * FROM", "SELECT a FROM b WHERE", "SELECT (", "INSERT INTO"):
        assert "<" not in score("is-sql", text).explanation
    assert reason.isprintable()


@pytest.mark.parametrize("dialect", get_args(Dialect))
def test_each_dialect_is_one_of_the_librarys(score, dialect):
    assert score("is-sql", "SELECT 1", dialect=dialect).value == 1


ONLY = {
    "statements": ["select", "insert", "update", "delete", "merge", "create", "drop"],
    "tables": ["customers", "shop.orders"],
}


@pytest.mark.parametrize(
    ("text", "value_is"),
    [
        ("SELECT * FROM customers", 1), ("SELECT * FROM Customers c", 1), ('SELECT * FROM "customers"', 1), ('SELECT * FROM "Customers"', 0), ("SELECT * FROM shop.orders", 1), ("SELECT * FROM orders", 0), ("SELECT * FROM other.customers", 0), ("SELECT * FROM a.shop.orders", 0),
        # WITH hides a table in its own scope only.
        ("WITH secrets AS (SELECT 1) SELECT * FROM secrets", 1), ("WITH secrets AS (SELECT * FROM secrets) SELECT * FROM secrets", 0), ("WITH RECURSIVE r AS (SELECT 1 UNION SELECT * FROM r) SELECT * FROM r", 1), ("WITH a AS (SELECT * FROM b), b AS (SELECT 1) SELECT * FROM a", 0), ("WITH b AS (SELECT 1), a AS (SELECT * FROM b) SELECT * FROM a", 1),
        ("SELECT * FROM secrets WHERE EXISTS (WITH secrets AS (SELECT 1) SELECT * FROM secrets)", 0), ("SELECT * FROM (WITH secrets AS (SELECT 1) SELECT 1) a, secrets", 0), ("SELECT * FROM (WITH s AS (SELECT 1) SELECT * FROM s) a", 1), ("WITH s AS (SELECT 1) SELECT * FROM customers WHERE id IN (SELECT * FROM s)", 1), ("WITH secrets AS (SELECT 1) SELECT * FROM main.secrets", 0),
        ('WITH "Secrets" AS (SELECT 1) SELECT * FROM secrets', 0), ('WITH "Secrets" AS (SELECT 1) SELECT * FROM "Secrets"', 1), ("WITH s AS (SELECT 1) SELECT * FROM customers UNION SELECT * FROM s", 1), ("SELECT * FROM customers UNION (WITH s AS (SELECT 1) SELECT * FROM s) UNION SELECT * FROM s", 0),
        # What is changed is a table of the database.
        ("WITH secrets AS (SELECT 1) DELETE FROM secrets", 0), ("WITH secrets AS (SELECT 1) UPDATE secrets SET a = 1", 0), ("WITH secrets AS (SELECT 1) INSERT INTO secrets SELECT * FROM secrets", 0), ("INSERT INTO secrets VALUES (1)", 0), ("INSERT INTO secrets (a) VALUES (1)", 0), ("UPDATE customers SET a = (SELECT a FROM secrets)", 0), ("DELETE FROM customers USING secrets WHERE 1 = 1", 0),
        ("MERGE INTO customers USING secrets ON 1 = 1 WHEN MATCHED THEN DELETE", 0), ("CREATE TABLE secrets AS SELECT 1", 0), ("DROP TABLE secrets", 0), ("SELECT * INTO secrets FROM customers", 0), ("TABLE secrets", 0), ("SELECT * FROM customers; SELECT * FROM secrets", 0), ("DELETE FROM customers", 1),
        # Functions and files in place of a table.
        ("SELECT * FROM read_csv('secrets')", 0), ("SELECT * FROM dblink('a', 'b') AS t(x int)", 0), ("SELECT * FROM generate_series(1, 3)", 1), ("SELECT * FROM customers, UNNEST(ARRAY[1]) u", 1), ("SELECT (SELECT a FROM secrets) FROM customers", 0), ("SELECT * FROM customers, LATERAL (SELECT * FROM secrets) x", 0),
    ],
)  # fmt: skip
def test_only_listed_tables_are_read_or_changed(score, text, value_is):
    assert score("is-sql", text, **ONLY).value == value_is


@pytest.mark.parametrize("text", ["SELECT 1 /*! ; DROP TABLE t */", "SELECT 1 /*!50000 UNION SELECT * FROM s */", "SELECT 1 /*M! , 2 */", "SELECT * FROM t INTO OUTFILE '/tmp/x'", "COPY t TO '/tmp/x'", "LOAD DATA INFILE 'x' INTO TABLE t", "REPLACE INTO t VALUES (1)"])  # fmt: skip
@pytest.mark.parametrize("dialect", ["mysql", "postgres"])
def test_what_hides_or_leaves_the_database_is_no_select(score, text, dialect):
    assert score("is-sql", text, statements=["select"], dialect=dialect).value == 0
