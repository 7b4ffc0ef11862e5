"""GLEU and METEOR."""

import pytest
from nltk.translate.gleu_score import sentence_gleu


def test_gleu_of_a_worked_example(score):
    """Of the answer's 5+4+3+2 n-grams, 5+3+2+1 are among the reference's 6+5+4+3."""
    found = score("gleu", "the cat sat on mat", "the cat sat on the mat")
    assert found.value == pytest.approx(11 / 18)
    assert found.value == sentence_gleu([[*"ABCDAE"]], [*"ABCDE"])


def test_meteor_of_a_worked_example(score):
    """Five of six words match in two chunks: F = 10PR/(R+9P), penalty 0.5 (2/5)^3."""
    precision, recall = 5 / 5, 5 / 6
    mean = precision * recall / (0.9 * precision + 0.1 * recall)
    assert score("meteor", "a cat sat on mat", "a cat sat on the mat").value == pytest.approx(
        mean * (1 - 0.5 * (2 / 5) ** 3)
    )


def test_meteor_matches_stems_but_no_synonyms(score):
    assert score("meteor", "walked", "walking").value == 0.5
    assert score("meteor", "car", "automobile").value == 0


@pytest.mark.parametrize("name", ["gleu", "meteor"])
@pytest.mark.parametrize(
    ("text", "reference", "least", "most"),
    [
        ("", "a b", 0, 0),
        ("!?", "a b", 0, 0),
        ("x y", "a b", 0, 0),
        ("The cat sat down.", "the cat sat down", 0.99, 1),
        ("नमस्ते दुनिया से", "नमस्ते दुनिया से", 0.98, 1),
        ("北京是首都", "北京是首都", 0.99, 1),
        ("cafe\u0301 au lait ici", "café au lait ici", 0.99, 1),
    ],
)
def test_odd_texts(score, name, text, reference, least, most):
    assert least <= score(name, text, reference).value <= most


@pytest.mark.parametrize("name", ["gleu", "meteor"])
def test_the_closest_reference_counts(score, name):
    both = score(name, "a b c d", "x y", "a b c d")
    assert both.value == score(name, "a b c d", "a b c d").value
    assert both.explanation == "closest to 'a b c d'"
