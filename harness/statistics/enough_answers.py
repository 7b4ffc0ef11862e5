"""How many answers to exactly these cases are enough for a pass, if further ones come out as the known ones.

Of answers that all passed, that is the least number that can be enough. Where some vary, it takes more.
"""

import math
from collections.abc import Callable, Sequence

from harness.statistics.clusters import CONFIDENCE
from harness.statistics.paired_binary import CONTINUITY, Trials
from harness.types import Stability
from harness.types.golden import is_within
from harness.types.stability import USUAL_RERUNS

# What a golden set may ask for of each case, and the most reruns that are advised.
_MOST_ANSWERS, _MOST_RERUNS = 100, 1000
_ENDLESS = 10**6
# The interval of fewer cases may end at a drop of 1, and then doesn't say how wide it is.
_LEAST_CASES = 30
_ROUNDING = 1e-9


def enough_reruns(
    trials: Sequence[Trials], margin: float, with_reruns: Callable[[int], list[Stability]]
) -> int | None:
    """The least number of reruns that is enough, no fewer than usual; None if no number is.

    Args:
        trials: Each case's answers on both sides.
        margin: Largest tolerated drop.
        with_reruns: Each case's noise record with so many reruns.
    """
    from harness.statistics.clustered_drop import noisy_drop
    from harness.statistics.power import least_number

    def enough(times: int) -> bool:
        return is_within(noisy_drop(trials, CONFIDENCE, with_reruns(times)).high, margin)

    if not enough(_ENDLESS):
        return None
    found = least_number(enough, _MOST_RERUNS, USUAL_RERUNS)
    return None if found is None else max(found, USUAL_RERUNS)


def enough_answers(rates: Sequence[tuple[float, float]], asked: int, margin: float) -> int:
    """The least number of answers to each case; 0 if it is more than a set may ask for.

    Args:
        rates: How often the baseline and the candidate passed each case.
        asked: Answers to a case so far: where some vary, only multiples of it have the same rates.
        margin: Largest tolerated drop.
    """
    from harness.statistics.clustered_drop import noisy_drop
    from harness.statistics.power import least_number

    step = 1 if all(rate in {0.0, 1.0} for each in rates for rate in each) else asked

    def enough(times: int) -> bool:
        answers = step * times
        trials = [Trials(round(was * answers), answers, round(now * answers), answers) for was, now in rates]
        return is_within(noisy_drop(trials, CONFIDENCE).high, margin)

    found = least_number(enough, 2 * _MOST_ANSWERS // step, 1)
    return 0 if found is None or found * step > _MOST_ANSWERS else found * step


def enough_cases(trials: Sequence[Trials], margin: float, records: Sequence[Stability]) -> int | None:
    """How many cases like these are enough; None if no number is.

    Where there are x squared times fewer cases, the error is x times as large, and the correction for whole
    answers x squared times: x is where both together are what the margin leaves.

    Args:
        trials: Each case's answers on both sides.
        margin: Largest tolerated drop.
        records: Each case's noise record.
    """
    from harness.statistics.clustered_drop import noisy_drop, upper_half

    many = math.ceil(_LEAST_CASES / len(trials))
    trials, records = [*trials] * many, [*records] * many
    drop, n = noisy_drop(trials, CONFIDENCE, records), len(trials)
    if (room := margin - drop.estimate) <= 0:
        return None
    answers = (
        min(each.baseline + more.answers, each.candidate) for each, more in zip(trials, records, strict=True)
    )
    correction = CONTINUITY * math.fsum(1 / each for each in answers) / (n * n)
    error = upper_half(drop.interval) - correction
    x = (math.sqrt(error * error + 4 * correction * room) - error) / (2 * correction)
    return math.ceil(n / (x * x) - _ROUNDING)
