"""Logs that inspect_ai wrote."""

import json
import zipfile
from pathlib import Path

import pytest

from harness.baselines.logged_run import runs_of
from harness.errors import DataError
from harness.history.logs import inspect_ai
from harness.history.logs.inspect_ai import read, recognises
from harness.history.logs.kinds import read_log

DATA = Path(__file__).parent / "data" / "inspect"


def spoiled(tmp_path, change):
    facts = json.loads((DATA / "base.json").read_text())
    change(facts)
    path = tmp_path / "log.json"
    path.write_text(json.dumps(facts))
    assert recognises(path)
    return path


def test_archive_and_json_say_the_same():
    archive, plain = read(DATA / "base.eval"), read(DATA / "base.json")
    assert (archive.tool, archive.model) == ("inspect_ai 0.3.285", "table/tiny-base")
    values = [{case.key: case.answers[0].values for case in log.cases} for log in (archive, plain)]
    assert values[0] == values[1]
    assert len(values[0]) == 12
    assert archive.deciding == {"capitals": "match"}
    # The length of an answer is on no known scale.
    assert set(archive.facts) == {"match"}


def test_a_sample_has_prompt_answer_target_and_usage():
    case = read(DATA / "base.eval").cases[1]
    (answer,) = case.answers
    assert (case.key, case.messages[0].content, case.references) == (
        "capitals/country-1",
        "Capital of country 1?",
        ("City1",),
    )
    assert (answer.text, answer.values["match"], answer.completion_tokens) == ("It is City1.", 1.0, 5)


def test_epochs_are_answers_to_one_case():
    cases = {case.id: case for case in read(DATA / "epochs.json").cases}
    assert len(cases) == 6
    assert [
        [answer.values["match"] for answer in cases[name].answers] for name in ("country-0", "country-4")
    ] == [
        [1.0, 0.0],
        [1.0, 1.0],
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda log: log.update(version=3), "an inspect log of version 3; this tunegate reads 2"),
        (
            lambda log: log.update(status="cancelled"),
            "its run ended as 'cancelled': go on with inspect eval-retry",
        ),
        (lambda log: log.pop("samples"), "it has no samples: run inspect with --log-samples"),
        (lambda log: log["samples"].pop(), "11 of 12 samples are in it"),
        (
            lambda log: log["samples"].append({"id": "x"}),
            "13 samples are in it, of 12: some are written twice",
        ),
        (lambda log: log["samples"].insert(0, "x") or log["samples"].pop(), "sample 1: not an object: 'x'"),
        (lambda log: log["samples"][0].update(error="boom"), "sample 1 is not as its tool writes it"),
        (lambda log: log["samples"][0].update(id=True), "id: True is of another type"),
        (
            lambda log: log["samples"][0]["output"].update(time=1e400),
            "sample country-0: time: inf is not a number",
        ),
        (
            lambda log: log["samples"][0]["output"].update(usage={"output_tokens": -5}),
            "output tokens: -5 is below 0",
        ),
        (lambda log: log["samples"][1].update(id="country-0"), "id 'country-0' .answer 1. was used before"),
        (
            lambda log: log["samples"][0]["scores"]["match"].update(value="X"),
            "sample country-0: match: 'X' is no grade",
        ),
        (lambda log: log["samples"][0]["scores"]["match"].pop("value"), "'value' is missing"),
    ],
)
def test_what_is_not_whole_is_refused_in_one_line(tmp_path, change, message):
    with pytest.raises(DataError, match=message) as error:
        read(spoiled(tmp_path, change))
    assert "\n" not in str(error.value)


def test_an_error_is_no_score(tmp_path):
    def change(log):
        log["samples"][0].update(error={"message": "rate limit\nTraceback"}, scores={})

    case = read(spoiled(tmp_path, change)).cases[0]
    assert case.answers[0].error == "rate limit"
    assert case.answers[0].values == {}


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"error": {"message": ""}}, "it broke"),
        ({"invalidation": {"author": "a", "reason": "leaked"}}, "invalidated: leaked"),
        ({"invalidation": {"author": "a"}}, "invalidated: no reason given"),
    ],
)
def test_a_sample_that_does_not_count_is_an_error(tmp_path, facts, told):
    log = read(spoiled(tmp_path, lambda log: log["samples"][0].update(facts)))
    assert log.cases[0].answers[0].error == told


def test_long_texts_are_read_from_the_sample_s_attachments(tmp_path):
    def change(log):
        log["samples"][0]["input"] = [{"role": "user", "content": "attachment://1a"}]
        log["samples"][0]["output"] = {"completion": "attachment://2b"}
        log["samples"][0]["attachments"] = {"1a": "a long question", "2b": "a long answer"}

    case = read(spoiled(tmp_path, change)).cases[0]
    assert (case.messages[0].content, case.answers[0].text) == ("a long question", "a long answer")


def scored(name, values, metrics):
    def change(log):
        for sample, value in zip(log["samples"], values * 12, strict=False):
            sample["scores"] = {name: {"value": value}}
        log["results"]["scores"] = [{"name": name, "scorer": name, "metrics": metrics}]
        log["results"]["headline"] = {"scorer": name, "score": name}

    return change


@pytest.mark.parametrize(
    ("values", "metrics", "known"),
    [
        (["C", "I", "P"], {"mean": {}}, True),
        ([True, False], {"accuracy": {}}, True),
        # True may be the answer to "is it toxic?".
        ([True, False], {"mean": {}}, False),
        (["yes", "no"], {"mean": {}}, False),
        ([0.2, 0.9], {"mean": {}}, False),
    ],
)
def test_a_score_has_a_direction_if_it_is_a_grade_or_an_accuracy(tmp_path, values, metrics, known):
    log = read(spoiled(tmp_path, scored("found", values, metrics)))
    assert ("found" in log.facts) is known
    assert log.deciding == {"capitals": "found"}


def test_a_headline_without_values_is_not_replaced_by_another_score(tmp_path):
    def change(log):
        for sample in log["samples"]:
            sample["scores"]["match"]["value"] = float("nan")

    with pytest.raises(DataError, match=r"match decides, but no case has a value of it.*allowed: length"):
        runs_of([read(spoiled(tmp_path, change))], {})


@pytest.fixture
def folder(tmp_path):
    found = tmp_path / "logs"
    found.mkdir()
    return found


def renamed(source, target, **about):
    """A copy of an archive whose header says something else."""
    path = DATA / source
    header, samples = inspect_ai._archive(path)
    header["eval"].update(about)
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("header.json", json.dumps(header))
        for number, sample in enumerate(samples):
            archive.writestr(f"samples/{number}.json", json.dumps(sample))


def test_a_folder_has_a_log_for_each_task(folder):
    renamed("base.eval", folder / "1.eval")
    renamed("base.eval", folder / "2.eval", task="rivers")
    log = read_log(folder)
    assert (log.tool, log.model, len(log.cases)) == ("inspect_ai 0.3.285", "table/tiny-base", 24)
    assert log.deciding == {"capitals": "match", "rivers": "match"}
    assert set(log.facts) == {"match"}


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ({}, r"capitals was run twice in it: name one file \(1\.eval, 2\.eval\)"),
        ({"task": "rivers", "model": "other"}, "it has logs of table/tiny-base and other: name one file"),
    ],
)
def test_a_folder_of_several_runs_is_refused(folder, about, message):
    renamed("base.eval", folder / "1.eval")
    renamed("base.eval", folder / "2.eval", **about)
    with pytest.raises(DataError, match=message):
        read(folder)


def test_an_unscored_sample_is_no_zero(tmp_path):
    def change(log):
        log["samples"][0]["scores"]["match"]["value"] = float("nan")

    assert "match" not in read(spoiled(tmp_path, change)).cases[0].answers[0].values


def test_a_score_with_several_values_is_several_metrics(tmp_path):
    def change(log):
        for sample in log["samples"]:
            sample["scores"] = {"both": {"value": {"a": 1, "b": 0.5}}}
        log["results"].pop("headline")

    assert read(spoiled(tmp_path, change)).cases[0].answers[0].values == {"both.a": 1.0, "both.b": 0.5}


def test_a_cut_archive_is_refused(tmp_path):
    path = tmp_path / "log.eval"
    path.write_bytes((DATA / "base.eval").read_bytes()[:-500])
    with pytest.raises(DataError, match="not an inspect archive, or cut off"):
        read(path)


def test_an_archive_of_a_run_that_did_not_end_is_refused(tmp_path):
    path = tmp_path / "log.eval"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("_journal/start.json", "{}")
    with pytest.raises(DataError, match="its run did not end"):
        read(path)


def test_a_damaged_member_is_named(tmp_path):
    path = tmp_path / "log.eval"
    content = bytearray((DATA / "base.eval").read_bytes())
    with zipfile.ZipFile(DATA / "base.eval") as archive:
        start = archive.getinfo("header.json").header_offset + 60
    content[start : start + 40] = b"\0" * 40
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"header\.json: damaged|cut off"):
        read(path)
