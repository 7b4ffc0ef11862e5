"""SQuAD's exact match and token F1.

After Rajpurkar et al. 2016, "SQuAD: 100,000+ Questions for Machine Comprehension of Text"
(arXiv:1606.05250), with version 2.0's rule for empty texts: if one side has no tokens, F1 is 1 if both are
empty, else 0.
"""

import re
import string
from collections import Counter

from harness.metrics.definition import ScoringRequest, binary, graded, one_by_one, quote
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
    found, wanted = normalise(answer).split(), normalise(reference).split()
    if not found or not wanted:
        same = float(found == wanted)
        return same, same, same
    shared = (Counter(found) & Counter(wanted)).total()
    precision, recall = shared / len(found), shared / len(wanted)
    # 2PR/(P+R) in whole numbers: an answer equal to its reference is exactly 1.
    return precision, recall, 2 * shared / (len(found) + len(wanted))


def _exact_match(request: ScoringRequest) -> Score:
    answer = normalise(request.text)
    for reference in request.case.references:
        if answer == normalise(reference):
            return binary(
                request, True, f"the answer is {quote(reference)}, ignoring case, punctuation and articles"
            )
    closest = max(request.case.references, key=lambda reference: token_f1(request.text, reference)[2])
    return binary(request, False, f"expected {quote(normalise(closest))}, found {quote(answer)}")


def _f1(request: ScoringRequest) -> Score:
    scored = [(token_f1(request.text, reference), reference) for reference in request.case.references]
    (precision, recall, value), closest = max(scored, key=lambda pair: pair[0][2])
    found, wanted = Counter(normalise(request.text).split()), Counter(normalise(closest).split())
    missing = list((wanted - found).elements())
    lacking = f"; missing {quote(' '.join(missing))}" if missing else ""
    return graded(request, value, f"precision {precision:.2f}, recall {recall:.2f}{lacking}")


exact_match = one_by_one(_exact_match)
f1 = one_by_one(_f1)
