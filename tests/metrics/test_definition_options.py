"""Every further key of every check does something: two values, two scores of the same answer."""

import json
from pathlib import Path

import pytest

from harness.golden.schema import CHECK_TYPES
from harness.metrics.definition import ScoringRequest, score_function
from harness.types import Completion, Permissions

SUM = {"a": 1.5, "b": 2}
CALL = '<tool_call>{"name": "look", "arguments": {"at": "%s"}}</tool_call>'
LOOK, BOTH = [{"name": "look", "arguments": {"at": at}} for at in "ab"], CALL % "b" + "\n" + CALL % "a"
SLOW = "import time\ntime.sleep(1.5)\nx = 1"
LARGE = "x = len(bytearray(300 * 1024 ** 2)) // (300 * 1024 ** 2)"
SPOKEN = Completion(text="yes", stop_reason="stop", prompt_tokens=100, completion_tokens=10, latency_s=0.1)
# The check, the key, its two values, the answer, references or the check's value, and its other keys.
ROWS = [
    ("regex", "ignore_case", (False, True), "PARIS", {"value": "paris"}, {}),
    ("json-equals", "ignore", ([], ["b"]), '{"a": 1.5, "b": 3}', {"value": SUM}, {}),
    ("json-equals", "tolerance", (0.0, 0.2), '{"a": 1.6, "b": 2}', {"value": SUM}, {}),
    ("json-path", "path", ("$.a", "$.b"), json.dumps(SUM), {"value": 2}, {}),
    ("json-path", "tolerance", (0.0, 0.2), '{"a": 1.6}', {"value": 1.5}, {"path": "$.a"}),
    ("length", "min", (3, 9), "Paris", {}, {}),
    ("length", "max", (3, 9), "Paris", {}, {}),
    ("length", "unit", ("characters", "words"), "It is Paris.", {}, {"max": 5}),
    ("repetition", "ngram", (1, 4), "so so so good today", {}, {}),
    ("exact-match", "ignore_case", (False, True), "PARIS", {"references": ["Paris"]}, {}),
    ("exact-match", "ignore_space", (False, True), "New York", {"references": ["NewYork"]}, {}),
    ("exact-match", "numbers", (False, True), "4.0", {"references": ["4"]}, {}),
    *[
        (f"rouge-{kind}", "stem", (False, True), "he runs fast", {"references": ["he run fast"]}, {})
        for kind in ("1", "2", "l", "lsum")
    ],
    ("is-sql", "dialect", ("mysql", "postgres"), "SELECT `a` FROM t", {}, {}),
    ("is-sql", "statements", (["select"], ["insert"]), "SELECT a FROM t", {}, {}),
    ("is-sql", "tables", (["t"], ["u"]), "SELECT a FROM t", {}, {}),
    ("numeric", "tolerance", (0.0, 1.0), "It is 41.", {"value": 42}, {}),
    ("numeric", "relative", (0.0, 0.1), "It is 41.", {"value": 42}, {}),
    ("numeric", "pick", ("first", "last"), "41 at first, 42 later", {"value": 42}, {}),
    ("numeric", "decimal", (".", ","), "1,5", {"value": 1.5}, {}),
    (
        "multiple-choice",
        "choices",
        ({"A": "Rome", "B": "Paris"}, {"A": "Paris", "B": "Rome"}),
        "Paris",
        {"value": "B"},
        {},
    ),
    (
        "classification",
        "labels",
        (["good", "bad"], ["good", "very good"]),
        "very good",
        {"references": ["good"]},
        {},
    ),
    ("code", "timeout", (0.5, 20.0), SLOW, {"value": "assert x == 1"}, {}),
    ("code", "memory", (128, 2048), LARGE, {"value": "assert x == 1"}, {}),
    ("tool-calls", "ordered", (False, True), BOTH, {"value": LOOK}, {}),
    ("tool-calls", "others", (False, True), BOTH, {"value": LOOK[:1]}, {}),
    ("cost", "prompt_price", (1.0, 2.0), "yes", {}, {}),
    ("cost", "completion_price", (1.0, 2.0), "yes", {}, {}),
]
# What loads a model or asks a judge, and members of groups, with the file that tests it.
ELSEWHERE = {
    ("bertscore", "model"): "test_bertscore.py",
    ("bertscore", "layer"): "test_bertscore.py",
    ("similar", "model"): "test_similar.py",
    ("answer-relevancy", "model"): "test_rag.py",
    ("answer-relevancy", "questions"): "test_rag.py",
    ("python", "path"): "test_python_checks.py",
    ("python", "timeout"): "test_python_checks.py",
    ("any-of", "checks"): "test_definition_groups.py",
    ("all-of", "checks"): "test_definition_groups.py",
    ("choice-likelihood", "choices"): "test_choice_likelihood.py",
    ("choice-likelihood", "normalise"): "test_choice_likelihood.py",
    **{
        (name, "template"): "test_judged.py"
        for name in ("llm-rubric", "llm-reference", "factuality", "tone", "pairwise")
    },
}


def test_every_key_is_in_one_of_the_tables():
    keys = {(name, key) for name, kind in CHECK_TYPES.items() for key in kind.options.model_fields}
    assert keys == {(row[0], row[1]) for row in ROWS} | set(ELSEWHERE)
    for (check, _), name in ELSEWHERE.items():
        (file,) = Path(__file__).parents[1].rglob(name)
        assert check in file.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("check", "key", "values", "answer", "given", "others"), ROWS, ids=[f"{r[0]}-{r[1]}" for r in ROWS]
)
def test_two_values_give_two_scores(request_for, check, key, values, answer, given, others):
    references, value = given.get("references", ()), given.get("value")
    scores = []
    for each in values:
        options = CHECK_TYPES[check].options(**{**others, key: each}).model_dump()
        request = request_for(check, answer, *references, value=value, **options)
        request = ScoringRequest(
            case=request.case,
            check=request.check,
            text=answer,
            completion=SPOKEN,
            allowed=Permissions(code=True),
        )
        (result,) = score_function(check)([request])
        scores.append(getattr(result, "value", result))
    assert scores[0] != scores[1], scores
    assert all(isinstance(each, float) for each in scores), scores
