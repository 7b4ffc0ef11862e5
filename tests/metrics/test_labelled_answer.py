"""Labels in answers."""

import pytest

from harness.metrics.labelled_answer import labels_in

LABELS = ["positive", "negative", "very negative"]


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("positive", ["positive"]),
        (" **Positive**.\n", ["positive"]),
        ("The sentiment is negative.", ["negative"]),
        ("It is very  negative!", ["very negative"]),
        ("positive or negative", ["negative", "positive"]),
        ("negative, even very negative", ["very negative", "negative"]),
        ("positively", []),
        ("", []),
        ("neutral", []),
    ],
)
def test_labels_are_read(text, labels):
    assert sorted(labels_in(text, LABELS)) == sorted(labels)


@pytest.mark.parametrize(
    ("text", "value", "labels"),
    [("positive", 1, ("positive", "positive")), ("negative", 0, ("positive", "negative")), ("both", 0, ("positive", "")), ("positive, not negative", 0, ("positive", ""))],
)  # fmt: skip
def test_the_score_has_the_labels(score, text, value, labels):
    found = score("classification", text, "Positive", labels=LABELS)
    assert (found.value, found.labels) == (value, labels)


def test_any_reference_may_be_right(score):
    found = score("classification", "negative", "positive", "negative", labels=LABELS)
    assert (found.value, found.labels) == (1, ("negative", "negative"))
    assert score("classification", "?", value="positive", labels=LABELS).explanation == (
        "the answer '?' names no label; expected positive"
    )


@pytest.mark.parametrize(
    ("text", "labels", "found"),
    [
        ("cafe\u0301", ["caf\u00e9", "the\u0301"], ["caf\u00e9"]),
        ("It is cafe\u0301.", ["caf\u00e9", "cafe"], ["caf\u00e9"]),
        # Scripts without spaces have no word boundaries.
        ("答案是正面。", ["正面", "负面"], ["正面"]),
        ("これは肯定的です", ["肯定的", "否定的"], ["肯定的"]),
        ("คำตอบคือบวก", ["บวก", "ลบ"], ["บวก"]),
        # A vowel sign makes another word.
        ("कि है", ["क", "कि"], ["कि"]),
        ("positively", ["positive", "negative"], []),
    ],
)
def test_labels_are_read_in_any_script_and_composition(text, labels, found):
    assert labels_in(text, labels) == found
