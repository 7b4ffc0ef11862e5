"""Results that promptfoo wrote."""

import json
from pathlib import Path

import pytest

from harness.errors import DataError
from harness.history.logs.promptfoo import read, recognises

DATA = Path(__file__).parent / "data" / "promptfoo"


def spoiled(tmp_path, change):
    facts = json.loads((DATA / "base.json").read_text())
    change(facts)
    path = tmp_path / "results.json"
    path.write_text(json.dumps(facts))
    assert recognises(path)
    return path


def test_a_test_is_a_case():
    log = read(DATA / "base.json")
    assert (log.tool, log.model, len(log.cases)) == ("promptfoo 0.123.1", "table:tiny-base", 16)
    first, second = log.cases[:2]
    assert (second.key, second.messages[0].content) == ("capitals/1", "Capital of country 1?")
    assert [first.answers[0].passed, second.answers[0].passed] == [False, True]
    assert (second.answers[0].text, second.answers[0].completion_tokens) == ("It is City1.", 5)
    assert set(second.answers[0].values) == {"score", "near"}


def test_repeats_are_answers_and_prompts_share_a_cluster():
    """``--repeat 2`` writes each test twice, under another number."""
    log = read(DATA / "two.json", "table:tiny-base")
    assert [len(case.answers) for case in log.cases] == [2] * len(log.cases)
    assert {case.id: case.cluster for case in log.cases}["1, prompt 2"] == "1"


def test_one_of_several_providers_has_to_be_named():
    with pytest.raises(
        DataError, match=r"2 providers are in it: name one as FILE#NAME \(table:tiny-base, table:tiny-cand\)"
    ):
        read(DATA / "two.json")
    with pytest.raises(DataError, match=r"no provider 'x' is in it"):
        read(DATA / "two.json", "x")


def test_a_test_that_broke_has_no_score(tmp_path):
    def change(facts):
        facts["results"]["results"][1].update(failureReason=2, error="Error: timeout\n  at x")

    answer = read(spoiled(tmp_path, change)).cases[1].answers[0]
    assert (answer.error, answer.passed, answer.values) == ("Error: timeout", None, {})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda facts: facts["results"].update(version=2), "results of version 2; this tunegate reads 3"),
        (lambda facts: facts["results"].pop("results"), "'results' is missing"),
        (lambda facts: facts["results"].update(results=[]), "it has no results"),
        (lambda facts: facts["results"]["results"][3].pop("success"), "'success' is missing"),
    ],
)
def test_another_form_is_refused(tmp_path, change, message):
    with pytest.raises(DataError, match=message):
        read(spoiled(tmp_path, change))


def test_a_cut_file_is_refused_with_its_line(tmp_path):
    path = tmp_path / "results.json"
    path.write_text((DATA / "base.json").read_text()[:5000])
    with pytest.raises(DataError, match=r"results\.json:\d+: "):
        read(path)
