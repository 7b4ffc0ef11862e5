"""Exact match, and F1 of shared words, in any script and with numbers by their value."""

from collections import Counter
from collections.abc import Callable, Sequence

from harness.metrics.definition import ScoringRequest, binary, graded, one_by_one, quote
from harness.metrics.text import folded, number, one_spelling, terms
from harness.types import Score


def bag_f1(found: Sequence[str], wanted: Sequence[str]) -> tuple[float, float, float]:
    """Precision, recall and F1 of words, each in [0, 1]; with none on one side 1 if there is none on either.

    Args:
        found: The answer's words.
        wanted: The reference's.

    Returns:
        In that order.
    """
    if not found or not wanted:
        same = float(not found and not wanted)
        return same, same, same
    shared = (Counter(found) & Counter(wanted)).total()
    precision, recall = shared / len(found), shared / len(wanted)
    # 2PR/(P+R) in whole numbers: an answer equal to its reference is exactly 1.
    return precision, recall, 2 * shared / (len(found) + len(wanted))


def closest_bag(request: ScoringRequest, split: Callable[[str], list[str]]) -> Score:
    """The score of the reference with the greatest F1 of words.

    Args:
        request: The answer and its references.
        split: From a text to its words.
    """
    found = split(request.text)
    scored = [(bag_f1(found, split(reference)), reference) for reference in request.case.references]
    (precision, recall, value), closest = max(scored, key=lambda pair: pair[0][2])
    missing = list((Counter(split(closest)) - Counter(found)).elements())
    lacking = f"; missing {quote(' '.join(missing))}" if missing else ""
    return graded(request, value, f"precision {precision:.2f}, recall {recall:.2f}{lacking}")


def _terms(text: str) -> list[str]:
    """The terms of a text; a text of punctuation only is one itself, so that "!" is not "?"."""
    # What is never drawn separates no words: to exact-match, too.
    text = one_spelling(folded(text))
    return terms(text) or ([text] if text else [])


def _f1(request: ScoringRequest) -> Score:
    return closest_bag(request, _terms)


def _exact_match(request: ScoringRequest) -> Score:
    options = request.check.options

    def spelling(text: str) -> str:
        text = one_spelling(folded(text) if options.get("ignore_case") else text)
        return text.replace(" ", "") if options.get("ignore_space") else text

    answer = spelling(request.text)
    value = number(answer) if options.get("numbers", True) else None
    for reference in request.case.references:
        if answer == spelling(reference):
            return binary(request, True, f"the answer is {quote(reference)}")
        if value is not None and value == number(spelling(reference)):
            return binary(request, True, f"the answer is the same number as {quote(reference)}")
    closest = max(request.case.references, key=lambda one: bag_f1(_terms(request.text), _terms(one))[2])
    return binary(request, False, f"expected {quote(closest)}, found {quote(request.text.strip())}")


exact_match = one_by_one(_exact_match)
f1 = one_by_one(_f1)
