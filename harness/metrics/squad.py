"""SQuAD's exact match and token F1.

After Rajpurkar et al. 2016, "SQuAD: 100,000+ Questions for Machine Comprehension of Text"
(arXiv:1606.05250), with version 2.0's rule for empty texts: if one side has no tokens, F1 is 1 if both are
empty, else 0. Signs, decimal points and articles are dropped, as SQuAD does: -5 equals 5, and "A" nothing.
"""

import re
import string

from harness.metrics.definition import ScoringRequest, binary, one_by_one, quote
from harness.metrics.overlap import bag_f1, closest_bag
from harness.types import Score

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalise(text: str) -> str:
    """SQuAD's normal form: lower case, no ASCII punctuation, no English articles, single spaces."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def token_f1(answer: str, reference: str) -> tuple[float, float, float]:
    """Precision, recall and F1 of the normalised words, each in [0, 1].

    Args:
        answer: The answer.
        reference: The reference.

    Returns:
        In that order.
    """
    return bag_f1(normalise(answer).split(), normalise(reference).split())


def _squad_em(request: ScoringRequest) -> Score:
    answer = normalise(request.text)
    for reference in request.case.references:
        if answer == normalise(reference):
            return binary(
                request, True, f"the answer is {quote(reference)}, ignoring case, punctuation and articles"
            )
    closest = max(request.case.references, key=lambda reference: token_f1(request.text, reference)[2])
    return binary(request, False, f"expected {quote(normalise(closest))}, found {quote(answer)}")


def _squad_f1(request: ScoringRequest) -> Score:
    return closest_bag(request, lambda text: normalise(text).split())


squad_em = one_by_one(_squad_em)
squad_f1 = one_by_one(_squad_f1)
