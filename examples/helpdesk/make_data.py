"""Makes the help desk's data: training and held-out rows of three tasks, and their golden sets.

    python examples/helpdesk/make_data.py

Every sentence pattern was written by hand. Held-out rows and golden cases use patterns, names, places and
devices of their own, besides those of training: a head that learnt the patterns by heart doesn't get far.
Seeded: the same script always gives the same bytes.
"""

import json
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SEED = 11
TRAINED, HELD_OUT, GOLDEN = 300, 100, 80
# Key of a row's pattern, which is the cluster of a golden case and no part of a data file.
PATTERN = "pattern"

# Each list is split: the part before the bar is for training, the part after it for held-out rows and golden
# cases.
FIRST = "Mira Jonas Aiko Pedro Salma Henrik Lucia Tomas Nadia Oskar Freya Ivan | Beatriz Kofi Ingrid Rashid Elena Malik"
LAST = "Olsen Becker Tanaka Alvarez Haddad Lund Ferrari Novak Petrova Berg Quinn Moreau | Castro Mensah Dahl Karimi Rossi Osei"
PLACES = "Bergen Leipzig Porto Gdansk Utrecht Tampere Lyon Brno Malmo Cork | Turin Aarhus Seville Ghent Riga"
DEVICES = (
    "laptop, printer, docking station, headset, monitor, label printer, tablet, phone, projector, card reader, keyboard "
    "| webcam, scanner, desk phone, badge reader, charger"
)
DATES = (
    "Monday, Tuesday, Friday, Thursday, 3 March, 14 May, 28 June, the 9th of April, 11 January, 2 October "
    "| Wednesday, 17 August, 30 November, the 21st of July"
)
APPS = "payroll, the ticket portal, the wiki, email, the calendar, the time sheet | the travel portal, the intranet, the booking tool"

INTENTS = {
    "reset-password": (
        "I forgot my password for {app}. | Please reset my password, I can't get into {app}. | My password for {app} expired "
        "over the weekend. | How do I choose a new password? | It says wrong password every time I try {app}. | Could you send "
        "me a reset link for {app}? | New phone, and now my old password for {app} is refused. | Password reset please, {name}.",
        "None of the passwords I remember work in {app}. | I need to set a fresh password for {app} today. | The system wants "
        "a new password and rejects all of mine. | Please clear {name}'s password so that a new one can be set.",
    ),
    "unlock-account": (
        "My account is locked after too many attempts. | Please unlock {name}'s account. | I am locked out of {app}. | It says "
        "my account has been blocked. | Account disabled, please open it again for {name}. | After holidays my user was locked. "
        "| Can you lift the lock on my account in {app}? | {name} is locked out since {date}.",
        "{app} tells me that my user is blocked. | Please lift the block on {name}'s user. | I was away for a month and now the "
        "account is locked. | Too many wrong tries: I am shut out of {app}.",
    ),
    "order-hardware": (
        "I need a new {device} for my desk in {place}. | Please order a {device} for {name}. | Can we get a second {device} for "
        "the team? | {name} starts on {date} and needs a {device}. | I would like to request a {device}. | The meeting room in "
        "{place} needs a {device}. | Could you buy a {device} for {name}? | One {device} for the office in {place}, please.",
        "Our new colleague {name} has no {device} yet, please order one. | We would like another {device} in {place}. | May I "
        "have a {device} for working at home? | Please get a {device} for the front desk in {place}.",
    ),
    "broken-hardware": (
        "My {device} doesn't turn on any more. | The {device} in {place} is broken. | My {device} shows black stripes. | The "
        "{device} makes a grinding noise. | I dropped my {device} and now it is dead. | {name}'s {device} stopped working on "
        "{date}. | The {device} keeps switching itself off. | Since {date} the {device} does not react.",
        "Smoke came out of the {device} in {place}. | The {device} fell down and has a crack. | My {device} is dead since this "
        "morning. | {name}'s {device} won't start.",
    ),
    "network-problem": (
        "The wifi in {place} is down. | No network at my desk since {date}. | The VPN drops every few minutes. | Internet is very "
        "slow in {place}. | I can't connect to the VPN from home. | My {device} finds no wireless network. | The connection to "
        "{place} breaks off all the time. | Nobody on the second floor in {place} gets online.",
        "We are all offline in {place}. | The VPN client connects and then hangs. | Video calls freeze because the line in "
        "{place} is slow. | My {device} loses the wifi every hour.",
    ),
    "access-request": (
        "Please give me access to {app}. | {name} needs rights for {app} from {date}. | I can't see the team folder, please add "
        "me. | Can you add {name} to the group for {app}? | I need read access to the finance folder. | Please grant {name} "
        "permission for {app}. | Could I be added to {app} for the audit? | Access to {app} for our intern {name}, please.",
        "{name} should be able to open {app} too. | Please put me on the list of people who may use {app}. | Permission to the "
        "shared drive in {place}, please. | May {name} get rights for {app} until {date}?",
    ),
    "install-software": (
        "Please install the drawing program on my {device}. | I need the new version of the editor. | Can you put the "
        "statistics package on {name}'s {device}? | The update of the browser fails to install. | Could I get the PDF tool "
        "installed? | Please roll out the scanner software in {place}. | I am not allowed to install the plugin myself. | "
        "{name} needs the design software by {date}.",
        "Could someone set up the translation program on my {device}? | Please add the chat program to {name}'s {device}. | I "
        "need the tax software installed by {date}. | The installer asks for an administrator.",
    ),
    "ticket-status": (
        "What is happening with my ticket? | Any news on the request from {date}? | I reported this on {date} and heard "
        "nothing. | When will my {device} arrive? | Is somebody working on {name}'s request? | Please tell me the status of my "
        "order. | How long until the ticket is closed? | {name} is still waiting for an answer since {date}.",
        "Has anyone looked at what I sent on {date}? | Where does my request stand? | I am still waiting for the {device} that "
        "was ordered. | Can you tell {name} how far the ticket is?",
    ),
}  # fmt: skip

SENTENCES = (
    "Please send the {device} to {person} in {place} by {date}. | {person} from {place} called about a broken {device}. | The "
    "{device} for {person} arrives on {date}. | On {date} the {device} in {place} was replaced. | {person} and {person} share "
    "one {device}. | Nobody in {place} has answered yet. | {person} moves from {place} to {place} on {date}. | The technician "
    "was {person}. | We shipped a {device} and a {device} to {place}. | Is {person} in the office on {date}? | {person} needs "
    "a {device} before {date}. | The line to {place} was down on {date}. | Thanks, everything works again. | {date}: "
    "{person} returned the {device}. | Call {person} when the {device} is ready. | The office in {place} closes on {date}. | "
    "{person} lost a {device} on the way to {place}. | Please hand the {device} over to {person}. | Nothing has changed since "
    "the last update. | Training for {person} takes place in {place} on {date}. | {person}'s {device} was stolen in {place}. | "
    "A {device} is missing since {date}. | The order of {person} was cancelled on {date}. | Ask {person} or {person} in {place}.",
    "{person} picked up the {device} in {place}. | Can {person} bring the {device} along on {date}? | In {place} a {device} "
    "caught fire. | {person} will visit {place} on {date}. | From {date} on {person} works without a {device}. | {place} and "
    "{place} ordered a {device} each. | I am grateful for the quick help. | The {device} that {person} reported on {date} is "
    "fixed. | Nobody but {person} may open the {device}. | Please forward this to {person}, {place}.",
)  # fmt: skip

# A ticket: sentences with facts, and questions for them. Each question asks for one slot.
TICKETS = (
    "{person} reported on {date} that the {device} in {place} had stopped working. {agent} found a loose cable and closed "
    "ticket {number} after {minutes} minutes. | Ticket {number} was opened by {person}, who works in {place}. The {device} "
    "kept restarting. {agent} replaced it on {date}, which took {minutes} minutes. | In {place} a {device} was delivered on "
    "{date}. {person} signed for it. {agent} spent {minutes} minutes on the setup and noted it under ticket {number}. | "
    "{agent} visited {place} on {date} to repair a {device}. {person} had asked for this in ticket {number}. The work was "
    "done in {minutes} minutes. | Because the {device} was too loud, {person} wrote ticket {number}. The desk in {place} "
    "sent {agent}, who needed {minutes} minutes on {date}.",
    "On {date}, ticket {number} reached the desk in {place}: {person} could not use the {device}. Within {minutes} minutes "
    "{agent} had it running again. | {person} asked for a {device}. It was sent to {place} and set up by {agent} on {date}; "
    "see ticket {number}. The call lasted {minutes} minutes. | Ticket {number}: the {device} of {person} overheated. {agent} "
    "drove to {place} on {date} and cleaned it for {minutes} minutes.",
)  # fmt: skip
QUESTIONS = {
    "person": (
        "Who reported the problem? | Which employee was the ticket for? | Who needed help?",
        "Whose request was it? | Who had the trouble?",
    ),
    "agent": (
        "Who solved it? | Which technician did the work? | Who took care of the ticket?",
        "Who did the repair? | Which colleague of the help desk was on it?",
    ),
    "place": (
        "Where was it? | In which city did this happen? | Which office was it?",
        "Which city is named?",
    ),
    "device": (
        "Which device was it? | What was the ticket about? | What had to be looked at?",
        "What kind of equipment is named?",
    ),
    "date": ("When was it? | On which day did it happen?", "Which day is named?"),
    "number": ("What is the number of the ticket? | Which ticket was it?", "Under what number is it filed?"),
    "minutes": (
        "How many minutes did it take? | How long did it take, in minutes?",
        "How many minutes are named?",
    ),
}


class Source:
    """Random choices: of patterns one part, of words the trained ones or all, with those that are only asked."""

    def __init__(self, name: str, *, asked: bool) -> None:
        self.random, self.asked = random.Random(f"{SEED}:{name}"), asked

    def half(self, parts: tuple[str, str]) -> list[str]:
        """The patterns of this part."""
        return [one.strip() for one in parts[1 if self.asked else 0].split("|")]

    def pick(self, listed: str, divider: str | None = None) -> str:
        """One entry of a list; a list without a divider is divided by spaces."""
        trained, _, only_asked = listed.partition("|")
        both = f"{trained}{divider or ' '}{only_asked}" if self.asked else trained
        return self.random.choice([one.strip() for one in both.split(divider) if one.strip()])

    def person(self) -> str:
        """A first and a last name."""
        return f"{self.pick(FIRST)} {self.pick(LAST)}"

    def slots(self) -> dict[str, Callable[[], str]]:
        """Words for each kind of slot."""
        return {
            "person": self.person,
            "name": self.person,
            "agent": self.person,
            "place": lambda: self.pick(PLACES),
            "device": lambda: self.pick(DEVICES, ","),
            "date": lambda: self.pick(DATES, ","),
            "app": lambda: self.pick(APPS, ","),
            "number": lambda: f"HD-{self.random.randrange(1000, 9999)}",
            "minutes": lambda: str(self.random.randrange(5, 95)),
        }

    def fill(self, pattern: str) -> tuple[str, list[dict[str, Any]]]:
        """The pattern with its slots filled, and the position of each."""
        text, filled = "", []
        for piece in re.split(r"(\{\w+\})", pattern):
            if piece.startswith("{"):
                kind = piece[1:-1]
                value = self.slots()[kind]()
                taken = [one["text"] for one in filled]
                while value in taken:
                    value = self.slots()[kind]()
                filled.append(
                    {"type": kind, "text": value, "start": len(text), "end": len(text) + len(value)}
                )
                text += value
            else:
                text += piece
        shift = text[0].upper() + text[1:]
        return shift, [{**one, "text": shift[one["start"] : one["end"]]} for one in filled]


def intents(source: Source) -> Iterator[dict[str, Any]]:
    """Messages with their intents."""
    while True:
        for label, patterns in INTENTS.items():
            pattern = source.random.choice(source.half(patterns))
            yield {"text": source.fill(pattern)[0], "label": label, PATTERN: pattern}


def entities(source: Source) -> Iterator[dict[str, Any]]:
    """Sentences with persons, places, devices and dates; some have none."""
    while True:
        pattern = source.random.choice(source.half(SENTENCES))
        text, filled = source.fill(pattern)
        yield {
            "text": text,
            "entities": [{"type": one["type"], "start": one["start"], "end": one["end"]} for one in filled],
            PATTERN: pattern,
        }


def answers(source: Source) -> Iterator[dict[str, Any]]:
    """Questions about tickets, two on each."""
    while True:
        passage, filled = source.fill(source.random.choice(source.half(TICKETS)))
        for one in source.random.sample(filled, 2):
            question = source.random.choice(source.half(QUESTIONS[one["type"]]))
            yield {"question": question, "passage": passage, "answer": one["text"], "start": one["start"]}


TASKS = {"intent": intents, "entities": entities, "answer": answers}


def key_of(row: dict[str, Any]) -> str:
    """The text that may occur in one file only, and there once."""
    return f"{row.get('question', '')} {row.get('passage', row.get('text'))}".casefold()


def drawn(task: str, name: str, count: int, seen: set[str], *, asked: bool) -> list[dict[str, Any]]:
    """The given number of rows that were not seen before."""
    rows = []
    for row in TASKS[task](Source(f"{task}:{name}", asked=asked)):
        if key_of(row) not in seen:
            seen.add(key_of(row))
            rows.append(row)
        if len(rows) == count:
            return rows
    raise AssertionError("the rows never end")


def files() -> dict[str, str]:
    """Content of each file by its name."""
    made = {}
    for task in TASKS:
        seen: set[str] = set()
        train = drawn(task, "train", TRAINED, seen, asked=False)
        held_out = drawn(task, "held_out", HELD_OUT, seen, asked=True)
        golden = drawn(task, "golden", GOLDEN, seen, asked=True)
        made[f"{task}.jsonl"] = lines(train)
        made[f"{task}_held_out.jsonl"] = lines(held_out)
        made[f"golden/{task}.yaml"] = golden_set(task, golden)
    return made


def lines(rows: list[dict[str, Any]]) -> str:
    """JSON, a row a line."""
    kept = [{key: value for key, value in row.items() if key != PATTERN} for row in rows]
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept)


CHECKS = {
    "intent": "[{type: equals}]",
    "entities": "[{type: entity-f1, threshold: 1}]",
    "answer": "[{type: squad-em}, {type: squad-f1}]",
}
# So few patterns can't show what further messages would lose; whether these very cases got worse, they can.
GATES = {
    "intent": "gate: {population: cases}\n",
    "entities": "gate: {population: cases}\n",
    "answer": "gate: {population: cases, margin: 0.1, metrics: {squad-f1: {margin: 0.1}}}\n",
}
TITLES = {
    "intent": "What a message to the help desk wants",
    "entities": "Persons, places, devices and dates in a message",
    "answer": "Answers from a ticket",
}


def golden_set(task: str, rows: list[dict[str, Any]]) -> str:
    """A golden set of one task; texts are written as JSON, which is YAML too."""
    text = (
        f"# Made by make_data.py.\nname: helpdesk-{task}\ndescription: {TITLES[task]}\n"
        f"generation: {{task: {task}}}\ndefaults:\n  checks: {CHECKS[task]}\n{GATES[task]}cases:\n"
    )
    clusters: dict[str, str] = {}
    for number, row in enumerate(rows, start=1):
        prompt, reference = row.get("text", ""), row.get("label", "")
        if task == "entities":
            named = [
                {"type": one["type"], "text": prompt[one["start"] : one["end"]]} for one in row["entities"]
            ]
            reference = json.dumps(named, ensure_ascii=False)
        elif task == "answer":
            prompt, reference = f"{row['question']}\n\n{row['passage']}", row["answer"]
        kind, shared = ("ticket", row["passage"]) if task == "answer" else ("pattern", row[PATTERN])
        cluster = clusters.setdefault(shared, f"{kind}-{len(clusters) + 1:02}")
        text += (
            f"  - id: {task}-{number:02}\n    prompt: {json.dumps(prompt, ensure_ascii=False)}\n"
            f"    references: [{json.dumps(reference, ensure_ascii=False)}]\n    cluster: {cluster}\n"
        )
    return text


if __name__ == "__main__":
    for _name, _content in files().items():
        (HERE / _name).write_text(_content, encoding="utf-8")
