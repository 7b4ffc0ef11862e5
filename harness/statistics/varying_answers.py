"""What equal answers that vary leave open about exactly these cases."""

from collections.abc import Sequence

from harness.statistics.clusters import CONFIDENCE, MeanDrop
from harness.statistics.paired_binary import Trials
from harness.types import GoldenCase


def equal_varying_drop(cases: Sequence[GoldenCase]) -> MeanDrop:
    """The drop of exactly these cases where both models pass all answers, which vary least; no noise record.

    Args:
        cases: At least one case.
    """
    from harness.statistics.clustered_drop import noisy_drop

    trials = [Trials(case.repeat, case.repeat, case.repeat, case.repeat) for case in cases]
    return noisy_drop(trials, CONFIDENCE)
