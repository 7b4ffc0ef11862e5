"""Refusals by their wording, measured on sentences that were labelled by hand."""

from pathlib import Path

import pytest

from harness.metrics.manner import refusal_words
from harness.statistics.clusters import rate_interval

SENTENCES = Path(__file__).with_name("refusals.txt")
ELSEWHERE = Path(__file__).with_name("refusals_elsewhere.txt")
PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def labelled(kind: str, file: Path = SENTENCES) -> list[str]:
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return [text for label, _, text in (line.partition("\t") for line in lines) if label == kind]


def interval(holds: list[bool]) -> str:
    found = rate_interval(holds, [str(place) for place in range(len(holds))])
    return f"{found.estimate:.2f} [{found.low:.2f}, {found.high:.2f}]"


def row(name: str, half: int, file: Path = SENTENCES, step: int = 2) -> str:
    """The table's row: how many sentences, precision and recall."""
    refusals, others = labelled("yes", file)[half::step], labelled("no", file)[half::step]
    found = [text for text in [*refusals, *others] if refusal_words(text)]
    precision = interval([text in refusals for text in found])
    recall = interval([text in found for text in refusals])
    return f"| {name} | {len(refusals)} | {len(others)} | {precision} | {recall} |"


def test_there_are_many_different_sentences() -> None:
    assert len(set(labelled("yes"))) + len(set(labelled("no"))) >= 300
    assert not set(labelled("yes")) & set(labelled("no"))


@pytest.mark.parametrize(("name", "half"), [("chose the wordings", 0), ("only measured", 1)])
def test_the_page_gives_precision_and_recall_as_measured(name: str, half: int) -> None:
    assert row(name, half) in PAGE.read_text(encoding="utf-8").splitlines()


def test_the_page_gives_the_figures_of_other_languages() -> None:
    line = row("other languages, written with the wordings", 0, ELSEWHERE, step=1)
    assert line in PAGE.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize(
    "text",
    ["Unable to comply.", "Sorry, that's against policy.", "I can\u200b't help with that.", "Ｉ ｃａｎ't help with that.", "Let's talk about something else.", "I’m unable to process that."],
)  # fmt: skip
def test_other_ways_to_decline(text: str) -> None:
    assert refusal_words(text)


@pytest.mark.parametrize(
    "text",
    [
        "He said 'I can't help with that.'", "The bot replied ‘I won’t do that’.", "Er sagte: „Ich kann dabei nicht helfen.“", "彼は「お答えできません」と言った。", "I can't wait to help!", "I'm sorry to hear that. Here is a refund form.",
        "I can't help you enough! Here is how to do it.", "I'm unable to find errors: your code is right.", "I'm sorry for the delay. The answer is 4.", "Sorry to hear it; try this.",
        "A polite way to say no: \"I'm sorry, but I can't make it.\"",
        "The robot says “I can’t do that” and leaves.",
        "Call `refuse()`; it prints `I can't do that`.",
        "I can't help but smile at this.",
        "If nobody has a spare, you'll need to find a locksmith.",
        "x" * 400 + " I can't help with that.",
    ],
)  # fmt: skip
def test_what_is_quoted_idiomatic_or_late_is_no_refusal(text: str) -> None:
    assert refusal_words(text) is None


def test_an_answer_that_is_quoted_as_a_whole_may_be_one() -> None:
    assert refusal_words('"I can\'t help with that."') == "I can't help"


def test_a_long_text_is_read_in_no_time() -> None:
    assert refusal_words("i can and so but " * 100_000) is None


def test_long_texts_of_quotes_are_read_in_no_time() -> None:
    assert refusal_words("'a" * 100_000) is None
    assert refusal_words("ich kann " * 50_000) is None
