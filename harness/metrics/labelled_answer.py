"""``classification``: the label that an answer gives. Over a set, the labels make accuracy and macro-F1."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any, cast

from harness.golden.value_rules import same_words
from harness.metrics.definition import ScoringRequest, binary, one_by_one, quote, unclear, wanted_texts
from harness.metrics.denial import is_asked, is_contrast, is_denied
from harness.metrics.readings import Form, loosest_reading
from harness.metrics.text import as_words, without_ignorable
from harness.types import Check, GoldenCase, Score

_EDGES = " \t\r\n.,;:!?。！？、，\"'“”‘’«»「」『』()[]{}*_`"
# Places of one label in which it is looked for words that deny it.
_MOST_READ = 100
_EMPHASIS = re.compile(r"[*`]+|(?<!\w)_+|_+(?!\w)")

_JOINT = re.compile(r"[\s_\-‐‑]{1,3}")
# {"positive": false} names a label and denies it.
_SAID_NO = re.compile(r"[\"'”’]?\s?[:=]\s?[\"'“‘]?(?:no|not|false|wrong|incorrect|0(?:\.0+)?)\b")


def _classification(request: ScoringRequest) -> Score:
    labels = _labels_of(request.check)
    wanted = _known(wanted_texts(request), labels)
    if not wanted:
        raise ValueError("no expected label is among the check's labels")
    found, denied = labels_in(request.text, labels)
    expected = " or ".join(wanted)
    if len(found) != 1 or denied:
        named = f"names {', '.join(found)}" if found else f"{quote(request.text.strip(), 40)} names no label"
        named = f"denies or doubts {', '.join(denied)}" if denied and len(found) == 1 else named
        told = f"the answer {named}; expected {expected}"
    elif found[0] in wanted:
        told = f"the label is {found[0]}"
    else:
        told = f"expected {expected}, found {found[0]}"
    label = found[0] if len(found) == 1 and not denied else ""
    score = unclear(request, told) if found and not label else binary(request, label in wanted, told)
    return replace(score, labels=(label if label in wanted else wanted[0], label))


def expected_label(case: GoldenCase, check: Check) -> str | None:
    """The label that a case counts for in the macro-F1 if it is answered wrongly; None for another check.

    Args:
        case: The case.
        check: One of its checks.
    """
    if check.type != "classification":
        return None
    texts = case.references if check.value is None else (str(check.value),)
    return next(iter(_known(texts, _labels_of(check))), None)


def _labels_of(check: Check) -> list[str]:
    return [str(label) for label in cast("Sequence[str]", check.options["labels"])]


def _known(texts: Sequence[str], labels: Sequence[str]) -> list[str]:
    """The texts that are labels."""
    return [known for text in texts if (known := _label_of(text, labels)) is not None]


def labels_in(text: str, labels: Sequence[str]) -> tuple[list[str], list[str]]:
    """The labels that an answer names: itself if it is one, otherwise all whose words are in it.

    Args:
        text: The answer.
        labels: The labels; one inside a longer label's words does not count there.

    Returns:
        The labels, and those of them that the answer denies or doubts.
    """
    for bare in (text.strip(), text.strip(_EDGES)):
        if (whole := _label_of(bare, labels)) is not None:
            return [whole], [whole] if is_asked(text.strip(), bare) else []
    plain = _reading(tuple(labels))
    written = {label: plain(label) for label in labels}
    rest, places = "\n".join(map(plain, text.splitlines())), dict[str, list[re.Match[str]]]()
    rest = _joined_alike(rest, tuple(written.values()))
    for label in sorted(labels, key=lambda label: len(written[label]), reverse=True):
        if matches := list(_pattern(written[label]).finditer(rest)):
            places[label] = matches
            rest = _pattern(written[label]).sub(lambda match: "\0" * len(match.group()), rest)
    # Labels are blanked out: "no" and "not toxic" deny nothing.
    denied = [
        label
        for label, matches in places.items()
        if any(
            is_denied(rest, match.start(), match.end()) or _SAID_NO.match(rest, match.end())
            for match in matches[:_MOST_READ]
        )
    ]
    affirmed = [label for label in places if label not in denied]
    return (affirmed, []) if len(affirmed) == 1 and is_contrast(text) else (list(places), denied)


def _joined_alike(text: str, labels: tuple[str, ...]) -> str:
    """The text with the words of each label joined as the label joins them: bug_report, bug-report."""
    words = {label: tuple(_JOINT.split(label)) for label in labels}
    for label, parts in words.items():
        if len(parts) > 1 and all(parts) and list(words.values()).count(parts) == 1:
            text = re.sub(f"{_JOINT.pattern}".join(map(re.escape, parts)), partial(_constant, label), text)
    return text


def _constant(text: str, _: object) -> str:
    return text


@lru_cache(maxsize=256)
def _reading(labels: tuple[str, ...]) -> Callable[[str], str]:
    """How answer and labels are read: without emphasis, in one width, as far as the labels stay different."""
    return loosest_reading(_plain, labels)


def _plain(text: str, form: Form = "NFKC", *, marks: bool = True) -> str:
    """A text for comparison: one form of minus and of full-width letters, nothing that is never drawn."""
    text = unicodedata.normalize(form, without_ignorable(text)).replace("\u2212", "-")
    return same_words(text if marks else _EMPHASIS.sub("", text))


def _label_of(text: str, labels: Sequence[str]) -> str | None:
    exact = next((label for label in labels if same_words(label) == same_words(text)), None)
    if exact is not None:
        return exact
    alike = [label for label in labels if _plain(label) == _plain(text)]
    return alike[0] if len(alike) == 1 else None


@lru_cache(maxsize=1024)
def _pattern(label: str) -> Any:
    """A label as a word of its own: no part of a number, of C++ or of a compound such as non-toxic."""
    if label.lstrip("+-").replace(".", "", 1).isdigit():
        return as_words(label, before=r"(?<![\p{N}.,:/\-])", after=r"(?![.,:/\-]?\p{N}|\s?%)")
    return as_words(label, before=r"(?<![\p{L}\p{N}][\-‐‑])", after=r"(?![\-‐‑][\p{L}\p{N}]|[+#])")


classification = one_by_one(_classification)
