"""Golden cases in training data are found, named by case and row; what everything shares is not taken for them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import DataError, SettingsError
from harness.golden.load import load_golden_set
from harness.models.resolve import resolve_model
from trainers.config import LeakageSettings
from trainers.config_file import load_config
from trainers.data.conversations import load_examples
from trainers.data.leakage import check_leakage, embedding_skipped, find_golden, without_leaks
from trainers.data.preferences import load_pairs
from trainers.data.rows import Examples
from trainers.data.texts import load_texts
from trainers.methods.sft import SftConfig

ROOT = Path(__file__).parents[3]
INSTRUCTION = "Extract the order as JSON with keys name, city, item, quantity."
# The ways that need no encoder.
ON = LeakageSettings(embedding=None)


@pytest.fixture(scope="module")
def orders():
    return load_golden_set(ROOT / "golden_sets" / "orders.yaml")


@pytest.fixture
def rows_with(tmp_path):
    """The demo's training file, with rows of one's own behind its 400."""

    def make(*rows: dict, first: int = 400) -> Examples:
        lines = (ROOT / "examples" / "orders" / "train.jsonl").read_text().splitlines()[:first]
        path = tmp_path / "rows.jsonl"
        path.write_text("\n".join([*lines, *map(json.dumps, rows)]))
        return load_examples([path])

    return make


def found(examples, golden_set, settings=ON):
    return [(leak.case, leak.row[1], leak.kind) for leak in check_leakage(examples, [golden_set], settings)]


# ---- clean data


def test_the_shipped_training_data_is_clean(orders):
    """Their rows share an instruction of eleven words with every case."""
    everything = find_golden([ROOT / "golden_sets"])
    assert len(everything) == 2
    data = [ROOT / "examples" / "orders" / name for name in ("train.jsonl", "rehearsal.jsonl")]
    assert check_leakage(load_examples(data), everything, ON) == []


def test_eight_rows_of_the_orders_are_clean(rows_with, orders):
    """With few rows the instruction is known by the cases that share it."""
    assert found(rows_with(first=8), orders) == []


@pytest.mark.parametrize(
    ("name", "load", "file"),
    [
        ("arithmetic", load_examples, "train.jsonl"),
        ("arithmetic", load_examples, "held_out.jsonl"),
        ("extraction", load_examples, "train.jsonl"),
        ("support", load_pairs, "pairs.jsonl"),
    ],
)
def test_the_examples_are_clean(name, load, file):
    golden = find_golden([ROOT / "examples" / name / "golden"])
    assert check_leakage(load([ROOT / "examples" / name / file]), golden, ON) == []


# ---- leaks


def test_the_same_question_and_answer_is_found_whatever_its_form(rows_with, orders):
    """Capitals, punctuation and white space don't matter; case and row are named."""
    case = orders.cases[0]
    prompt = case.messages[-1].content.upper().replace("\n", "  ") + "!"
    examples = rows_with({"prompt": prompt, "completion": case.references[0]})
    (leak,) = check_leakage(examples, [orders], ON)
    assert leak.case == "orders/bob-teapots"
    assert str(leak).startswith(f"{examples.places[400][0]}:401: golden case orders/bob-teapots (")
    assert leak.golden.endswith(f"orders.yaml:{case.line}")
    assert leak.detail == "the same question and answer"


def test_the_same_question_with_another_answer_is_found(rows_with, orders):
    prompt = orders.cases[1].messages[-1].content
    assert found(rows_with({"prompt": prompt, "completion": "x"}), orders) == [
        ("orders/priya-stools", 401, "exact")
    ]


def test_the_same_sentence_under_another_instruction_is_found(rows_with, orders):
    sentence = orders.cases[0].messages[-1].content.split("\n")[1]
    row = {"prompt": f"What does the customer want?\n{sentence}", "completion": "4 teapots"}
    assert found(rows_with(row), orders) == [("orders/bob-teapots", 401, "exact")]


def test_a_sentence_inside_a_longer_one_is_found_by_its_words_in_a_row(rows_with, orders):
    sentence = orders.cases[0].messages[-1].content.split("\n")[1]
    row = {"prompt": f"Yesterday we heard that {sentence} Isn't that nice?", "completion": "x"}
    examples = rows_with(row)
    assert found(examples, orders) == [("orders/bob-teapots", 401, "ngram")]
    assert found(examples, orders, LeakageSettings(ngram=None, embedding=None)) == []
    (leak,) = check_leakage(examples, [orders], ON)
    assert '"bob from bristol would like to order 4 teapots"' in leak.detail


def test_a_leak_that_is_copied_into_half_of_the_data_does_not_hide_itself(rows_with, orders):
    prompt = orders.cases[0].messages[-1].content
    again = [{"prompt": prompt, "completion": str(i % 2)} for i in range(300)]
    leaks = found(rows_with(*again), orders)
    assert {case for case, _, _ in leaks} == {"orders/bob-teapots"}
    assert len(leaks) == 300


def test_question_and_reference_in_raw_text_are_found(tmp_path, golden_file):
    golden = golden_file("What is the capital of France?", "Paris")
    (tmp_path / "a.txt").write_text("Quiz night. What is the capital of France? Paris! Next question.")
    (tmp_path / "b.txt").write_text("What is the capital of France? It is on the Seine. Paris is large.")
    leaks = check_leakage(load_texts([tmp_path / "a.txt", tmp_path / "b.txt"]), [golden], ON)
    assert [(leak.row[0].name, leak.kind) for leak in leaks] == [("a.txt", "exact")]


def test_thirteen_words_of_a_long_case_in_a_raw_text_are_found_and_twelve_are_not(tmp_path, golden_file):
    words = [f"w{i}" for i in range(40)]
    golden = golden_file(" ".join(words), "x")
    (tmp_path / "a.txt").write_text("before " + " ".join(words[5:18]) + " after")
    (tmp_path / "b.txt").write_text("before " + " ".join(words[5:17]) + " after")
    leaks = check_leakage(load_texts([tmp_path / "a.txt", tmp_path / "b.txt"]), [golden], ON)
    assert [leak.row[0].name for leak in leaks] == ["a.txt"]


def test_a_preference_pair_that_quotes_a_case_in_its_rejected_answer_is_found(tmp_path, golden_file):
    text = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
    golden = golden_file(text, "x")
    path = tmp_path / "pairs.jsonl"
    path.write_text(json.dumps({"prompt": "count", "chosen": "no", "rejected": f"well, {text}"}))
    assert [leak.kind for leak in check_leakage(load_pairs([path]), [golden], ON)] == ["ngram"]


def test_a_short_question_is_not_found_inside_others(tmp_path, golden_file):
    """Seven words in a row may be chance."""
    golden = golden_file("What is the capital of France?", "Paris")
    path = tmp_path / "rows.jsonl"
    path.write_text(
        json.dumps({"prompt": "What is the capital of France known for?", "completion": "Lights"})
    )
    assert check_leakage(load_examples([path]), [golden], ON) == []


@pytest.fixture
def golden_file(tmp_path):
    """A golden set of one case."""

    def make(prompt: str, reference: str):
        path = tmp_path / "one.yaml"
        checks = [{"type": "contains", "value": reference}]
        case = {"id": "one", "prompt": prompt, "references": [reference], "checks": checks}
        path.write_text(json.dumps({"name": "one", "cases": [case]}))
        return load_golden_set(path)

    return make


# ---- what a trainer does with it


def config_of(tmp_path, **changes):
    path = tmp_path / "config.yaml"
    golden = str(ROOT / "golden_sets" / "orders.yaml")
    # By words alone: loading an encoder takes seconds.
    words = {"leakage": {"embedding": None}}
    path.write_text(
        json.dumps({"base": "b", "data": "rows.jsonl", "output": "out", "golden": golden, **words, **changes})
    )
    return load_config(path, SftConfig)


def test_a_leak_stops_with_one_line_that_names_case_row_and_remedy(rows_with, orders, tmp_path):
    leaked = [
        {"prompt": case.messages[-1].content, "completion": case.references[0]} for case in orders.cases[:5]
    ]
    with pytest.raises(DataError, match="is in the training data") as refused:
        without_leaks(rows_with(*leaked), config_of(tmp_path))
    message = str(refused.value)
    assert message.startswith(f"{tmp_path / 'rows.jsonl'}:401: golden case orders/bob-teapots (")
    assert "also orders/priya-stools at" in message
    assert "and 2 more" in message
    assert message.endswith("remove the row, or train anyway with leakage: allow or --allow-leakage")


@pytest.mark.parametrize("leakage", ["allow", {"allow": True}])
def test_an_allowed_leak_is_noted_with_the_data(rows_with, orders, tmp_path, leakage):
    row = {"prompt": orders.cases[0].messages[-1].content, "completion": "x"}
    checked = without_leaks(rows_with(row, first=20), config_of(tmp_path, leakage=leakage))
    (noted,) = checked.notes.leakage["found"]
    assert noted["case"] == "orders/bob-teapots"
    assert noted["row"].endswith("rows.jsonl:21")
    assert checked.title.endswith(f"1 of {len(orders.cases)} golden cases among them")


def test_clean_data_is_noted_with_what_it_was_searched_for(rows_with, orders, tmp_path):
    noted = without_leaks(rows_with(), config_of(tmp_path)).notes.leakage
    assert noted["golden_sets"] == {orders.path: orders.content_sha256}
    assert (noted["cases"], noted["exact"], noted["ngram"], noted["found"]) == (
        len(orders.cases),
        True,
        13,
        [],
    )


def test_without_golden_sets_there_is_nothing_to_find(rows_with, tmp_path, monkeypatch):
    """By default they are looked for where one is; none there is no error."""
    monkeypatch.chdir(tmp_path)
    checked = without_leaks(rows_with(first=3), config_of(tmp_path, golden=None))
    assert checked.notes.leakage["cases"] == 0
    assert checked.title.endswith("no golden set to look for in them")
    (tmp_path / "golden_sets").mkdir()
    (tmp_path / "golden_sets" / "orders.yaml").write_text((ROOT / "golden_sets" / "orders.yaml").read_text())
    assert without_leaks(rows_with(first=3), config_of(tmp_path, golden=None)).notes.leakage["cases"] > 40


def test_a_golden_path_that_is_not_there_is_refused(rows_with, tmp_path):
    with pytest.raises(SettingsError, match=r"golden: .*none.yaml: no such file"):
        without_leaks(rows_with(first=3), config_of(tmp_path, golden="none.yaml"))


def test_embeddings_are_skipped_and_said_to_be_where_the_encoder_is_not_fetched(
    rows_with, tmp_path, monkeypatch
):
    monkeypatch.setenv("TUNEGATE_HOME", str(tmp_path))
    checked = without_leaks(rows_with(first=3), config_of(tmp_path, leakage={"embedding": 0.95}))
    noted = checked.notes.leakage
    assert noted["embedding"] is None
    assert "minilm isn't fetched yet" in noted["embedding_skipped"]
    assert "embeddings skipped: minilm isn't fetched yet" in checked.title


def test_many_rows_are_compared_by_embeddings_only_where_that_is_asked_for(rows_with):
    """It would take minutes that nobody asked for; the note says how to ask."""
    few = rows_with(first=3)
    many = replace(few, rows=few.rows[:1] * 20_001, places=few.places[:1] * 20_001)
    assert "more than 20000 rows; leakage: {embedding: 0.95}" in str(
        embedding_skipped(many, LeakageSettings())
    )
    assert "20000" not in str(embedding_skipped(many, LeakageSettings(embedding=0.95)))


@pytest.mark.parametrize("leakage", ["yes", {"ngrams": 13}, {"ngram": 2}, {"embedding": 95}])
def test_wrong_settings_are_refused_with_their_line(tmp_path, leakage):
    with pytest.raises(SettingsError, match=r"config.yaml:1: leakage"):
        config_of(tmp_path, leakage=leakage)


def test_a_trainer_stops_before_it_trains_unless_leakage_is_allowed(make_project, golden_file, capsys):
    golden = golden_file("what is w3", "w3")
    rows = [{"prompt": f"what is w{i}", "completion": f"one two w{i}"} for i in range(8)]
    project = make_project("sft", rows, golden=golden.path, max_steps=1)
    assert project.train() == 4
    assert "rows.jsonl:4: golden case one/one (" in capsys.readouterr().err
    assert not project.output.exists()
    assert project.train("--allow-leakage") == 0
    assert [leak["case"] for leak in project.manifest["data"]["leakage"]["found"]] == ["one/one"]


@pytest.mark.end_to_end
def test_embeddings_find_a_case_in_other_words(rows_with, orders):
    """The order of words is changed, so that neither words in a row nor the question are the same."""
    resolve_model("minilm")
    row = {
        "prompt": f"{INSTRUCTION}\nBob would like to order 4 teapots from Bristol.",
        "completion": "x",
    }
    examples = rows_with(row)
    assert found(examples, orders) == []
    assert found(examples, orders, LeakageSettings()) == [("orders/bob-teapots", 401, "embedding")]


@pytest.mark.end_to_end
def test_texts_that_the_encoder_cannot_read_are_not_taken_for_the_same(rows_with, tmp_path):
    """All Khmer sentences have one embedding."""
    resolve_model("minilm")
    (tmp_path / "km.yaml").write_text(
        "name: km\ncases:\n  - {id: a, prompt: ខ្ញុំស្រលាញ់ប្រទេសកម្ពុជា, references: [x], checks: [{type: equals}]}\n"
    )
    examples = rows_with({"prompt": "មេឃថ្ងៃនេះមានពណ៌ខៀវ", "completion": "y"})
    assert found(examples, load_golden_set(tmp_path / "km.yaml"), LeakageSettings()) == []


@pytest.mark.end_to_end
@pytest.mark.parametrize("name", ["orders", "arithmetic", "extraction"])
def test_no_shipped_case_lies_close_to_its_training_data(name):
    """Data of one narrow task is alike; what its rows share is taken out before embeddings are compared."""
    resolve_model("minilm")
    folder = ROOT / "examples" / name
    golden = find_golden([folder / "golden" if name != "orders" else ROOT / "golden_sets"])
    assert check_leakage(load_examples([folder / "train.jsonl"]), golden, LeakageSettings()) == []
