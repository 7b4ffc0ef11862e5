"""Answers in JSON: extracted, sorted, nested; and calls of tools that the question describes."""

import json
from typing import Any

from harness.authoring.levels.families import Family, Probe

_IN_JSON = "Answer with JSON only, no other text."
# Models wrap JSON in a code block; the object counts.
_BLOCK = {"transform": "code-block"}

# Level, name, question, the answers to questions of the family: values for {0}, {1} and so on, and the JSON.
_EXTRACTED: tuple[tuple[str, str, str, tuple[tuple[tuple[str, ...], Any], ...]], ...] = (
    ("easy", "json-name-age", "{0} is {1} years old. Write this as a JSON object with the keys name and age.", ((("Mara", "31"), {"name": "Mara", "age": 31}), (("Tom", "8"), {"name": "Tom", "age": 8}))),
    ("easy", "json-list", "Write these words as a JSON list of strings: {0}, {1}, {2}.", ((("red", "blue", "green"), ["red", "blue", "green"]), (("cat", "dog", "cow"), ["cat", "dog", "cow"]))),
    ("easy", "json-city", "Write a JSON object with the key city. The city is {0}.", ((("Oslo",), {"city": "Oslo"}), (("Lima",), {"city": "Lima"}))),
    ("easy", "json-flag", "The door is {0}. Write a JSON object with the key open, true or false.", ((("open",), {"open": True}), (("closed",), {"open": False}))),
    ("medium", "json-invoice", "{0} bought {1} {2} at {3} dollars each. Write a JSON object with the keys buyer, item, quantity and total.", ((("Ida", "3", "lamps", "20"), {"buyer": "Ida", "item": "lamps", "quantity": 3, "total": 60}), (("Max", "4", "chairs", "50"), {"buyer": "Max", "item": "chairs", "quantity": 4, "total": 200}))),
    ("medium", "json-people", "{0} lives in {1}. {2} lives in {3}. Write a JSON list of objects with the keys name and city.", ((("Ana", "Rome", "Bo", "Oslo"), [{"name": "Ana", "city": "Rome"}, {"name": "Bo", "city": "Oslo"}]), (("Kim", "Bern", "Lu", "Riga"), [{"name": "Kim", "city": "Bern"}, {"name": "Lu", "city": "Riga"}]))),
    ("medium", "json-date", "The meeting is on {0} {1} {2}. Write a JSON object with the integer keys year, month and day.", ((("4", "March", "2024"), {"year": 2024, "month": 3, "day": 4}), (("17", "October", "2023"), {"year": 2023, "month": 10, "day": 17}))),
    ("medium", "json-missing", "{0} left a phone number, {1}, but no email. Write a JSON object with the keys name, phone and email; a missing value is null. The phone is a string.", ((("Eva", "555-0101"), {"name": "Eva", "phone": "555-0101", "email": None}), (("Ron", "555-0177"), {"name": "Ron", "phone": "555-0177", "email": None}))),
    ("medium", "json-sorted", "Write these numbers as a JSON list in ascending order: {0}.", ((("19, 4, 33, 8",), [4, 8, 19, 33]), (("52, 7, 41, 30",), [7, 30, 41, 52]))),
    ("hard", "json-counts", "Count how often each word occurs, and write a JSON object from word to count: {0}.", ((("tea milk tea sugar milk tea",), {"tea": 3, "milk": 2, "sugar": 1}), (("up down up up left down",), {"up": 3, "down": 2, "left": 1}))),
    ("hard", "json-nested", "Order {0}: {1} pens for {2} dollars together and {3} pads for {4} dollars together. Write a JSON object with the keys order (a number) and lines, a list of objects with item, quantity and price (of all pieces together).", ((("71", "2", "6", "5", "20"), {"order": 71, "lines": [{"item": "pens", "quantity": 2, "price": 6}, {"item": "pads", "quantity": 5, "price": 20}]}), (("88", "9", "27", "3", "12"), {"order": 88, "lines": [{"item": "pens", "quantity": 9, "price": 27}, {"item": "pads", "quantity": 3, "price": 12}]}))),
    ("hard", "json-filter", "Items: {0}. Write a JSON list of the names of all items that cost less than 10, in alphabetical order.", ((("soap 4, lamp 25, comb 3, bag 12, brush 7",), ["brush", "comb", "soap"]), (("ink 6, desk 90, clip 1, tape 5, fan 30",), ["clip", "ink", "tape"]))),
    ("hard", "json-group", "{0}. Write a JSON object from each team to the list of its members, in the given order.", ((("Ana: red, Bo: blue, Cy: red, Di: blue",), {"red": ["Ana", "Cy"], "blue": ["Bo", "Di"]}), (("Ed: north, Flo: south, Gus: south, Hal: north",), {"north": ["Ed", "Hal"], "south": ["Flo", "Gus"]}))),
)  # fmt: skip

_CALL = (
    "You can call these functions:\n{functions}\nTo call one, answer with JSON only, such as "
    '{{"name": "function", "arguments": {{"key": "value"}}}}.\n\n{ask}'
)
_WEATHER = "get_weather(city: string)"
_ALARM = "set_alarm(hour: integer, minute: integer)"
_MAIL = "send_mail(to: string, subject: string)"
_CONVERT = "convert(amount: number, from: string, to: string): currencies by their three letters"
_SEARCH = "search_flights(origin: string, destination: string, passengers: integer)"
_LIGHT = "switch_light(room: string, on: boolean)"

# Level, name, functions, and the questions with the name and the arguments of the call.
_CALLS: tuple[tuple[str, str, tuple[str, ...], tuple[tuple[str, str, Any], ...]], ...] = (
    ("easy", "call-weather", (_WEATHER,), (("What is the weather in Oslo?", "get_weather", {"city": "Oslo"}), ("What is the weather in Rome?", "get_weather", {"city": "Rome"}))),
    ("easy", "call-alarm", (_ALARM,), (("Set an alarm for 7:30 in the morning.", "set_alarm", {"hour": 7, "minute": 30}), ("Set an alarm for 6:15 in the morning.", "set_alarm", {"hour": 6, "minute": 15}))),
    ("easy", "call-light", (_LIGHT,), (("Turn on the light in the kitchen.", "switch_light", {"room": "kitchen", "on": True}), ("Turn off the light in the bedroom.", "switch_light", {"room": "bedroom", "on": False}))),
    ("medium", "choose-of-two", (_WEATHER, _ALARM), (("Wake me at 5:45 in the morning.", "set_alarm", {"hour": 5, "minute": 45}), ("Do I need an umbrella in Bergen?", "get_weather", {"city": "Bergen"}))),
    ("medium", "choose-of-four", (_WEATHER, _ALARM, _LIGHT, _CONVERT), (("How many euros (EUR) are 250 US dollars (USD)?", "convert", {"amount": 250, "from": "USD", "to": "EUR"}), ("How many yen (JPY) are 40 Swiss francs (CHF)?", "convert", {"amount": 40, "from": "CHF", "to": "JPY"}))),
    ("medium", "call-afternoon", (_ALARM, _MAIL), (("Set an alarm for half past four in the afternoon, on a 24-hour clock.", "set_alarm", {"hour": 16, "minute": 30}), ("Set an alarm for a quarter past nine in the evening, on a 24-hour clock.", "set_alarm", {"hour": 21, "minute": 15}))),
    ("medium", "call-mail", (_MAIL, _WEATHER), (("Write to ida@example.com with the subject Lunch.", "send_mail", {"to": "ida@example.com", "subject": "Lunch"}), ("Write to tom@example.com with the subject Invoice.", "send_mail", {"to": "tom@example.com", "subject": "Invoice"}))),
    ("hard", "call-flights", (_SEARCH, _WEATHER, _CONVERT), (("My wife, our two children and I want to fly home to Lisbon; we are in Vienna.", "search_flights", {"origin": "Vienna", "destination": "Lisbon", "passengers": 4}), ("I fly from Athens to Dublin together with my brother.", "search_flights", {"origin": "Athens", "destination": "Dublin", "passengers": 2}))),
    ("hard", "call-relative-time", (_ALARM, _LIGHT, _MAIL), (("It is 22:50 now. Wake me in one hour and a half.", "set_alarm", {"hour": 0, "minute": 20}), ("It is 13:35 now. Ring in fifty minutes.", "set_alarm", {"hour": 14, "minute": 25}))),
)  # fmt: skip


def families(_seed: int) -> list[Family]:
    """The families of both skills; nothing is drawn."""
    extracted = [
        Family(
            name=name,
            skill="json",
            level=level,
            tokens=192,
            probes=tuple(
                _json_probe(f"{ask.format(*values)} {_IN_JSON}", answer) for values, answer in cases
            ),
        )
        for level, name, ask, cases in _EXTRACTED
    ]
    called = [
        Family(
            name=name,
            skill="tools",
            level=level,
            tokens=96,
            probes=tuple(_call_probe(functions, ask, called, arguments) for ask, called, arguments in cases),
        )
        for level, name, functions, cases in _CALLS
    ]
    return extracted + called


def _json_probe(ask: str, answer: Any) -> Probe:
    check = {"type": "json-equals", "value": answer, **_BLOCK}
    broken = json.dumps(answer).replace(":", "").replace("[", "")
    return Probe(ask=ask, right=json.dumps(answer), checks=[check], wrong=(broken, "{}", "[]"))


def _call_probe(functions: tuple[str, ...], ask: str, name: str, arguments: Any) -> Probe:
    call = {"name": name, "arguments": arguments}
    return Probe(
        ask=_CALL.format(functions="\n".join(f"- {function}" for function in functions), ask=ask),
        right=json.dumps(call),
        checks=[{"type": "tool-calls", "value": [call], **_BLOCK}],
        wrong=(json.dumps({"name": name, "arguments": {}}), "I will do that."),
    )
