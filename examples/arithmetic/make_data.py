"""Makes the word problems: a short story, a question, one whole number as the answer.

    python examples/arithmetic/make_data.py

Writes train.jsonl and held_out.jsonl beside this file. Seeded: the same script always writes the same bytes.
The held-out rows come from stories of their own, so that they ask for arithmetic and not for a remembered
story. The golden set golden/arithmetic.yaml is written by hand and shares no story with either file.
"""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
SEED = 7
TRAIN_ROWS, HELD_OUT_ROWS = 400, 80
INSTRUCTION = "Solve the problem. End with a line like 'Answer: 7'."

NAMES = """
Abel Amara Bruno Celia Chidi Dalia Dario Edith Emeka Freya Gustav Hedda Idris Imani Ilse Jomo Kamal Laila
Lars Mabel Malik Marta Nils Noemi Otto Paloma Pia Rafael Rania Ruth Sami Selma Signe Tariq Tilda Uma Viktor
Wilma Yana Zaid
""".split()  # noqa: SIM905 # a list of words reads better as text
THINGS = """
apples, stickers, marbles, pencils, shells, stamps, cookies, plums, buttons, postcards, beads, walnuts,
balloons, tickets, badges, lemons, tulips, coins, crayons, figs
"""
CONTAINERS = "boxes, bags, baskets, trays, jars, crates, drawers, shelves, envelopes, bowls"


def listed(text: str) -> list[str]:
    """The words of a comma-separated list."""
    return [word.strip() for word in text.split(",")]


@dataclass(frozen=True, slots=True)
class Kind:
    """A way to calculate: how its numbers are drawn, and its steps written out.

    Attributes:
        level: Number of steps.
        draw: Numbers by their letters, and the result as ``r``.
        working: The steps.
    """

    level: int
    draw: Callable[[random.Random], dict[str, int]]
    working: str


def _add(rng: random.Random) -> dict[str, int]:
    a, b = rng.randint(3, 40), rng.randint(2, 30)
    return {"a": a, "b": b, "r": a + b}


def _subtract(rng: random.Random) -> dict[str, int]:
    b, r = rng.randint(2, 25), rng.randint(1, 30)
    return {"a": b + r, "b": b, "r": r}


def _multiply(rng: random.Random) -> dict[str, int]:
    a, b = rng.randint(2, 9), rng.randint(2, 12)
    return {"a": a, "b": b, "r": a * b}


def _divide(rng: random.Random) -> dict[str, int]:
    b, r = rng.randint(2, 9), rng.randint(2, 12)
    return {"a": b * r, "b": b, "r": r}


def _add_subtract(rng: random.Random) -> dict[str, int]:
    a, b = rng.randint(5, 30), rng.randint(3, 20)
    c = rng.randint(2, a + b - 1)
    return {"a": a, "b": b, "c": c, "s": a + b, "r": a + b - c}


def _multiply_add(rng: random.Random) -> dict[str, int]:
    a, b, c = rng.randint(2, 9), rng.randint(2, 9), rng.randint(2, 20)
    return {"a": a, "b": b, "c": c, "s": a * b, "r": a * b + c}


def _multiply_subtract(rng: random.Random) -> dict[str, int]:
    a, b = rng.randint(3, 9), rng.randint(3, 9)
    c = rng.randint(2, a * b - 1)
    return {"a": a, "b": b, "c": c, "s": a * b, "r": a * b - c}


def _subtract_divide(rng: random.Random) -> dict[str, int]:
    c, r, b = rng.randint(2, 8), rng.randint(2, 9), rng.randint(2, 15)
    return {"a": c * r + b, "b": b, "c": c, "s": c * r, "r": r}


def _two_products(rng: random.Random) -> dict[str, int]:
    a, b, c, d = (rng.randint(2, 8) for _ in range(4))
    return {"a": a, "b": b, "c": c, "d": d, "s": a * b, "t": c * d, "r": a * b + c * d}


KINDS: Mapping[str, Kind] = {
    "add": Kind(1, _add, "{a} + {b} = {r}"),
    "subtract": Kind(1, _subtract, "{a} - {b} = {r}"),
    "multiply": Kind(1, _multiply, "{a} * {b} = {r}"),
    "divide": Kind(1, _divide, "{a} / {b} = {r}"),
    "add-subtract": Kind(2, _add_subtract, "{a} + {b} = {s}\n{s} - {c} = {r}"),
    "multiply-add": Kind(2, _multiply_add, "{a} * {b} = {s}\n{s} + {c} = {r}"),
    "multiply-subtract": Kind(2, _multiply_subtract, "{a} * {b} = {s}\n{s} - {c} = {r}"),
    "subtract-divide": Kind(2, _subtract_divide, "{a} - {b} = {s}\n{s} / {c} = {r}"),
    "two-products": Kind(3, _two_products, "{a} * {b} = {s}\n{c} * {d} = {t}\n{s} + {t} = {r}"),
}

TRAIN_STORIES: Mapping[str, Sequence[str]] = {
    "add": (
        "{name} has {a} {things} and gets {b} more. How many {things} does {name} have now?",
        "There are {a} {things} on the table and {b} under it. How many are there altogether?",
        "{name} walked {a} minutes to the station and waited {b} minutes there. How many minutes is that in all?",
        "A class has {a} girls and {b} boys. How many children are in it?",
        "The library lent {a} books on Monday and {b} on Tuesday. How many did it lend on both days?",
        "{name} is {b} years old. {other} is {a} years older. How old is {other}?",
    ),
    "subtract": (
        "{name} had {a} {things} and gave {b} to {other}. How many {things} are left?",
        "A bus carries {a} people. At the market {b} get off. How many stay on the bus?",
        "A rope is {a} metres long. {name} cuts off {b} metres. How many metres remain?",
        "{name} needs {a} {things} and has {b}. How many are missing?",
        "In the morning it was {a} degrees, at night {b} degrees. By how many degrees did it cool down?",
        "Of {a} pages {name} has read {b}. How many pages are still to be read?",
    ),
    "multiply": (
        "There are {a} {containers} with {b} {things} in each. How many {things} are there?",
        "{name} practises {b} minutes a day. How many minutes is that in {a} days?",
        "One ticket costs {b} euros. What do {a} tickets cost, in euros?",
        "A wall has {a} rows of {b} tiles. How many tiles is that?",
        "Each of {a} children brings {b} {things}. How many {things} do they bring together?",
        "A car uses {a} litres for a hundred kilometres. How many litres does it use for {b} hundred kilometres?",
    ),
    "divide": (
        "{name} shares {a} {things} equally among {b} friends. How many does each friend get?",
        "{a} {things} are packed into {b} {containers}, the same number in each. How many are in one?",
        "A ribbon of {a} centimetres is cut into {b} equal pieces. How long is one piece, in centimetres?",
        "{b} equal lamps cost {a} euros together. What does one lamp cost, in euros?",
        "{a} chairs stand in {b} equal rows. How many chairs are in a row?",
        "{name} reads {a} pages in {b} days, the same number each day. How many pages a day is that?",
    ),
    "add-subtract": (
        "{name} has {a} {things}, finds {b} more and loses {c}. How many {things} does {name} have in the end?",
        "A train leaves with {a} people. {b} get on and {c} get off. How many people are on it now?",
        "The shelf held {a} books. {name} added {b} and sold {c}. How many books are on the shelf?",
        "{name} earned {a} euros on Friday and {b} on Saturday, and spent {c}. How many euros are left?",
        "A tank holds {a} litres. Rain adds {b} litres, then {c} litres are used. How many litres are in it?",
    ),
    "multiply-add": (
        "{name} buys {a} {containers} of {b} {things} and has {c} {things} at home. How many {things} is that?",
        "A taxi costs {b} euros a kilometre plus {c} euros. What does a ride of {a} kilometres cost, in euros?",
        "{name} saves {b} euros a week for {a} weeks and gets {c} euros as a gift. How many euros is that?",
        "There are {a} tables with {b} guests each, and {c} guests are standing. How many guests are there?",
        "{name} runs {b} kilometres on each of {a} days and {c} kilometres on Sunday. How many kilometres in all?",
    ),
    "multiply-subtract": (
        "{name} bakes {a} trays of {b} rolls. {c} rolls burn. How many good rolls are there?",
        "A hall has {a} rows of {b} seats. {c} seats are taken. How many seats are free?",
        "{name} buys {a} {containers} of {b} {things} and gives away {c} {things}. How many {things} remain?",
        "{a} workers pack {b} parcels each. {c} parcels are returned. How many parcels are gone for good?",
        "{name} earns {b} euros an hour, works {a} hours and pays {c} euros for the bus. How many euros remain?",
    ),
    "subtract-divide": (
        "{name} has {a} {things}, keeps {b} and shares the rest equally among {c} children. How many does each get?",
        "Of {a} eggs {b} are broken. The others go into {c} equal cartons. How many are in a carton?",
        "A trip costs {a} euros. The school pays {b}, {c} families share the rest equally. What does each pay?",
        "From {a} metres of cloth {name} cuts {b} metres; the rest makes {c} equal flags. How many metres has a flag?",
    ),
    "two-products": (
        "{name} buys {a} pens at {b} euros and {c} notebooks at {d} euros. What is the total, in euros?",
        "There are {a} cars with {b} people each and {c} vans with {d} people each. How many people is that?",
        "{name} plants {a} rows of {b} beans and {c} rows of {d} peas. How many plants is that?",
        "{name} works {b} hours on each of {a} weekdays and {d} hours on each of {c} Saturdays. How many hours?",
    ),
}

HELD_OUT_STORIES: Mapping[str, Sequence[str]] = {
    "add": (
        "A farmer milks {a} cows before breakfast and {b} after it. How many cows are milked?",
        "One choir has {a} singers, the other {b}. They sing together. How many singers is that?",
    ),
    "subtract": (
        "{a} swallows sat on a wire until {b} flew off. How many still sit there?",
        "{name} climbs a tower of {a} steps and rests after {b}. How many steps are left?",
    ),
    "multiply": (
        "A spider's web has {a} rings with {b} drops of dew on each. How many drops are there?",
        "{name} lays {b} stones in every one of {a} circles. How many stones is that?",
    ),
    "divide": (
        "{b} sailors split {a} gold pieces evenly. How many gold pieces does a sailor take?",
        "A film of {a} minutes is shown in {b} parts of one length. How many minutes has a part?",
    ),
    "add-subtract": ("{a} ducks swim in the pond, {b} land beside them, then {c} leave. How many ducks swim?",),
    "multiply-add": ("A choir of {a} rows with {b} singers is joined by {c} soloists. How many sing?",),
    "multiply-subtract": ("Of {a} hives with {b} frames each, {c} frames are empty. How many frames are full?",),
    "subtract-divide": ("{name} roasts {a} chestnuts, eats {b} and fills {c} cones evenly. How many a cone?",),
    "two-products": ("A band sells {a} records for {b} euros and {c} shirts for {d} euros. How many euros come in?",),
}  # fmt: skip


def row(rng: random.Random, stories: Mapping[str, Sequence[str]], kind: str) -> dict[str, str | int]:
    """One problem with its worked solution and the bare answer."""
    numbers = KINDS[kind].draw(rng)
    name, other = rng.sample(NAMES, 2)
    story = rng.choice(stories[kind]).format(
        **numbers,
        name=name,
        other=other,
        things=rng.choice(listed(THINGS)),
        containers=rng.choice(listed(CONTAINERS)),
    )
    return {
        "prompt": f"{INSTRUCTION}\n{story}",
        "completion": f"{KINDS[kind].working.format(**numbers)}\nAnswer: {numbers['r']}",
        "answer": str(numbers["r"]),
        "steps": KINDS[kind].level,
    }


def rows(seed: int, count: int, stories: Mapping[str, Sequence[str]]) -> list[dict[str, str | int]]:
    """Problems of all kinds in turn, mixed; none occurs twice."""
    rng = random.Random(seed)
    made: dict[str | int, dict[str, str | int]] = {}
    kinds = list(KINDS)
    while len(made) < count:
        one = row(rng, stories, kinds[len(made) % len(kinds)])
        made.setdefault(one["prompt"], one)
    mixed = list(made.values())
    rng.shuffle(mixed)
    return mixed


def files() -> dict[str, str]:
    """Content of each file by its name, one JSON object a line."""
    made = {
        "train.jsonl": rows(SEED, TRAIN_ROWS, TRAIN_STORIES),
        "held_out.jsonl": rows(SEED + 1, HELD_OUT_ROWS, HELD_OUT_STORIES),
    }
    return {name: "".join(json.dumps(one) + "\n" for one in content) for name, content in made.items()}


if __name__ == "__main__":
    for _name, _content in files().items():
        (HERE / _name).write_text(_content, encoding="utf-8")
