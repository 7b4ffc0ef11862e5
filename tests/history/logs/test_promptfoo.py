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
    assert (second.key, second.messages[0].content) == ("capitals/n=1", "Capital of country 1?")
    assert [first.answers[0].passed, second.answers[0].passed] == [False, True]
    assert (second.answers[0].text, second.answers[0].completion_tokens) == ("It is City1.", 5)
    assert set(second.answers[0].values) == {"score", "near"}


def test_repeats_are_answers_and_prompts_share_a_cluster():
    """``--repeat 2`` writes each test twice, under another number."""
    log = read(DATA / "two.json", "table:tiny-base")
    assert [len(case.answers) for case in log.cases] == [2] * len(log.cases)
    assert {case.id: case.cluster for case in log.cases}["n=1, prompt 2"] == "n=1"


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


def rows_of(facts):
    return facts["results"]["results"]


@pytest.mark.parametrize("reason", [None, 0, 1])
def test_a_provider_s_failure_is_an_error_whatever_the_version_calls_it(tmp_path, reason):
    """A failed check has an error too, but its answer was graded."""

    def change(facts):
        lost, failed = rows_of(facts)[:2]
        for row in (lost, failed):
            row.update(failureReason=reason)
        failed.update(success=False, score=0, error="API error: 500", gradingResult=None)
        failed["response"] = {"error": "API error: 500"}

    lost, failed = (case.answers[0] for case in read(spoiled(tmp_path, change)).cases[:2])
    assert (lost.passed, lost.error) == (False, "")
    assert (failed.error, failed.passed, failed.values) == ("API error: 500", None, {})


def test_tests_have_the_same_names_in_files_with_fewer_or_in_another_order(tmp_path):
    names = {case.messages: case.id for case in read(DATA / "base.json").cases}

    def change(facts):
        del rows_of(facts)[:5]
        rows_of(facts).reverse()

    found = {case.messages: case.id for case in read(spoiled(tmp_path, change)).cases}
    assert len(found) == 11
    assert found.items() <= names.items()


@pytest.mark.parametrize("values", [{"text": "a\nb"}, {"text": "x" * 80}, {"n": 1}, "file://x", None])
def test_a_test_without_a_name_of_its_own_has_a_hash(tmp_path, values):
    def change(facts):
        for number, row in enumerate(rows_of(facts)):
            row.update(vars=values)
            row["testCase"]["assert"] = [{"type": "equals", "value": number}]

    ids = {case.id for case in read(spoiled(tmp_path, change)).cases}
    assert len(ids) == 16
    assert {len(name) for name in ids} == {10}


def test_a_named_score_that_is_a_sum_has_no_scale(tmp_path):
    assert set(read(DATA / "base.json").facts) == {"score", "near"}
    summed = spoiled(tmp_path, lambda facts: rows_of(facts)[0].update(namedScores={"near": 3}))
    assert set(read(summed).facts) == {"score"}


def of_another_column(facts):
    """What two providers without labels write: the same names in another column."""
    rows_of(facts).extend([{**row, "promptIdx": 1, "success": False} for row in rows_of(facts)])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (of_another_column, "two providers are called table:tiny-base: give each a label"),
        (
            lambda facts: rows_of(facts).append(rows_of(facts)[2]),
            "result 17 is the same test and prompt as result 3",
        ),
        (lambda facts: rows_of(facts)[0].update(latencyMs=1e400), "test n=0: latencyMs: inf is not a number"),
        (
            lambda facts: rows_of(facts)[0]["response"].update(tokenUsage={"prompt": -1}),
            "prompt tokens: -1 is below 0",
        ),
        (
            lambda facts: rows_of(facts)[0]["response"].update(tokenUsage={"completion": 10**40}),
            "is too much",
        ),
        (lambda facts: rows_of(facts)[0].update(namedScores=[1]), "result 1 is not as its tool writes it"),
        (lambda facts: rows_of(facts).insert(1, "x"), "result 2: not an object: 'x'"),
        (lambda facts: rows_of(facts)[0].update(provider={}), "'id' is missing"),
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
