"""How many tokens references have, and how far a mean loss per token moves where one of them breaks down.

Before a model has answered the numbers are estimated from the texts.
"""

import math
import re
from collections.abc import Iterable

from harness.golden.schema import CHECK_TYPES, base_type
from harness.types import GoldenCase

# What a token may lose, in nats: from sure to one in 22 000, as if it were drawn by lot from a vocabulary.
TOKEN_NATS = 10.0
# Words and marks, and each letter of a script without spaces; of most texts a token has four bytes.
_PIECES = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]|\w+|[^\w\s]")
_BYTES = 4
_PER_TOKEN = "perplexity"


def has_light_tails(metric: str) -> bool:
    """Whether a metric is known for it; one that this installation doesn't know is not."""
    kind = CHECK_TYPES.get(base_type(metric))
    return kind is not None and kind.light_tails


def is_per_token(metric: str) -> bool:
    """Whether a metric is a mean loss per token of references: how light its tails are, their lengths say.

    What a plug-in makes of losses is of its own units.
    """
    return base_type(metric) == _PER_TOKEN


def estimated_tokens(text: str) -> float:
    """About how many tokens a text has, rather too few: the words and marks, and a quarter of its bytes."""
    size = len(text.encode("utf-8", "surrogatepass")) / _BYTES
    return max(min(len(_PIECES.findall(text)), size), 1.0)


def shortest_reference(case: GoldenCase) -> float | None:
    """The estimated tokens of the shortest of a case's references; None without any."""
    return min(map(estimated_tokens, case.references), default=None)


def token_drop(tokens: Iterable[float]) -> float:
    """How far the mean of the cases would fall if in each of them one token of its reference broke down.

    As for :func:`harness.comparison.metric_drop.reach_of` one more case is added: the shortest of them.

    Args:
        tokens: Each case's number of tokens.

    Returns:
        The drop in nats; 0 without a case.
    """
    drops = [TOKEN_NATS / max(each, 1.0) for each in tokens]
    return (math.fsum(drops) + max(drops)) / (len(drops) + 1) if drops else 0.0


def lone_drop_of_cases(metric: str, cases: Iterable[GoldenCase]) -> float:
    """What the gate allows for in a metric with light tails, of cases that no model has answered; 0 for none.

    Args:
        metric: The metric.
        cases: Its cases.
    """
    return token_drop_of_cases(cases) if is_per_token(metric) else 0.0


def token_drop_of_cases(cases: Iterable[GoldenCase]) -> float:
    """The same of cases that no model has answered, as far as they have references."""
    known = map(shortest_reference, cases)
    return token_drop(tokens for tokens in known if tokens is not None)
