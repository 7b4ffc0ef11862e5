"""The option that an answer chooses."""

import pytest

from harness.golden.value_rules import letter_of, lettered
from harness.metrics.multiple_choice import read_choice
from tests.metrics.growth import LongText, grows_as_its_length

CITIES = {"A": "Paris", "B": "London", "C": "New London", "D": "A dog"}


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("B", "B"), ("b", "B"), ("(B)", "B"), ("**B**", "B"), ("B.", "B"), ("B) London", "B"), ("B: London", "B"),
        ("London", "B"), ("LONDON.", "B"), ("New  London", "C"), ("The answer is B", "B"), ("Answer: (C).", "C"),
        ("The answer is B because London is large.", "B"), ("The answer is London.", "B"), ("Option B", "B"),
        ("I choose B.", "B"), (r"$\boxed{B}$", "B"), ("The correct answer is: B. London", "B"),
        ("A) is wrong. The answer is B", "B"), ("Answer: B) London\nParis is in France.", "B"),
        ("The answer is a dog", "D"), ("It is a dog.", "D"), ("The answer is A", "A"),
        # Not clear.
        ("The answer is A dog", "AD"), ("London, not Paris", "B"), ("Not Paris but London", "B"), ("London is wrong. It is Paris", "A"), ("A) Paris\nB) London", "AB"), ("B) Paris", "BA"),
        ("The answer is A. No, the answer is B", "AB"), ("Option A or option B", "AB"),
        ("", ""), ("E", ""), ("I don't know", ""), ("The answer is not A, it's B", "B"), ("a", "A"), ("Berlin", ""),
    ],
)  # fmt: skip
def test_a_choice_is_read(text, letters):
    assert read_choice(text, CITIES)[0] == list(letters)


def test_choices_have_letters():
    assert lettered(["x", "y"]) == {"A": "x", "B": "y"}
    assert lettered({"1": "x", "b": "y"}) == {"1": "x", "B": "y"}
    assert letter_of(" b", {"A": "x", "B": "y"}) == "B"
    assert letter_of("Y", {"A": "x", "B": "y"}) == "B"
    assert letter_of("z", {"A": "x", "B": "y"}) is None


@pytest.mark.parametrize(("text", "value", "value_is"), [("B", "London", 1), ("London", "B", 1), ("A", "B", 0), ("A or B", "B", 0), ("?", "B", 0)])  # fmt: skip
def test_letter_or_text(score, text, value, value_is):
    assert score("multiple-choice", text, value=value, choices=["Paris", "London"]).value == value_is


def test_the_reason_names_the_choice(score):
    result = score("multiple-choice", "A", "B", choices=["Paris", "London"])
    assert result.explanation == "the answer chooses A ('Paris'); expected B ('London')"


def test_accents_are_read_in_either_composition(score):
    assert score("multiple-choice", "e\u0301", value="\u00e9", choices=["\u00e9", "e"]).value == 1
    assert (
        score("multiple-choice", "The answer is the\u0301", "a", choices={"a": "th\u00e9", "b": "cafe"}).value
        == 1
    )


def test_an_option_inside_a_text_without_spaces(score):
    assert score("multiple-choice", "我认为是北京。", "B", choices=["上海", "北京"]).value == 1


@pytest.mark.parametrize(
    "text",
    [
        "It's C.", "Option C", "(c)", "**C**", "C)", "C:", "The answer is: C) Rome", "C – Rome", "C - Rome", r"\boxed{C}", r"$\boxed{\text{C}}$", r"\boxed{C. Rome}", "$C$", "<answer>C</answer>", "Ｃ", "C\u200b",
        "I'd go with C", "I think it's C", "C is correct", "(C) is the right answer", "Answer: **C**", "**Answer:** C", "The final answer is option (C).", "Correct option: C", "My choice: C", "Let me see.\n\nC",
        "答案是C", "答案：C", "正解はC", "정답: C", "Ответ: C", "Die Antwort ist C.", "La réponse est C", "La respuesta es C", "उत्तर: C", "C because Rome is in Italy", "The answer is C, not B", "It isn't A; the answer is C",
        "The best answer is therefore C.", "Without a doubt, the answer is C", "A) and B) are wrong. The answer is C", "C, Rome", "Rome", "The answer is Rome.", "> C", "#### C", "I think C is the correct choice here.", "- C", "Therefore, C.", "So C", "I believe C.", "(C)!",
    ],
)  # fmt: skip
def test_ways_to_say_a_letter(score, text):
    assert score("multiple-choice", text, "C", choices=["Paris", "London", "Rome"]).value == 1


@pytest.mark.parametrize(
    "text",
    [
        "C is wrong", "C is incorrect.", "C) is false", "C isn't right", "not C", "Not C.", "The answer is not C", "The answer isn't C", "It can't be C", "It is not C", "I choose not C", "Option C is wrong", "Option C cannot be right",
        "C or B", "C/B", "B and C", "C, B", "C & A", "The answer is C or B", "The answer is C and B", "The answer is either B or C", "Answer: C, B", "Options B and C", "It's C or maybe B", "C? No.", "C?? Not sure, B?", "The answer is C?", "C?", "(C)?", "Rome?", "So C and B are equal", "so c",
        "Neither", "None of them", "neither B nor C", "It is not Rome", "Not Rome", "Rome is wrong", "Rome isn't it", "anything but Rome", "New Rome", "Rome Airport", "Not Rome, not sure, Paris", "Paris or Rome", "C (Paris)", "C) Paris", "The answer is A. No, the answer is C",
        "A) no\nB) no\nC) yes", "С", "D", "", "vitamin C", "Vitamin C is right for you", "Neither B nor C is correct", "C++", "Don't choose C", "Everyone but C", "答案不是C", "答案是B或C", "L'option C est fausse", "Die Antwort ist nicht C",
    ],
)  # fmt: skip
def test_what_chooses_no_letter_or_two(score, text):
    assert score("multiple-choice", text, "C", choices=["Paris", "London", "Rome"]).value == 0


def test_an_unclear_answer_chooses_no_other_option_either(score):
    for text, is_unclear in (
        ("C or B", True),
        ("Option C is wrong", True),
        ("B", False),
        ("I don't know", False),
    ):
        assert score("multiple-choice", text, "C", choices=["a", "b", "c"]).unclear is is_unclear


@pytest.mark.parametrize(
    "text",
    [
        LongText(" ", 200_000, before="answer is", after="-"),
        LongText("answer ", 30_000),
        LongText("\\boxed{", 30_000),
        LongText("\n", 100_000, before="x", after="y"),
        LongText("A ", 100_000),
        LongText("not a ", 50_000),
        LongText("<", 100_000),
        LongText("(", 100_000),
    ],
    ids=str,
)
def test_long_answers_are_read_in_time(score, text):
    def read(answer):
        score("multiple-choice", answer, "A", choices=["a", "b"])
        score("classification", answer, "a", labels=["a", "b"])

    assert grows_as_its_length(read, text)


@pytest.mark.parametrize(
    "choices",
    [
        *(
            ["$5", "$10"],
            ["x²", "x³"],
            ["x²", "x2"],
            ["`ls`", "`cd`"],
            ["<b>", "<i>"],
            ["½", "¼"],
            ["５", "６"],
        ),
        *(
            ["__init__", "init"],
            ["①", "②"],
            ["\\(x\\)", "\\(y\\)"],
            ["10%", "10"],
            ["-5", "5"],
            ["👍🏽", "👍"],
        ),
        *(
            ["$x^2$", "$x^3$"],
            ["Ⅳ", "IV"],
            ["１０％", "１００％"],
            ["a_b", "a b"],
            ["not Paris", "Paris"],
            ["𝔸", "𝔹"],
        ),
    ],
)
def test_every_option_is_read_as_itself(choices):
    """In its own letters: marks, widths and signs that distinguish it from the others count."""
    named = dict(zip("ABC", choices, strict=False))
    for letter, text in named.items():
        for answer in (text, f"The answer is {text}.", f"{letter}: {text}"):
            assert read_choice(answer, named)[0] == [letter], answer
