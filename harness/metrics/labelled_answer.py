"""``classification``: the label that an answer gives. Over a set, the labels make accuracy and macro-F1."""

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from harness.golden.value_rules import same_words
from harness.metrics.definition import ScoringRequest, binary, one_by_one, quote, wanted_texts
from harness.metrics.text import as_words
from harness.types import Score

_EDGES = " \t\r\n.,;:!?\"'()[]{}*_`"


def _classification(request: ScoringRequest) -> Score:
    labels = [str(label) for label in cast("Sequence[str]", request.check.options["labels"])]
    wanted = [known for text in wanted_texts(request) if (known := _label_of(text, labels)) is not None]
    if not wanted:
        raise ValueError("no expected label is among the check's labels")
    found = labels_in(request.text, labels)
    expected = " or ".join(wanted)
    if len(found) != 1:
        named = f"names {', '.join(found)}" if found else f"{quote(request.text.strip(), 40)} names no label"
        told = f"the answer {named}; expected {expected}"
    elif found[0] in wanted:
        told = f"the label is {found[0]}"
    else:
        told = f"expected {expected}, found {found[0]}"
    label = found[0] if len(found) == 1 else ""
    score = binary(request, label in wanted, told)
    return replace(score, labels=(label if label in wanted else wanted[0], label))


def labels_in(text: str, labels: Sequence[str]) -> list[str]:
    """The labels that an answer gives: itself if it is one, otherwise all whose words are in it.

    Args:
        text: The answer.
        labels: The labels; one inside a longer label's words does not count there.
    """
    whole = _label_of(text.strip(_EDGES), labels)
    if whole is not None:
        return [whole]
    rest, found = same_words(text), []
    for label in sorted(labels, key=len, reverse=True):
        rest, count = as_words(same_words(label)).subn("\n", rest)
        found += [label] if count else []
    return found


def _label_of(text: str, labels: Sequence[str]) -> str | None:
    return next((label for label in labels if same_words(label) == same_words(text)), None)


classification = one_by_one(_classification)
