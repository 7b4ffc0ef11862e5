"""A judge's agreement with the shipped items doesn't depend on how it writes its replies."""

import json
import random
from pathlib import Path

import pytest

from harness.judge.calibration import questions_about
from harness.judge.label_agreement import JudgedItem, agreement
from harness.judge.labelled import labelled_files, load_labelled_set
from harness.judge.replies import read_reply
from harness.judge.verdicts import VALUES, swapped

DIRECTORY = Path(__file__).parents[2] / "golden_sets" / "judge"
ITEMS = [item for file in labelled_files([DIRECTORY]) for item in load_labelled_set(file).items]
WRONG = 0.15


def _fenced(verdict):
    return f"```json\n{json.dumps(verdict, indent=2)}\n```"


def _python(verdict):
    return str(verdict)


WAYS = {
    "bare": json.dumps,
    "fenced": _fenced,
    "prose around it": lambda verdict: f"Here is my verdict:\n\n{_fenced(verdict)}\n\nI hope that it helps!",
    "reasoning before it": lambda verdict: (
        f"<think>Let me see. {{maybe}} it is so.</think>\n{json.dumps(verdict)}"
    ),
    "Python's spelling": _python,
    "a trailing comma": lambda verdict: json.dumps(verdict)[:-1] + ",}",
    "numbers and booleans in quotes": lambda verdict: json.dumps(
        {key: str(value) for key, value in verdict.items()}
    ),
    "raw line breaks": lambda verdict: json.dumps(verdict).replace("because ", "because\n"),
}


def meant(item, chance):
    """What a judge that errs now and then means to say of an item: in the order shown, A first."""
    labels = {
        "rubric": [True, False],
        "factuality": [True, False],
        "tone": [True, False],
        "reference": [1, 2, 3, 4, 5],
    }
    right = {"pass": True, "fail": False, "a": "A", "b": "B"}.get(item.label, item.label)
    if chance.random() >= WRONG:
        return right
    return chance.choice([value for value in labels.get(item.task, ["A", "B", "tie"]) if value != right])


def judged(way):
    """The shipped items with the verdicts that are read from replies written in one way."""
    chance, found = random.Random(15), []
    for item in ITEMS:
        said = meant(item, chance)
        values = []
        for place, question in enumerate(questions_about(item)):
            shown = swapped(said) if place else said
            key = {"pairwise": "winner", "reference": "grade"}.get(item.task, "pass")
            text = WAYS[way]({"reason": "It is so, because it's {so}.", key: shown})
            quoted = "\n".join(one.content for one in question.messages)
            written = "\n".join(question.answers)
            values.append(read_reply(text, question.reply_schema, quoted=quoted, judged=written)[key])
        if item.task == "pairwise":
            assert values[0] == swapped(values[1])
        value = VALUES[values[0]] if item.task == "pairwise" else float(values[0])
        found.append(JudgedItem(item=item, value=value))
    return found


@pytest.mark.parametrize("way", WAYS)
def test_each_way_of_writing_a_reply_gives_the_same_kappa(way):
    kappa, bare = agreement(judged(way)), agreement(judged("bare"))
    assert kappa == bare
    assert 0.6 < kappa.estimate < 0.9
