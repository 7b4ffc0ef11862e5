"""ROUGE, its tokenizer, and its evaluate module."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score import tokenizers

from harness.metrics.definition import score_function
from harness.metrics.rouge import WordTokenizer, closest_reference, make_scorer, rouge_module


def rouge(rouge_type: str, prediction: str, *references: str, stem: bool = False) -> tuple[int, Any]:
    return closest_reference(make_scorer(rouge_type, stem), rouge_type, prediction, references)


@pytest.mark.parametrize(
    ("rouge_type", "reference", "prediction", "precision", "recall", "fmeasure"),
    [
        ("rouge1", "testing one two", "testing", 1, 1 / 3, 1 / 2),
        ("rouge2", "testing one two", "testing one", 1, 1 / 2, 2 / 3),
        ("rougeL", "testing one two", "testing one", 1, 2 / 3, 4 / 5),
        ("rougeL", "testing one two", "testing two", 1, 2 / 3, 4 / 5),
        ("rougeLsum", "w1 w2 w3 w4 w5", "w1 w2 w6 w7 w8\nw1 w3 w8 w9 w5", 0.4, 0.8, 8 / 15),
    ],
)
def test_values_of_the_paper_and_of_rouge_scores_own_tests(
    rouge_type: str, reference: str, prediction: str, precision: float, recall: float, fmeasure: float
) -> None:
    _, found = rouge(rouge_type, prediction, reference)

    assert (found.precision, found.recall, found.fmeasure) == pytest.approx((precision, recall, fmeasure))


@given(st.text(alphabet=st.characters(max_codepoint=127)), st.booleans())
def test_ascii_text_is_split_as_rouge_score_splits_it(text: str, stem: bool) -> None:
    assert WordTokenizer(stem).tokenize(text) == tokenizers.DefaultTokenizer(stem).tokenize(text)


@given(st.lists(st.text(alphabet="aeisngd", min_size=1, max_size=6)))
def test_words_are_stemmed_as_rouge_score_stems_them(words: list[str]) -> None:
    text = " ".join(words)

    assert WordTokenizer(stem=True).tokenize(text) == tokenizers.DefaultTokenizer(True).tokenize(text)


def test_letters_of_every_script_are_words() -> None:
    assert WordTokenizer(stem=False).tokenize("Café, Ωmega_1 北京!") == ["café", "ωmega", "1", "北", "京"]


@pytest.mark.parametrize("text", ["北京是中国的首都", "Привет, мир", "naïve café"])
def test_an_answer_in_any_script_scores_one_against_itself(text: str) -> None:
    for rouge_type in ("rouge1", "rouge2", "rougeL", "rougeLsum"):
        assert rouge(rouge_type, text, text)[1].fmeasure == 1


@pytest.mark.parametrize(
    ("answer", "reference", "values"),
    [
        pytest.param("कि", "का", (0, 0, 0), id="a vowel sign makes another word"),
        pytest.param("गाय दूध देती है", "गाय दूध देता है", (3 / 4, 1 / 3, 3 / 4), id="one of four words differs"),
        pytest.param("cafe\u0301 au lait", "café au lait", (1, 1, 1), id="NFD and NFC"),
        pytest.param("resume\u0301", "resume", (0, 0, 0), id="an accent makes another word"),
        pytest.param("𠀀𠀁", "𠀀𠀂", (1 / 2, 0, 1 / 2), id="beyond the basic plane"),
        pytest.param("Yes 👍", "Yes 👎", (1 / 2, 0, 1 / 2), id="emoji"),
        pytest.param("می\u200cخواهم", "میخواهم", (1, 0, 1), id="a joiner"),
    ],
)
def test_marks_compositions_and_signs_of_all_scripts_count(answer: str, reference: str, values) -> None:
    found = [rouge(kind, answer, reference)[1].fmeasure for kind in ("rouge1", "rouge2", "rougeL")]

    assert found == pytest.approx(values)


def test_stemming_is_off_unless_asked_for() -> None:
    assert rouge("rouge1", "running", "runs")[1].fmeasure == 0
    assert rouge("rouge1", "running", "runs", stem=True)[1].fmeasure == 1


@given(*(st.text(alphabet="ab c\n", max_size=30) for _ in range(3)))
def test_values_are_fractions_and_the_closest_reference_counts(answer: str, one: str, other: str) -> None:
    for rouge_type in ("rouge1", "rouge2", "rougeL", "rougeLsum"):
        index, best = rouge(rouge_type, answer, one, other)
        assert 0 <= best.fmeasure <= 1
        assert best.fmeasure == max(rouge(rouge_type, answer, text)[1].fmeasure for text in (one, other))
        assert best == rouge(rouge_type, answer, (one, other)[index])[1]


@pytest.mark.parametrize("check_type", ["rouge-l", "rouge-lsum"])
def test_a_huge_answer_is_refused_by_rouge_l_instead_of_taking_minutes(request_for, check_type: str) -> None:
    with pytest.raises(ValueError, match="an answer of 6000 words against a reference of 5000"):
        score_function(check_type)([request_for(check_type, "a " * 6000, "b", "c " * 5000)])


@pytest.mark.end_to_end
def test_the_evaluate_module_scores_a_batch_without_a_hub() -> None:
    columns = rouge_module().compute(
        predictions=["testing", "one two", ""], references=[["testing one two"], ["x", "one two"], ["a"]]
    )

    assert columns["fmeasure"] == [0.5, 1.0, 0.0]
    assert columns["reference"] == [0, 1, 0]


@pytest.mark.end_to_end
def test_a_check_scores_through_the_module_with_each_requests_own_options(request_for) -> None:
    requests = [
        request_for("rouge-1", "running", "runs"),
        request_for("rouge-1", "running", "runs", stem=True),
        request_for("rouge-1", "runs", "runs"),
    ]
    results = score_function("rouge-1")(requests)

    assert [result.value for result in results] == [0, 1, 1]
    assert results[2].explanation == "precision 1.00, recall 1.00 against 'runs'"


def test_half_a_character_in_an_answer_changes_nothing_else(score: Any) -> None:
    assert score("rouge-l", "Paris \ud800 is", "Paris is").value == 1.0
