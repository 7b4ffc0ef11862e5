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
    assert sorted(labels_in(text, LABELS)[0]) == sorted(labels)


@pytest.mark.parametrize(
    ("text", "value", "labels"),
    [("positive", 1, ("positive", "positive")), ("negative", 0, ("positive", "negative")), ("both", 0, ("positive", "")), ("positive, not negative", 1, ("positive", "positive")), ("It is not positive, it is negative.", 0, ("positive", "negative")), ("not sure: not negative, positive", 0, ("positive", "")), ("not just negative, positive", 0, ("positive", ""))],
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
    assert labels_in(text, labels)[0] == found


@pytest.mark.parametrize(
    "text",
    [
        "not positive", "It isn't positive.", "not at all positive", "non-positive", "It is never positive", "It is hardly positive", "positive? No.", "Is it positive?", "positive is wrong", "positive isn't right", "It isn't, in my view, positive",
        "positive?", "**Positive?**", "I doubt it is positive", "it would be wrong to say positive", "less than positive", '{"positive": false}', "positive: no",
        "neither positive", "far from positive", "anything but positive", "the opposite of positive", "rather than positive", "nicht positive", "pas positive", "не positive", "no es positive", "不positive", "positiveではない", "positive नहीं",
        "positive değil", "positive or negative", "semi-positive", "positive-ish", "positive/negative", "positive and negative",
    ],
)  # fmt: skip
def test_a_denied_or_doubted_label_is_none(score, text):
    found = score("classification", text, "positive", labels=LABELS)
    assert (found.value, found.labels) == (0, ("positive", ""))


@pytest.mark.parametrize(
    ("text", "labels", "found"),
    [
        ("positive.", LABELS, "positive"), ("_positive_", LABELS, "positive"), ("It is _positive_.", LABELS, "positive"), ("Not sarcastic, so positive", LABELS, "positive"), ("No doubt it is positive", LABELS, "positive"),
        ("The text isn't long. It is positive.", LABELS, "positive"), ("nega\u200btive", LABELS, "negative"), ("ｎegative", LABELS, "negative"), ("No.", ["yes", "no"], "no"), ("The answer is no.", ["yes", "no"], "no"), ("not toxic", ["toxic", "not toxic"], "not toxic"),
        ("It is non-toxic.", ["toxic", "non-toxic"], "non-toxic"), ("-1", ["-1", "1"], "-1"), ("−1", ["-1", "1"], "-1"), ("The label is −1.", ["-1", "1"], "-1"), ("The label is 1.", ["-1", "1"], "1"), ("C++", ["C", "Java"], ""), ("in C#", ["C", "Java"], ""),
        ("1.5", ["1", "2"], ""), ("10:1", ["1", "2"], ""), ("1%", ["1", "2"], ""), ("It is -1", ["0", "1"], ""), ("这是积极的", ["积极", "消极"], "积极"), ("这非常积极", ["积极", "消极"], "积极"), ("这不是积极的", ["积极", "消极"], ""), ("不积极", ["积极", "消极"], ""),
        ("これは肯定的ではない", ["肯定的", "否定的"], ""), ("ไม่บวก", ["บวก", "ลบ"], ""), ("सकारात्मक नहीं है", ["सकारात्मक", "नकारात्मक"], ""), ("यह सकारात्मक है", ["सकारात्मक", "नकारात्मक"], "सकारात्मक"), ("ليس إيجابي", ["إيجابي", "سلبي"], ""), ("very_positive", LABELS, ""),
    ],
)  # fmt: skip
def test_labels_with_signs_in_any_script(score, text, labels, found):
    assert score("classification", text, labels[0], labels=labels).labels[1] == found


@pytest.mark.parametrize(
    "labels",
    [
        ["*a*", "*b*"],
        ["__init__", "init"],
        ["`ls`", "`cd`"],
        ["x²", "x2"],
        ["Ⅳ", "IV"],
        ["C", "C++", "C#"],
        ["１", "２"],
    ],
)
def test_every_label_is_read_as_itself(labels):
    for label in labels:
        for answer in (label, f"The label is {label}."):
            assert labels_in(answer, labels) == ([label], []), answer


@pytest.mark.parametrize("text", ["bug_report", "Bug-Report.", "It is a bug report", "label: bug_report"])
def test_the_words_of_a_label_may_be_joined_otherwise(text):
    assert labels_in(text, ["bug report", "feature request"]) == (["bug report"], [])
    assert labels_in("e-mail", ["e-mail", "e mail"]) == (["e-mail"], [])
