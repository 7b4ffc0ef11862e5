"""Rows of JSON, tables, Parquet and the hub: the same rows, or one line that says what is wrong."""

import gzip
import json
from pathlib import Path

import pytest

from harness.errors import DataError
from trainers.data.conversations import load_examples
from trainers.data.sources import is_hub_name, read_source

ROWS = [{"prompt": "q, one", "completion": "a"}, {"prompt": 'q "two"\nlines', "completion": "b"}]
TABLE = 'prompt,completion\r\n"q, one",a\r\n"q ""two""\nlines",b\r\n'


def read(path):
    return list(read_source(path).rows)


@pytest.mark.parametrize(
    ("name", "text", "lines"),
    [
        ("rows.jsonl", "\n\n".join(json.dumps(row) for row in ROWS), [1, 3]),
        ("rows.json", json.dumps(ROWS, indent=1), [2, 6]),
        ("rows.json", "\ufeff" + json.dumps(ROWS, indent=1), [2, 6]),
        ("rows.csv", TABLE, [2, 3]),
        ("rows.csv", " prompt ," + TABLE.partition(",")[2], [2, 3]),
        ("rows.csv", "\ufeff" + TABLE, [2, 3]),
        ("rows.TSV", TABLE.replace(",", "\t").replace("q\t", "q,"), [2, 3]),
    ],
)
def test_each_kind_of_file_gives_rows_with_their_lines(tmp_path, name, text, lines):
    path = tmp_path / name
    path.write_bytes(text.encode())
    assert read(path) == list(zip(lines, ROWS, strict=True))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rows.jsonl.gz", "\n".join(json.dumps(row) for row in ROWS)),
        ("rows.json.gz", json.dumps(ROWS)),
        ("rows.csv.GZ", TABLE),
        ("rows.jsonl", "\n".join(json.dumps(row) for row in ROWS)),
    ],
)
def test_a_packed_file_gives_the_rows_of_the_file_in_it(tmp_path, name, text):
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()))
    source = read_source(path)
    assert [row for _, row in source.rows] == ROWS
    assert source.content == path.read_bytes()
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match=rf"{name}: can't be unpacked: "):
        read_source(path)


def test_a_long_cell_is_read(tmp_path):
    long = "a " * 100_000
    (tmp_path / "rows.csv").write_text(f"prompt,completion\n{long},b\n")
    assert read(tmp_path / "rows.csv") == [(2, {"prompt": long, "completion": "b"})]


def test_a_long_list_is_read_at_once(tmp_path):
    """Lines are counted on from the entry before, not from the beginning."""
    rows = [{"prompt": f"{number} " * 50, "completion": "a"} for number in range(20_000)]
    (tmp_path / "rows.json").write_text(json.dumps(rows, indent=1))
    found = read(tmp_path / "rows.json")
    assert found[-1] == (2 + 4 * 19_999, rows[-1])


def test_a_table_may_hold_turns_as_json(tmp_path):
    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    path = tmp_path / "rows.csv"
    quoted = json.dumps(turns).replace('"', '""')
    path.write_text(f'messages,source\n"{quoted}",[1]\n')
    assert read(path) == [(2, {"messages": turns, "source": "[1]"})]
    assert load_examples([path]).rows == [{"prompt": turns[:1], "completion": turns[1:]}]


def test_an_answer_of_a_table_may_be_json(tmp_path):
    """Only what has turns is parsed in the columns of questions and answers."""
    path = tmp_path / "rows.csv"
    path.write_text('prompt,completion,history,known\nq,"{""id"": 1}",[],"{""id"": 1}"\n')
    assert read(path)[0][1] == {"prompt": "q", "completion": '{"id": 1}', "history": "[]", "known": {"id": 1}}
    assert load_examples([path]).rows[0]["completion"] == [{"role": "assistant", "content": '{"id": 1}'}]


def test_a_character_in_two_escapes_is_whole(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "\\ud83d\\ude00", "completion": "a"}')
    assert read(path) == [(1, {"prompt": "\U0001f600", "completion": "a"})]


def test_parquet_is_read_without_the_nulls_that_arrow_fills_in(tmp_path):
    import pyarrow as pa
    from pyarrow import parquet

    turns = [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "", "tool_calls": [{"name": "f", "arguments": {"x": 1}}]},
    ]
    path = tmp_path / "rows.parquet"
    parquet.write_table(pa.Table.from_pylist([{"messages": turns, "topic": None}]), path)
    assert read(path) == [(1, {"messages": turns, "topic": None})]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"prompt,prompt\nq,a\n", "a.csv:1: the column 'prompt' occurs twice"),
        ("a.csv", b"prompt,completion\nq\n", "a.csv:2: found 1 cells"),
        ("a.csv", b'prompt,completion\n"q,a\n', "a.csv:2: not a table"),
        ("a.csv", b"prompt,completion\nq,\xff\n", "a.csv:2: not UTF-8"),
        ("a.csv", b"prompt,completion\n", "a.csv: contains no row"),
        ("a.json", b'[{"prompt": "q"},\n}]', "a.json:2: not JSON"),
        (
            "a.jsonl",
            b'{"prompt": "q", "prompt": "r", "completion": "a"}',
            "a.jsonl:1: .*'prompt' occurs twice",
        ),
        ("a.json", b'[{"prompt": "q", "prompt": "r", "completion": "a"}]', "'prompt' occurs twice"),
        (
            "a.jsonl",
            b'\n{"prompt": "\\ud83d", "completion": "a"}',
            r"a.jsonl:2: not a text: \\ud83d is half of a character",
        ),
        ("a.json", b'[{"prompt":\n"\\uD83D", "completion": "a"}]', r"a.json:1: not a text: \\ud83d is half"),
        ("a.parquet", b"PAR1", "a.parquet: not Parquet"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        load_examples([tmp_path / name])


def test_a_data_set_of_the_hub_is_read_by_name(monkeypatch):
    import datasets

    asked = []

    def load_dataset(*names, **options):
        asked.append((*names, options))
        return datasets.Dataset.from_list(ROWS)

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    examples = load_examples([Path("hf:org/name/main:test@v1.0")])
    assert asked == [("org/name", "main", {"split": "test", "revision": "v1.0"})]
    assert examples.places[0] == (Path("hf:org/name/main:test@v1.0"), 1)
    assert [row["completion"][0]["content"] for row in examples.rows] == ["a", "b"]
    load_examples([Path("hf:org/name")])
    assert asked[1] == ("org/name", None, {"split": "train", "revision": None})


def test_a_hub_that_cannot_be_reached_is_one_line(monkeypatch):
    import datasets

    def load_dataset(*_, **__):
        raise ConnectionError("Couldn't reach 'org/name' on the Hub\nmore")

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    with pytest.raises(
        DataError, match=r"hf:org/name: can't be loaded from the hub: Couldn't reach"
    ) as error:
        load_examples([Path("hf:org/name")])
    assert "\n" not in str(error.value)
    with pytest.raises(DataError, match=r"no name of a data set \(allowed: hf:ORG/NAME"):
        load_examples([Path("hf:name")])


def test_the_name_in_a_configuration_is_not_a_path_of_its_directory(tmp_path):
    from trainers.config_file import load_config
    from trainers.methods.sft import SftConfig

    (tmp_path / "sft.yaml").write_text("{base: b, data: ['hf:org/name', rows.csv], output: out}")
    data = load_config(tmp_path / "sft.yaml", SftConfig).data
    assert data == (Path("hf:org/name"), tmp_path / "rows.csv")
    assert [is_hub_name(path) for path in data] == [True, False]
