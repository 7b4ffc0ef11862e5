"""Small conclusions: orders, dates, sequences, implications; with drawn values."""

import re

from harness.authoring.levels.families import (
    PLAIN,
    Check,
    Family,
    Probe,
    first_of,
    matches,
    result,
    words,
    yes_or_no,
)
from harness.authoring.levels.seeded_rows import SeededRow, draws, row

_A = words("Ana Carla Elif Grace")
_B = words("Ben David Farid Hugo")
_C = words("Ines Kira Mina Olga")
_D = words("Jonas Leo Noah Paul")
_DAYS = words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
_MONTHS = words("January February March April May June July August September October November December")
_BEASTS = words("blips wugs tovas zins")
_KINDS = words("drells snarfs plonks morts")

_ROWS: tuple[SeededRow, ...] = (
    row("taller-of-two", "easy", "{b} is smaller than {a}. Who is taller, {b} or {a}? Answer with the name only.", {"a": _A, "b": _B}, lambda a, b: a),
    row("day-after", "easy", "Today is {d}. Which day is tomorrow? Answer with the day only.", {"n": range(7)}, lambda n: _DAYS[(n + 1) % 7], d=lambda n: _DAYS[n]),
    row("larger-number", "easy", "Which number is larger, {a} or {b}? Answer with the number only.", {"a": range(100, 500), "b": range(500, 999)}, lambda a, b: b),
    row("count-by", "easy", "Which number comes next: {a}, {b}, {c}? Answer with the number only.", {"s": range(2, 20), "k": (2, 3, 5, 10)}, lambda s, k: s + 3 * k, a=lambda s, k: s, b=lambda s, k: s + k, c=lambda s, k: s + 2 * k),
    row("odd-one-out", "easy", "Which word does not belong with the others: {a}, {b}, {c}? Answer with the word only.", {"a": words("apple pear plum"), "b": words("cherry grape lemon"), "c": words("hammer train shirt")}, lambda a, b, c: c),
    row("order-of-three", "medium", "{a} is older than {b}, and {b} is older than {c}. Who is the youngest? Answer with the name only.", {"a": _A, "b": _B, "c": _C}, lambda a, b, c: c),
    row("day-in-days", "medium", "Today is {d}. Which day of the week is it in {k} days? Answer with the day only.", {"n": range(7), "k": range(8, 13)}, lambda n, k: _DAYS[(n + k) % 7], d=lambda n, k: _DAYS[n]),
    row("month-before", "medium", "Which month is {k} months before {m}? Answer with the month only.", {"n": range(12), "k": (2, 3, 4)}, lambda n, k: _MONTHS[(n - k) % 12], m=lambda n, k: _MONTHS[n]),
    row("doubling", "medium", "Which number comes next: {a}, {b}, {c}, {d}? Answer with the number only.", {"s": (3, 5, 7, 9, 11)}, lambda s: 16 * s, a=lambda s: s, b=lambda s: 2 * s, c=lambda s: 4 * s, d=lambda s: 8 * s),
    row("syllogism", "medium", "Rex is one of the {x}. {k} {x} are {y}. Is Rex one of the {y}? Answer yes or no only.", {"x": _BEASTS, "y": _KINDS, "k": ("No", "All")}, lambda x, y, k: "No" if k == "No" else "Yes"),
    row("letters-of", "medium", "What is the third letter of the word {w}? Answer with the letter only.", {"w": words("window marble garden pocket silver basket")}, lambda w: w[2].upper()),
    row("race", "hard", "In a race {a} finishes before {b}, {c} finishes after {b}, and {d} finishes before {a}. Who is third? Answer with the name only.", {"a": _A, "b": _B, "c": _C, "d": _D}, lambda a, b, c, d: b),
    row("squares-plus", "hard", "Which number comes next: {a}, {b}, {c}, {d}? Answer with the number only.", {"k": range(2, 9)}, lambda k: 36 + k, a=lambda k: 4 + k, b=lambda k: 9 + k, c=lambda k: 16 + k, d=lambda k: 25 + k),
    row("cups", "hard", "A coin is under the middle one of three cups. I swap the left and the middle cup, then the middle and the right cup{tail}. Under which cup is the coin: left, middle or right? Answer with one word.", {"t": (0, 1)}, lambda t: ("left", "right")[t], tail=lambda t: ("", ", then the right and the left cup")[t]),
    row("date-after", "hard", "Which date is {k} days after {d} April? Answer with day and month only.", {"d": range(20, 29), "k": range(12, 20)}, lambda d, k: f"{d + k - 30} May"),
    row("reverse-word", "hard", "Write the word {w} backwards. Answer with the reversed word only.", {"w": words("planet bridge forest candle mirror")}, lambda w: w[::-1]),
)  # fmt: skip


# Numbers that go on: a model may write the whole sequence, so the last one counts.
_SEQUENCES = frozenset({"count-by", "doubling", "squares-plus"})
# What else might be said to the questions of a family, as patterns.
_OTHERS = {
    "day-after": _DAYS,
    "day-in-days": _DAYS,
    "month-before": _MONTHS,
    "larger-number": (r"\d+",),
    "cups": ("left", "middle", "right"),
    "letters-of": ("(?<!['’])[b-hj-z]",),
    **dict.fromkeys(("taller-of-two", "order-of-three", "race"), (*_A, *_B, *_C, *_D)),
    "odd-one-out": words("apple pear plum cherry grape lemon"),
}


def families(seed: int) -> list[Family]:
    """The families of this skill, with their values drawn."""
    return [
        Family(
            name=seeded.name,
            skill="reasoning",
            level=seeded.level,
            tokens=32,
            probes=tuple(_probe(seeded.name, ask, answer) for ask, answer in draws(seeded, seed, 2)),
        )
        for seeded in _ROWS
    ]


def _probe(family: str, ask: str, answer: str | int) -> Probe:
    return Probe(
        ask=ask,
        right=f"{answer}.",
        checks=[_check(family, ask, answer), PLAIN],
        wrong=("I don't know.", f"x{answer}"),
    )


def _check(family: str, ask: str, answer: str | int) -> Check:
    """A sentence may surround the answer, but another of the names in question doesn't come first."""
    if isinstance(answer, int) and family in _SEQUENCES:
        return result(answer)
    if family == "syllogism":
        return yes_or_no(str(answer))
    if family == "date-after":
        day, month = str(answer).split()
        ordinal = rf"{day}(?:st|nd|rd|th)?"
        return matches(rf"\b(?:{ordinal}(?: of)? {month}|{month}(?: the)? {ordinal})\b")
    others = _OTHERS.get(family, ())
    if not re.search(rf"\b{answer}\b", ask):
        # A sentence may begin with what the question names, such as today.
        others = tuple(other for other in others if not re.search(rf"\b{other}\b", ask))
    return first_of(str(answer), others)
