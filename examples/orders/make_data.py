"""Makes the demo's training file: orders in plain words, to be extracted as JSON.

    python examples/orders/make_data.py

Writes train.jsonl beside this file. Seeded: the same script always writes the same bytes. The golden set
golden_sets/orders.yaml is written by hand and held out: none of its names, items and sentence patterns is in
the lists below, which tests/test_shipped_data.py checks.
"""

import json
import random
from pathlib import Path

OUTPUT = Path(__file__).with_name("train.jsonl")
SEED = 20
ROWS = 400

# The golden set asks with the first wording; the others keep the model from learning one fixed string.
INSTRUCTIONS = (
    "Extract the order as JSON with keys name, city, item, quantity.",
    "Write this order as JSON with the keys name, city, item and quantity.",
    "Turn the message into JSON (keys: name, city, item, quantity).",
)
INSTRUCTION_WEIGHTS = (6, 1, 1)

NAMES = """
Aisha Amir Anna Ben Bianca Boris Carla Chloe Cyril Daria David Dmitri Elena Emil Esther Farid Fatima Felix
Gina Goran Grace Hanna Henry Hugo Ines Irene Ivan Jakob Jonas Julia Karin Kira Kofi Lena Leo Liam Marco
Maria Mona Nadia Nico Noor Olga Oscar Paul Petra Quentin Rahul Rosa Simon Tara Tomas Ursula Victor Wanda Wei
Xavier Yara Yusuf Zoe Thabo Leila Hiro Camila Anders Siobhan
""".split()  # noqa: SIM905 # a list of words reads better as text

CITIES = [
    city.strip()
    for city in """
Paris, London, Berlin, Madrid, Rome, Vienna, Prague, Warsaw, Lisbon, Athens, Dublin, Oslo, Stockholm,
Helsinki, Copenhagen, Brussels, Amsterdam, Zurich, Budapest, Bucharest, Toronto, Boston, Chicago, Seattle,
Denver, Austin, New York, Mexico City, Lima, Bogota, Quito, Havana, Buenos Aires, Montevideo, Cairo,
Nairobi, Accra, Lagos, Tunis, Cape Town, Mumbai, Delhi, Colombo, Hanoi, Seoul, Osaka, Kyoto, Manila,
Jakarta, Kuala Lumpur, Perth, Sydney, Auckland, Geneva, Milan, Naples, Porto, Seville, Lyon, Nice, Hamburg,
Munich, Krakow, Riga, Tallinn, Vilnius, Malmo, Istanbul, Tbilisi, Almaty
""".split(",")  # noqa: SIM905 # as above
]

# Singular and plural; the answer names the item in the singular.
ITEMS = {
    "kettle": "kettles", "lamp": "lamps", "chair": "chairs", "table": "tables", "mug": "mugs",
    "plate": "plates", "spoon": "spoons", "fork": "forks", "bowl": "bowls", "pillow": "pillows",
    "blanket": "blankets", "towel": "towels", "candle": "candles", "mirror": "mirrors", "clock": "clocks",
    "basket": "baskets", "bucket": "buckets", "ladder": "ladders", "hammer": "hammers", "shovel": "shovels",
    "rope": "ropes", "tent": "tents", "backpack": "backpacks", "helmet": "helmets", "jacket": "jackets",
    "scarf": "scarves", "glove": "gloves", "sock": "socks", "shirt": "shirts", "button": "buttons",
    "pencil": "pencils", "notebook": "notebooks", "stamp": "stamps", "envelope": "envelopes",
    "ruler": "rulers", "eraser": "erasers", "battery": "batteries", "cable": "cables",
    "charger": "chargers", "keyboard": "keyboards", "mouse pad": "mouse pads", "monitor": "monitors",
    "printer": "printers", "camera": "cameras", "tripod": "tripods", "guitar": "guitars",
    "violin": "violins", "drum": "drums", "flute": "flutes", "puzzle": "puzzles", "kite": "kites",
    "ball": "balls", "bicycle": "bicycles", "tyre": "tyres", "pump": "pumps", "bench": "benches",
    "brush": "brushes", "box": "boxes", "glass": "glasses", "dish": "dishes", "watch": "watches",
    "knife": "knives", "shelf": "shelves", "loaf": "loaves", "tomato": "tomatoes", "peach": "peaches",
    "diary": "diaries", "berry bush": "berry bushes", "cherry tree": "cherry trees",
    "flower pot": "flower pots", "garden hose": "garden hoses", "coffee cup": "coffee cups",
    "tea bag": "tea bags", "jar": "jars", "bottle": "bottles", "apron": "aprons", "napkin": "napkins",
    "tray": "trays", "vase": "vases", "rug": "rugs", "curtain": "curtains", "screw": "screws",
    "nail": "nails", "hinge": "hinges", "door handle": "door handles", "light bulb": "light bulbs",
    "toy car": "toy cars", "tablecloth": "tablecloths",
}  # fmt: skip

# How an amount may be written besides its digits.
WORDS = {
    2: ["two"], 3: ["three"], 4: ["four"], 5: ["five"], 6: ["six", "half a dozen"], 7: ["seven"],
    8: ["eight"], 9: ["nine"], 10: ["ten"], 11: ["eleven"], 12: ["twelve", "a dozen"], 13: ["thirteen"],
    14: ["fourteen"], 15: ["fifteen"], 16: ["sixteen"], 18: ["eighteen"], 20: ["twenty"], 24: ["two dozen"],
    25: ["twenty-five"], 30: ["thirty"], 36: ["three dozen"], 40: ["forty"], 45: ["forty-five"],
    50: ["fifty"], 60: ["sixty"], 75: ["seventy-five"], 100: ["a hundred"],
}  # fmt: skip
SHARE_IN_DIGITS = 0.6

PLAIN = [
    "{name} from {city} ordered {count} {items}.",
    "{name} in {city} wants {count} {items}.",
    "{name}, who lives in {city}, would like {count} {items}.",
    "Please send {count} {items} to {name} in {city}.",
    "{count} {items} for {name} in {city}, please.",
    "We got a call from {name} in {city}: {count} {items}.",
    "Order from {city}: {name} needs {count} {items}.",
    "Hello, this is {name} from {city}. I need {count} {items}.",
    "Hi, {name} here. Can I get {count} {items} delivered to {city}?",
    "Ship {count} {items} to {city}. The customer is {name}.",
    "{name} bought {count} {items} and lives in {city}.",
    "The customer {name} ({city}) asked for {count} {items}.",
    "My name is {name}, I am in {city} and I want to buy {count} {items}.",
    "From {city}, {name} writes that {count} {items} are needed.",
    "Could you deliver {count} {items} to {city}? Thanks, {name}",
    "{name} of {city} has put {count} {items} in the basket.",
    "To {city}: {count} {items}. Name on the parcel: {name}.",
    "Note: {count} {items}, {name}, {city}.",
    "{city} branch, customer {name}, {count} {items}.",
    "{name} asks: are {count} {items} in stock? Deliver them to {city}.",
]
# Further figures, dates, places and goods, which do not belong into the answer.
WITH_DISTRACTOR = [
    "Yesterday at {hour} o'clock {name} from {city} ordered {count} {items}.",
    "{name} phoned from {city} and asked for {count} {items} at {price} euros each.",
    "{name} from {city} returned {other_count} {other_items} and ordered {count} {items}.",
    "On May {day} {name} in {city} ordered {count} {items}.",
    "{name} moved from {other_city} to {city} and ordered {count} {items}.",
    "For the shop of {name} in {city} we need {count} {items} by June {day}.",
    "{name} in {city} paid {price} dollars for {count} {items}.",
    "Order {order}: {count} {items} for {name}, {city}.",
    "{name} wanted {other_items} first, but then took {count} {items}. Send them to {city}.",
    "The truck from {other_city} brings {count} {items} to {name} in {city}.",
    "It is {name} again, still in {city}. This time {count} {items}, room {day}.",
    "{name} (customer since {year}) would like {count} {items} in {city}.",
]


def sentence_and_answer(rng: random.Random) -> tuple[str, str]:
    """One order as a sentence, and the JSON that is expected for it."""
    item, items = rng.choice(list(ITEMS.items()))
    other_items = rng.choice([plural for plural in ITEMS.values() if plural != items])
    city, other_city = rng.sample(CITIES, 2)
    name, quantity = rng.choice(NAMES), rng.choice(list(WORDS))
    count = str(quantity) if rng.random() < SHARE_IN_DIGITS else rng.choice(WORDS[quantity])
    sentence = rng.choice([*PLAIN, *WITH_DISTRACTOR]).format(
        name=name,
        city=city,
        count=count,
        items=items,
        other_city=other_city,
        other_count=rng.randint(2, 9),
        other_items=other_items,
        day=rng.randint(2, 28),
        hour=rng.randint(2, 11),
        price=rng.randint(3, 95),
        order=rng.randint(1000, 9999),
        year=rng.randint(1998, 2024),
    )
    answer = json.dumps({"name": name, "city": city, "item": item, "quantity": quantity})
    return sentence[0].upper() + sentence[1:], answer


def training_rows() -> list[dict[str, str]]:
    """The training file's rows, prompt and completion; no sentence occurs twice."""
    rng = random.Random(SEED)
    rows: dict[str, dict[str, str]] = {}
    while len(rows) < ROWS:
        sentence, answer = sentence_and_answer(rng)
        instruction = rng.choices(INSTRUCTIONS, INSTRUCTION_WEIGHTS)[0]
        rows.setdefault(sentence, {"prompt": f"{instruction}\n{sentence}", "completion": answer})
    return list(rows.values())


def training_text() -> str:
    """The training file's content, one JSON object a line."""
    return "".join(json.dumps(row) + "\n" for row in training_rows())


if __name__ == "__main__":
    OUTPUT.write_text(training_text(), encoding="utf-8")
