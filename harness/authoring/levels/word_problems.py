"""Word problems of one to four steps, with drawn names and numbers."""

from harness.authoring.levels.families import PLAIN, Family, Probe, result, words
from harness.authoring.levels.seeded_rows import SeededRow, draws, row

_WHO = words("Ana Ben Carla David Elif Farid Grace Hugo Ines Jonas Kira Leo Mina Noah Olga Paul")
_THING = words("apples pencils stickers marbles shells cards buttons stamps")
_END = ' Work it out step by step, and end with "Answer:" and the number.'

_ROWS: tuple[SeededRow, ...] = (
    row("gets-more", "easy", "{who} has {a} {thing} and gets {b} more. How many {thing} does {who} have now?", {"who": _WHO, "thing": _THING, "a": range(3, 20), "b": range(2, 9)}, lambda a, b, **_: a + b),
    row("gives-away", "easy", "{who} has {a} {thing} and gives {b} away. How many {thing} are left?", {"who": _WHO, "thing": _THING, "a": range(10, 30), "b": range(2, 9)}, lambda a, b, **_: a - b),
    row("boxes", "easy", "There are {a} boxes with {b} {thing} in each. How many {thing} are there in all?", {"thing": _THING, "a": range(3, 10), "b": range(4, 10)}, lambda a, b, **_: a * b),
    row("share-equally", "easy", "{who} shares {c} {thing} equally among {b} friends. How many does each friend get?", {"who": _WHO, "thing": _THING, "a": range(3, 9), "b": range(3, 7)}, lambda a, b, **_: a, c=lambda a, b, **_: a * b),
    row("age-later", "easy", "{who} is {a} years old. How old will {who} be in {b} years?", {"who": _WHO, "a": range(7, 40), "b": range(3, 9)}, lambda a, b, **_: a + b),
    row("pages-left", "easy", "A book has {a} pages. {who} has read {b} of them. How many pages are left?", {"who": _WHO, "a": range(100, 200, 10), "b": range(20, 90, 10)}, lambda a, b, **_: a - b),
    row("total-of-two", "easy", "{who} walks {a} km in the morning and {b} km in the evening. How many km is that together?", {"who": _WHO, "a": range(2, 9), "b": range(2, 9)}, lambda a, b, **_: a + b),
    row("pay-for-several", "easy", "A ticket costs {a} dollars. What do {b} tickets cost?", {"a": range(4, 13), "b": range(3, 7)}, lambda a, b: a * b),
    row("change-from-note", "medium", "{who} buys {a} notebooks at {b} dollars each and pays with a {c}-dollar note. How much change does {who} get?", {"who": _WHO, "a": range(3, 6), "b": range(3, 8), "c": (50, 100)}, lambda a, b, c, **_: c - a * b),
    row("bought-and-ate", "medium", "{who} buys {a} bags of {b} apples each and eats {c} apples. How many apples are left?", {"who": _WHO, "a": range(3, 8), "b": range(5, 10), "c": range(3, 9)}, lambda a, b, c, **_: a * b - c),
    row("twice-as-many", "medium", "{who} has {a} {thing}. A friend has twice as many. How many {thing} do they have together?", {"who": _WHO, "thing": _THING, "a": range(8, 40)}, lambda a, **_: 3 * a),
    row("drive-distance", "medium", "A train goes {a} km an hour. How far does it go in {b} and a half hours?", {"a": range(60, 140, 20), "b": range(2, 6)}, lambda a, b: a * b + a // 2),
    row("weekly-savings", "medium", "{who} saves {a} dollars a week. A bike costs {c} dollars. After how many weeks can {who} buy it?", {"who": _WHO, "a": range(12, 25), "b": range(6, 15)}, lambda a, b, **_: b, c=lambda a, b, **_: a * b),
    row("seats-left", "medium", "A hall has {a} rows of {b} seats. {c} seats are taken. How many are free?", {"a": range(11, 20), "b": range(8, 15), "c": range(30, 80)}, lambda a, b, c: a * b - c),
    row("eggs-in-boxes", "medium", "A farm collects {c} eggs and packs them into boxes of 6. {b} boxes are sold. How many boxes are left?", {"a": range(15, 40), "b": range(4, 13)}, lambda a, b: a - b, c=lambda a, b: 6 * a),
    row("discount", "medium", "A coat costs {a} dollars. It is reduced by {p} percent. What does it cost now?", {"a": range(60, 300, 20), "p": (10, 20, 25, 50)}, lambda a, p: a - a * p // 100),
    row("two-workers", "medium", "{who} packs {a} parcels an hour, a colleague packs {b}. How many do they pack together in {c} hours?", {"who": _WHO, "a": range(8, 20), "b": range(8, 20), "c": range(3, 8)}, lambda a, b, c, **_: (a + b) * c),
    row("ribbon", "medium", "A ribbon of {c} cm is cut into pieces of {a} cm. How many pieces are there?", {"a": range(12, 26), "b": range(7, 19)}, lambda a, b: b, c=lambda a, b: a * b),
    row("rectangle-garden", "hard", "A garden is {a} m long and {b} m wide. A fence around it costs {c} dollars a metre, and the gate another {d} dollars. What do fence and gate cost together?", {"a": range(12, 30), "b": range(6, 12), "c": range(6, 15), "d": range(40, 100, 5)}, lambda a, b, c, d: 2 * (a + b) * c + d),
    row("meeting-trains", "hard", "Two towns are {d} km apart. A train starts in each towards the other, one at {a} km an hour and one at {b} km an hour. After how many hours do they meet?", {"a": range(50, 90, 10), "b": range(60, 120, 10), "h": range(2, 6)}, lambda a, b, h: h, d=lambda a, b, h: (a + b) * h),
    row("ages-in-ratio", "hard", "{who} is {k} times as old as a cousin. Together they are {s} years old. How old is {who}?", {"who": _WHO, "k": (3, 4, 5), "a": range(5, 13)}, lambda k, a, **_: k * a, s=lambda k, a, **_: (k + 1) * a),
    row("tank-in-and-out", "hard", "A tank holds {c} litres at first. A pipe fills in {a} litres a minute while a leak loses {b} litres a minute. How many litres does it hold after {t} minutes?", {"a": range(14, 30), "b": range(3, 12), "c": range(50, 300, 10), "t": range(12, 40)}, lambda a, b, c, t: c + (a - b) * t),
    row("two-discounts", "hard", "A sofa costs {a} dollars. It is reduced by 20 percent, and then the new price by another 25 percent. What does it cost then?", {"a": range(400, 1600, 100)}, lambda a: a * 6 // 10),
    row("coins", "hard", "{who} has {n} coins, some of 2 dollars and the others of 5 dollars, worth {v} dollars together. How many coins of 5 dollars are there?", {"who": _WHO, "a": range(5, 15), "b": range(4, 13)}, lambda a, b, **_: b, n=lambda a, b, **_: a + b, v=lambda a, b, **_: 2 * a + 5 * b),
    row("average-missing", "hard", "The average of {who}'s four test scores is {m}. Three of them are {a}, {b} and {c}. What is the fourth?", {"who": _WHO, "m": range(74, 84), "a": range(70, 90), "b": range(70, 90), "c": range(70, 90)}, lambda m, a, b, c, **_: 4 * m - a - b - c),
    row("chain-of-sales", "hard", "On Monday a shop sells {a} lamps, on Tuesday three times as many, and on Wednesday {b} fewer than on Tuesday. A lamp brings {c} dollars. How many dollars do the three days bring?", {"a": range(6, 20), "b": range(4, 12), "c": range(11, 30)}, lambda a, b, c: (7 * a - b) * c),
)  # fmt: skip


def families(seed: int) -> list[Family]:
    """The families of this skill, with names and numbers drawn."""
    return [
        Family(
            name=seeded.name,
            skill="word-problems",
            level=seeded.level,
            tokens=256,
            probes=tuple(_probe(ask, answer) for ask, answer in draws(seeded, seed, 2, is_hidden=True)),
        )
        for seeded in _ROWS
    ]


def _probe(ask: str, answer: int) -> Probe:
    return Probe(
        ask=ask + _END,
        right=f"Step by step it comes to this.\nAnswer: {answer}",
        # Not only behind "Answer:": **Answer**, \boxed{13} and "So it is 13." are as right.
        checks=[result(answer), PLAIN],
        wrong=(f"Answer: {answer + 1}", f"Answer: {answer}5", "Answer: I don't know"),
    )
