"""Plain rows: what is read, and what is refused with its line."""

import gzip
import json

import pytest

from harness.errors import DataError
from harness.history.logs.rows import read, recognises


def write(tmp_path, text, name="run.jsonl"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_every_column_is_read(tmp_path):
    row = {
        "id": "a",
        "passed": True,
        "score": 0.5,
        "f1": 0.25,
        "set": "org/task",
        "cluster": "c",
        "tags": "x, y",
        "prompt": "Q?",
        "text": "A",
        "reference": "B",
        "latency_s": 1.5,
        "prompt_tokens": 3,
        "model": "m",
    }
    log = read(write(tmp_path, json.dumps(row) + "\n"))
    (case,) = log.cases
    assert (log.model, case.key, case.cluster, case.tags) == ("m", "org--task/a", "c", ("x", "y"))
    assert (case.messages[0].content, case.references, case.answers[0].text) == ("Q?", ("B",), "A")
    assert case.answers[0].values == {"score": 0.5, "f1": 0.25}
    assert (case.answers[0].passed, case.answers[0].latency_s, case.answers[0].prompt_tokens) == (
        True,
        1.5,
        3,
    )


def test_jsonl_csv_and_parquet_say_the_same(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow

    rows = [{"id": "a", "score": 0.5}, {"id": "b", "score": 1.0}]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "run.parquet")
    logs = [
        read(write(tmp_path, lines)),
        read(write(tmp_path, "id,score\na,0.5\nb,1.0\n", "run.csv")),
        read(tmp_path / "run.parquet"),
    ]
    values = [[(case.id, case.answers[0].values) for case in log.cases] for log in logs]
    assert values[0] == values[1] == values[2] == [("a", {"score": 0.5}), ("b", {"score": 1.0})]


def test_numbered_answers_are_of_one_case(tmp_path):
    lines = [{"id": "a", "repeat": number, "passed": number == 1} for number in (1, 2, 3)]
    (case,) = read(write(tmp_path, "\n".join(map(json.dumps, lines)))).cases
    assert [answer.passed for answer in case.answers] == [True, False, False]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"id": "a", "passed": true}\n{"id": "b", "pas', ":2: cut off in the middle"),
        (
            '{"id": "a", "passed": true}\n\n{"id": "a", "passed": true}',
            ":3: id 'a' was used before on line 1",
        ),
        (
            '{"id": "a", "repeat": 1, "score": 1}\n{"id": "a", "repeat": 1, "score": 1}',
            ":2: id 'a' (answer 1) was used",
        ),
        (
            '{"id": "a", "repeat": 1, "score": 1, "prompt": "p"}\n{"id": "a", "repeat": 2, "score": 1}',
            "different prompts",
        ),
        ('{"id": "a", "passed": "maybe"}', ":1: passed: 'maybe' is neither true nor false"),
        ('{"id": "a", "score": NaN}', ":1: score: nan is not a number"),
        ('{"id": "a", "score": -1e300}', ":1: score: a number beyond 1e+100, the largest that is compared"),
        ('{"id": "a", "score": "high"}', ":1: score: 'high' is not a number"),
        ('{"id": "a", "score": [1]}', ":1: score: [1] is not a number"),
        ('{"id": "a", "score": 1}\n{"id": "b"}', ":2: case 'b' has no score: say why in a column 'error'"),
        ('{"id": "a", "score": 1}\n{"score": 1}', ":2: no id"),
        ('{"name": "a", "score": 1}', "no column 'id' (found: name, score)"),
        ('{"id;score": "a;1"}', "its cells are separated by ';': write it with commas"),
        ('{"id": "a", "text": "x"}', "no column 'score' or 'passed'"),
        ("[1]", ":1: not an object"),
        ("\n\n", "it is empty"),
    ],
)
def test_bad_rows_are_refused_in_one_line(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(DataError) as error:
        read(path)
    assert message in str(error.value)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,score\na,1,2\n", ":2: it has more cells"),
        ("id,score\na\n", ":2: it has fewer cells"),
        ('id,score\n"a,1\n', "not CSV, or cut off"),
        ("id,score\n", "it has no rows"),
    ],
)
def test_bad_csv_is_refused(tmp_path, text, message):
    with pytest.raises(DataError, match=message.replace(".", r"\.")):
        read(write(tmp_path, text, "run.csv"))


def test_a_cut_parquet_file_is_refused(tmp_path):
    pytest.importorskip("pyarrow")
    path = tmp_path / "run.parquet"
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match="not Parquet, or cut off"):
        read(path)


def test_an_answer_that_broke_needs_no_score(tmp_path):
    (case,) = read(
        write(tmp_path, '{"id": "a", "error": "timeout", "score": null}\n{"id":"b","score":1}')
    ).cases[:1]
    assert case.answers[0].error == "timeout"
    assert case.answers[0].values == {}


def test_rows_are_known_by_their_suffix(tmp_path):
    assert recognises(write(tmp_path, "{}"))
    assert not recognises(write(tmp_path, "{}", "run.txt"))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "l.jsonl",
            b'{"id": "a", "passed": true, "passed": false}\n',
            r":1: .*the key 'passed' occurs twice",
        ),
        ("l.csv", b"id,passed,passed\na,1,0\n", r":1: the column 'passed' occurs twice"),
        ("l.jsonl", b'{"id": "a", "passed": true}\n{"id": "\xff"}\n', r":2: not UTF-8 text"),
        ("l.jsonl", "".join(f'{{"id": "{n}"}}' for n in "ab").encode("utf-16"), "iconv -f utf-16"),
        ("l.jsonl", gzip.compress(b"{}", mtime=0), r"give its name the ending \.gz"),
        ("l.jsonl", b'{"id": "a", "passed": true, "latency_s": -1}\n', ":1: latency_s: -1 is below 0"),
    ],
)
def test_what_has_two_readings_or_none_is_refused(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=said):
        read(tmp_path / name)


def test_compressed_rows_and_separators_of_unicode_in_a_cell(tmp_path):
    rows = "id,passed,text\n" + "".join(f"c{n},1,a\u2028b\x0cc\n" for n in range(3))
    (tmp_path / "l.csv.gz").write_bytes(gzip.compress(rows.encode()))
    assert [case.answers[0].text for case in read(tmp_path / "l.csv.gz").cases] == ["a\u2028b\x0cc"] * 3
