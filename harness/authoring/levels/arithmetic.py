"""Arithmetic: one operation or a few, with drawn numbers."""

import math
from fractions import Fraction

from harness.authoring.levels.families import PLAIN, Family, Probe, result
from harness.authoring.levels.seeded_rows import SeededRow, draws, row

_ROWS: tuple[SeededRow, ...] = (
    row("add-digits", "easy", "What is {a} + {b}?", {"a": range(3, 10), "b": range(3, 10)}, lambda a, b: a + b),
    row("add-tens", "easy", "What is {a} + {b}?", {"a": range(12, 50), "b": range(12, 50)}, lambda a, b: a + b),
    row("subtract-digits", "easy", "What is {a} - {b}?", {"a": range(10, 20), "b": range(2, 9)}, lambda a, b: a - b),
    row("multiply-digits", "easy", "What is {a} times {b}?", {"a": range(3, 10), "b": range(3, 10)}, lambda a, b: a * b),
    row("divide-table", "easy", "What is {c} divided by {b}?", {"a": range(3, 10), "b": range(3, 10)}, lambda a, b: a, c=lambda a, b: a * b),
    row("next-integer", "easy", "Which whole number comes right after {a}?", {"a": range(23, 400)}, lambda a: a + 1),
    row("half", "easy", "What is half of {b}?", {"a": range(6, 45)}, lambda a: a, b=lambda a: 2 * a),
    row("double", "easy", "What is the double of {a}?", {"a": range(11, 50)}, lambda a: 2 * a),
    row("add-hundreds", "medium", "What is {a} + {b}?", {"a": range(123, 900), "b": range(123, 900)}, lambda a, b: a + b),
    row("subtract-hundreds", "medium", "What is {a} - {b}?", {"a": range(500, 999), "b": range(111, 490)}, lambda a, b: a - b),
    row("multiply-tens", "medium", "What is {a} × {b}?", {"a": range(12, 49), "b": range(6, 10)}, lambda a, b: a * b),
    row("divide-tens", "medium", "Divide {c} by {b}.", {"a": range(12, 60), "b": range(4, 10)}, lambda a, b: a, c=lambda a, b: a * b),
    row("percent-round", "medium", "What is {p}% of {a}?", {"p": (10, 20, 25, 50), "a": range(40, 420, 20)}, lambda p, a: p * a // 100),
    row("add-negative", "medium", "What is {a} + (-{b})?", {"a": range(5, 20), "b": range(21, 60)}, lambda a, b: a - b),
    row("order-of-operations", "medium", "What is {a} + {b} × {c}?", {"a": range(3, 30), "b": range(3, 10), "c": range(3, 10)}, lambda a, b, c: a + b * c),
    row("square", "medium", "What is {a} squared?", {"a": range(11, 20)}, lambda a: a * a),
    row("minutes-of-hours", "medium", "How many minutes are {a} hours and {b} minutes?", {"a": range(2, 9), "b": range(5, 56, 5)}, lambda a, b: 60 * a + b),
    row("metres-to-centimetres", "medium", "How many centimetres are {a} metres and {b} centimetres?", {"a": range(2, 9), "b": range(11, 90)}, lambda a, b: 100 * a + b),
    row("sum-of-four", "medium", "What is the sum of {a}, {b}, {c} and {d}?", dict.fromkeys("abcd", range(11, 40)), lambda a, b, c, d: a + b + c + d),
    row("multiply-two-tens", "hard", "What is {a} × {b}?", {"a": range(23, 90), "b": range(23, 90)}, lambda a, b: a * b),
    row("remainder", "hard", "What is the remainder when {a} is divided by {b}?", {"a": range(200, 900), "b": (7, 11, 13, 17)}, lambda a, b: a % b),
    row("greatest-divisor", "hard", "What is the greatest common divisor of {d} and {e}?", {"a": (6, 8, 12, 14, 15), "b": (7, 9, 11), "c": (5, 8, 13)}, lambda a, b, c: a * math.gcd(b, c), d=lambda a, b, c: a * b, e=lambda a, b, c: a * c),
    row("brackets", "hard", "What is ({a} - {b}) × ({c} + {d})?", {"a": range(40, 90), "b": range(11, 38), "c": range(3, 9), "d": range(4, 9)}, lambda a, b, c, d: (a - b) * (c + d)),
    row("power-of-two", "hard", "What is 2 to the power of {a}?", {"a": range(9, 16)}, lambda a: 2**a),
    row("percent-odd", "hard", "What is {p}% of {a}?", {"p": (12, 15, 35, 45, 65), "a": range(200, 900, 100)}, lambda p, a: p * a // 100),
    row("solve-for-x", "hard", "Solve for x: {a}x + {b} = {c}. What is x?", {"a": range(3, 10), "b": range(5, 40), "x": range(4, 20)}, lambda a, b, x: x, c=lambda a, b, x: a * x + b),
    row("fraction-of", "hard", "What is {n}/{d} of {w}?", {"n": (2, 3, 4), "d": (5, 7, 9), "k": range(6, 30)}, lambda n, d, k: int(Fraction(n, d) * d * k), w=lambda n, d, k: d * k),
    row("mean-of-four", "hard", "What is the mean of {a}, {b}, {c} and {d}?", {"a": range(20, 60), "b": range(20, 60), "c": range(20, 60), "m": range(40, 50)}, lambda a, b, c, m: m, d=lambda a, b, c, m: 4 * m - a - b - c),
)  # fmt: skip


def families(seed: int) -> list[Family]:
    """The families of this skill, with their numbers drawn."""
    return [
        Family(
            name=seeded.name,
            skill="arithmetic",
            level=seeded.level,
            tokens=48 if seeded.level == "easy" else 192,
            probes=tuple(_probe(ask, answer) for ask, answer in draws(seeded, seed, 2, is_hidden=True)),
        )
        for seeded in _ROWS
    ]


def _probe(ask: str, answer: int) -> Probe:
    return Probe(
        ask=f"{ask} End with the result.",
        right=f"The result is {answer}.",
        checks=[result(answer), PLAIN],
        wrong=(f"The result is {answer + 1}.", f"It is {answer + 10}."),
    )
