"""Makes the demo's training file and golden set: an order in plain words, to be extracted as JSON.

    python examples/orders/make_data.py

Writes train.jsonl beside this file and golden_sets/orders.yaml. Seeded: it always writes the same. The golden
set is held out: its sentence patterns, names and items never occur in the training file.
"""

import json
import random
from pathlib import Path

HERE = Path(__file__).parent
SEED = 20
ROWS = 400
INSTRUCTION = "Extract the order as JSON with keys name, city, item, quantity."
NUMBERS = {
    2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight", 9: "nine", 10: "ten",
    11: "eleven", 12: "twelve", 15: "fifteen", 20: "twenty", 24: "24", 30: "thirty", 36: "36", 48: "48", 60: "60",
}  # fmt: skip

TRAIN_NAMES = """
Anna Ben Carla David Elena Felix Grace Henry Irene Jonas Karin Leo Maria Nico Olga Paul Rosa Simon Tara Victor
Wanda Xavier Yusuf Zoe Amir Bianca Cyril Daria Emil Fatima Goran Hanna Ivan Julia Kofi Lena Marco Nadia Oscar
Petra Quentin Rahul Sofia Tomas Ursula Viktor Wei Yara Aisha Boris Chloe Dmitri Esther Farid Gina Hugo Ines
Jakob Kira Liam Mona Noor
""".split()
TRAIN_CITIES = """
Paris London Berlin Madrid Rome Vienna Prague Warsaw Lisbon Athens Dublin Oslo Stockholm Helsinki Copenhagen
Brussels Amsterdam Zurich Budapest Sofia Toronto Boston Chicago Seattle Denver Austin Lima Bogota Quito Havana
Cairo Nairobi Accra Lagos Tunis Mumbai Delhi Hanoi Seoul Osaka Kyoto Manila Jakarta Perth Sydney Auckland
Geneva Milan Naples Porto Seville Lyon Nice Hamburg Munich Krakow Riga Tallinn Vilnius Malmo
""".split()
TRAIN_ITEMS = {
    "kettle": "kettles", "lamp": "lamps", "chair": "chairs", "table": "tables", "mug": "mugs", "plate": "plates",
    "spoon": "spoons", "fork": "forks", "bowl": "bowls", "pillow": "pillows", "blanket": "blankets",
    "towel": "towels", "candle": "candles", "mirror": "mirrors", "clock": "clocks", "basket": "baskets",
    "bucket": "buckets", "ladder": "ladders", "hammer": "hammers", "shovel": "shovels", "rope": "ropes",
    "tent": "tents", "backpack": "backpacks", "helmet": "helmets", "jacket": "jackets", "scarf": "scarves",
    "glove": "gloves", "sock": "socks", "shirt": "shirts", "button": "buttons", "pencil": "pencils",
    "notebook": "notebooks", "stamp": "stamps", "envelope": "envelopes", "ruler": "rulers", "eraser": "erasers",
    "battery": "batteries", "cable": "cables", "charger": "chargers", "keyboard": "keyboards", "mouse pad": "mouse pads",
    "monitor": "monitors", "printer": "printers", "camera": "cameras", "tripod": "tripods", "guitar": "guitars",
    "violin": "violins", "drum": "drums", "flute": "flutes", "puzzle": "puzzles", "kite": "kites", "ball": "balls",
    "bicycle": "bicycles", "tyre": "tyres", "pump": "pumps", "bench": "benches", "brush": "brushes", "box": "boxes",
    "glass": "glasses", "dish": "dishes", "watch": "watches", "knife": "knives", "shelf": "shelves",
    "cherry tree": "cherry trees", "rose bush": "rose bushes", "flower pot": "flower pots", "garden hose": "garden hoses",
    "coffee cup": "coffee cups", "tea bag": "tea bags", "jar": "jars", "bottle": "bottles", "apron": "aprons",
    "napkin": "napkins", "tray": "trays", "vase": "vases", "rug": "rugs", "curtain": "curtains", "screw": "screws",
    "nail": "nails", "hinge": "hinges", "door handle": "door handles", "light bulb": "light bulbs",
}  # fmt: skip
TRAIN_PATTERNS = [
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
    "Yesterday {name} from {city} ordered {count} {items}.",
    "{name} phoned from {city} and asked for {count} {items} at 9 euros each.",
    "{name} from {city} returned 1 lamp and ordered {count} {items}.",
    "On May 3 {name} in {city} ordered {count} {items}.",
    "{name} moved from Cologne to {city} and ordered {count} {items}.",
    "For the shop of {name} in {city} we need {count} {items} by Friday.",
    "{name} asks: are {count} {items} in stock? Deliver them to {city}.",
    "Note: {count} {items}, {name}, {city}.",
    "{city} branch, customer {name}, {count} {items}.",
]

GOLDEN_NAMES = "Bob Alice Martin Priya Stefan Lucia Omar Ingrid Pedro Mei Kwame Astrid".split()
GOLDEN_CITIES = (
    "Cologne Bristol Santiago Marrakesh Bergen Kigali Utrecht Nagoya Graz Valencia Montreal Ghent".split()
)
GOLDEN_ITEMS = {
    "teapot": "teapots", "lantern": "lanterns", "stool": "stools", "umbrella": "umbrellas", "hat": "hats",
    "cushion": "cushions", "wrench": "wrenches", "toothbrush": "toothbrushes", "calendar": "calendars",
    "saucepan": "saucepans", "speaker": "speakers", "doormat": "doormats",
}  # fmt: skip
# Pattern, tags. Each pattern is a cluster: its cases share what makes them hard.
GOLDEN_PATTERNS = [
    ("{name} from {city} would like to order {count} {items}.", ["plain"]),
    ("Our customer {name} in {city} has asked for {count} {items}.", ["plain"]),
    ("Good morning, {name} speaking. Send {count} {items} to {city}, please.", ["plain"]),
    ("{count} {items} go to {name}, {city}.", ["plain"]),
    ("The order of {name}: {count} {items}, to be delivered in {city}.", ["plain"]),
    ("In {city}, {name} is waiting for {count} {items}.", ["plain"]),
    ("{name} needs {count} {items} at the flat in {city}.", ["plain"]),
    ("A parcel of {count} {items} for {city}, addressed to {name}.", ["plain"]),
    ("Writing from {city}: I am {name} and I would take {count} {items}.", ["plain"]),
    ("Please put {name} down for {count} {items}; the address is in {city}.", ["plain"]),
    ("{name} saw them for 15 euros each and ordered {count} {items} to {city}.", ["distractor"]),
    ("{name} from {city} cancelled 2 carpets and took {count} {items} instead.", ["distractor"]),
    ("The invoice of {name}, {city}, number 4711, lists {count} {items}.", ["distractor"]),
    ("{name} flew in from Dakar, lives in {city} and ordered {count} {items}.", ["distractor"]),
    ("Within 3 days {name} in {city} must get {count} {items}.", ["distractor"]),
    ("On June 12 we took an order of {count} {items} from {name} in {city}.", ["distractor"]),
]
PER_PATTERN = 3


def order_json(name: str, city: str, item: str, quantity: int) -> str:
    """The answer that is expected, as compact as the model shall write it."""
    return json.dumps({"name": name, "city": city, "item": item, "quantity": quantity})


def prompt_of(sentence: str) -> str:
    """The instruction and the sentence, as training and golden set both ask."""
    return f"{INSTRUCTION}\n{sentence}"


def training_rows() -> list[dict[str, str]]:
    """The training file's rows, prompt and completion."""
    rng = random.Random(SEED)
    rows: dict[str, dict[str, str]] = {}
    while len(rows) < ROWS:
        item, items = rng.choice(list(TRAIN_ITEMS.items()))
        quantity = rng.choice(list(NUMBERS))
        name, city = rng.choice(TRAIN_NAMES), rng.choice(TRAIN_CITIES)
        count = str(quantity) if rng.random() < 0.65 else NUMBERS[quantity]
        sentence = rng.choice(TRAIN_PATTERNS).format(name=name, city=city, count=count, items=items)
        sentence = sentence[0].upper() + sentence[1:]
        rows[sentence] = {"prompt": prompt_of(sentence), "completion": order_json(name, city, item, quantity)}
    return list(rows.values())


def golden_yaml() -> str:
    """The golden set's text."""
    rng = random.Random(SEED + 1)
    lines = [
        "# yaml-language-server: $schema=schema.json",
        "# Made by examples/orders/make_data.py; the sentences are held out from its training file.",
        "name: orders",
        "description: An order in one plain sentence, extracted as JSON",
        "generation: {max_new_tokens: 48}",
        "defaults:",
        "  checks:",
        "    - type: is-json",
        "      value:",
        "        type: object",
        "        properties: {name: {}, city: {}, item: {}, quantity: {type: integer}}",
        "        required: [name, city, item, quantity]",
        "        additionalProperties: false",
        "    - {type: json-equals}",
        "    - {type: rouge-l}",
        "cases:",
    ]
    for number, (pattern, tags) in enumerate(GOLDEN_PATTERNS, start=1):
        items = rng.sample(list(GOLDEN_ITEMS.items()), PER_PATTERN)
        names, cities = rng.sample(GOLDEN_NAMES, PER_PATTERN), rng.sample(GOLDEN_CITIES, PER_PATTERN)
        for place, ((item, plural), name, city) in enumerate(zip(items, names, cities, strict=True)):
            quantity = rng.choice(list(NUMBERS))
            in_words = place % 3 == 2 and not NUMBERS[quantity].isdigit()
            count = NUMBERS[quantity] if in_words else str(quantity)
            sentence = pattern.format(name=name, city=city, count=count, items=plural)
            sentence = sentence[0].upper() + sentence[1:]
            lines += [
                f"  - id: {name.lower()}-{plural}-{number}",
                "    prompt: |",
                *(f"      {line}" for line in prompt_of(sentence).splitlines()),
                f"    references: ['{order_json(name, city, item, quantity)}']",
                f"    tags: [{', '.join([*tags, *(['number-word'] if in_words else [])])}]",
                f"    cluster: pattern-{number}",
            ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write both files."""
    rows = "".join(json.dumps(row) + "\n" for row in training_rows())
    (HERE / "train.jsonl").write_text(rows, encoding="utf-8")
    golden = HERE.parents[1] / "golden_sets" / "orders.yaml"
    golden.write_text(golden_yaml(), encoding="utf-8")


if __name__ == "__main__":
    main()
