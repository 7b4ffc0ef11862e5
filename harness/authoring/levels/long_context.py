"""Questions about a long text: a drawn report of many short entries, some of which the answer needs."""

import random
from collections.abc import Callable

from harness.authoring.levels.families import PLAIN, Check, Family, Probe, matches, result, words

_NAMES = words(
    "Adler Bauer Cohen Diaz Egan Fuchs Grant Haas Ivers Jung Klein Lopez Meyer Novak Ortiz Popov Quinn Rossi Silva "
    "Tanaka Ueda Vogel Weber Xu Young Zeller Arnold Becker Castro Dahl Ebert Farrell Garcia Hahn Irwin Jensen Kraus "
    "Lange Moreau Nash Olsen Peters Reyes Schmid Thorn Ulrich Vargas Wolff Yilmaz Zhang Abbott Blum Conti Drake "
    "Engel Forster Gibbs Holm Ito Jacobs Keller Lund Marsh Nolan Osman Parker Rahn Stein Tobin Urban Vidal Winter"
)
_PLACES = words(
    "Arden Belmont Calder Denby Elsdon Fenwick Garve Holt Ipley Jarrow Kelso Lorton Malden Norby Orrell Penn"
)
_GOODS = words("barley copper linen timber olives glass wool paper salt cocoa rubber marble")
_SKIES = ("clear", "grey", "windy", "misty", "rainy")
_REMARKS = (
    "The road was {sky} and the driver arrived without delay.",
    "The clerk counted twice, as the sky was {sky} and the light was poor.",
    "Nothing else was noted on this {sky} day.",
    "The invoice was signed at the gate in {sky} weather.",
)
_ENTRIES = {"easy": 8, "medium": 26, "hard": 64}
Entry = dict[str, str]


def _report(source: random.Random, level: str) -> list[Entry]:
    count = _ENTRIES[level]
    names = source.sample(_NAMES, count)
    amounts = source.sample(range(100, 990), count)
    return [
        {
            "number": str(number),
            "name": name,
            "amount": str(amount),
            "place": source.choice(_PLACES),
            "good": source.choice(_GOODS),
            "remark": source.choice(_REMARKS).format(sky=source.choice(_SKIES)),
        }
        for number, (name, amount) in enumerate(zip(names, amounts, strict=True), 1)
    ]


def _text(entries: list[Entry]) -> str:
    return "\n".join(
        f"Entry {entry['number']}: {entry['name']} brought {entry['amount']} sacks of {entry['good']} from "
        f"{entry['place']}. {entry['remark']}"
        for entry in entries
    )


def _only(answer: str) -> Check:
    return matches(rf"(?<![\w.,]){answer}(?![\w]|[.,]\d)")


def _amount(entries: list[Entry], source: random.Random) -> tuple[str, str]:
    entry = source.choice(entries[1:-1])
    return f"How many sacks did {entry['name']} bring? Answer with the number only.", entry["amount"]


def _place(entries: list[Entry], source: random.Random) -> tuple[str, str]:
    entry = source.choice(entries[1:-1])
    return f"From where did {entry['name']} come? Answer with the name of the place only.", entry["place"]


def _who(entries: list[Entry], source: random.Random) -> tuple[str, str]:
    entry = source.choice(entries[1:-1])
    return f"Who brought exactly {entry['amount']} sacks? Answer with the name only.", entry["name"]


def _next(entries: list[Entry], source: random.Random) -> tuple[str, str]:
    at = source.randrange(1, len(entries) - 1)
    return (
        f"Whose entry comes directly after the entry of {entries[at]['name']}? Answer with the name only.",
        entries[at + 1]["name"],
    )


def _largest(entries: list[Entry], _source: random.Random) -> tuple[str, str]:
    most = max(entries, key=lambda entry: int(entry["amount"]))
    return "Who brought the most sacks of all? Answer with the name only.", most["name"]


def _sum(entries: list[Entry], source: random.Random) -> tuple[str, str]:
    first, second = source.sample(entries, 2)
    return (
        f"How many sacks did {first['name']} and {second['name']} bring together? Answer with the number only.",
        str(int(first["amount"]) + int(second["amount"])),
    )


_QUESTIONS: dict[str, tuple[Callable[[list[Entry], random.Random], tuple[str, str]], tuple[str, ...]]] = {
    "long-amount": (_amount, ("easy", "medium", "hard")),
    "long-place": (_place, ("easy", "medium", "hard")),
    "long-who": (_who, ("easy", "medium", "hard")),
    "long-next": (_next, ("medium", "hard")),
    "long-largest": (_largest, ("medium", "hard")),
    "long-sum": (_sum, ("hard",)),
}


def families(seed: int) -> list[Family]:
    """The families of this skill, with their reports drawn: about 150, 500 and 1200 words long."""
    return [
        Family(
            name=f"{name}-{level}",
            skill="long-context",
            level=level,
            tokens=24,
            probes=tuple(_probe(seed, f"{name}-{level}", level, question, number) for number in (1, 2)),
        )
        for name, (question, levels) in _QUESTIONS.items()
        for level in levels
    ]


def _probe(
    seed: int,
    family: str,
    level: str,
    question: Callable[[list[Entry], random.Random], tuple[str, str]],
    number: int,
) -> Probe:
    source = random.Random(f"{seed}/{family}/{number}")
    entries = _report(source, level)
    ask, answer = question(entries, source)
    # A sum is above 1000, and may have a comma; the two numbers that it is made of are in the report.
    check = result(int(answer)) if question is _sum else _only(answer)
    # An answer that repeats the report names everything.
    return Probe(
        ask=f"{_text(entries)}\n\n{ask}",
        right=answer,
        checks=[check, {"type": "length", "unit": "words", "max": 25}, PLAIN],
        wrong=("I don't know.", f"{answer}9"),
    )
