"""What equal answers that vary leave open about exactly these cases, and what would settle it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.statistics.clusters import CONFIDENCE, MeanDrop
from harness.statistics.enough_answers import enough_answers, enough_cases, enough_reruns
from harness.statistics.paired_binary import Trials
from harness.types import GoldenCase, Stability
from harness.types.golden import is_within
from harness.types.stability import USUAL_RERUNS


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedies:
    """What would leave no drop beyond the margin possible.

    Attributes:
        reruns: Of the baseline, no fewer than are usual: for the cases as they are, or where no number of
            reruns is enough for so few, for :attr:`cases`. None where reruns can't help.
        answers: To each case, on both sides; 0 where what a golden set may ask for is not enough.
        cases: Cases like these, with these reruns if there are any. None where the reruns are enough for the
            cases as they are, and where no number is.
    """

    reruns: int | None
    answers: int
    cases: int | None


def equal_varying_drop(cases: Sequence[GoldenCase]) -> MeanDrop:
    """The drop of exactly these cases where both models pass all answers, which vary least; no noise record.

    Args:
        cases: At least one case.
    """
    from harness.statistics.clustered_drop import noisy_drop

    return noisy_drop(_equal_trials(cases), CONFIDENCE)


def remedies_of_equal(
    cases: Sequence[GoldenCase], margin: float, can_rerun: Callable[[GoldenCase], bool]
) -> Remedies:
    """What would let these cases pass where both models pass all answers; no noise record.

    Args:
        cases: At least one case.
        margin: Largest tolerated drop.
        can_rerun: Whether reruns tell anything of a case.
    """
    unknown = [Stability(passed=0, answers=0)] * len(cases)
    found = remedies(_equal_trials(cases), margin, unknown, [can_rerun(case) for case in cases])
    assert found is not None  # nothing is lost
    return found


def _equal_trials(cases: Sequence[GoldenCase]) -> list[Trials]:
    return [Trials(case.repeat, case.repeat, case.repeat, case.repeat) for case in cases]


def remedies(
    trials: Sequence[Trials], margin: float, records: Sequence[Stability], can_rerun: Sequence[bool]
) -> Remedies | None:
    """What would let the answers to exactly these cases pass; None where more is lost than the margin.

    Args:
        trials: Each case's answers on both sides, at least one case.
        margin: Largest tolerated drop.
        records: Each case's noise record of the baseline, without answers where there is none.
        can_rerun: Whether reruns tell anything of a case.
    """
    rates = [
        ((each.baseline_passed + more.passed) / (each.baseline + more.answers), _share_of_candidate(each))
        for each, more in zip(trials, records, strict=True)
    ]
    if not is_within(math.fsum(was - now for was, now in rates) / len(rates), margin):
        return None
    asked = max(max(each.baseline, each.candidate) for each in trials)
    answers = enough_answers(rates, asked, margin)

    def with_reruns(times: int, *, longer: bool = True) -> list[Stability]:
        """The records, where the baseline passes as often in so many reruns, each with all of its answers.

        Args:
            times: Number of reruns.
            longer: Whether longer records are kept.
        """
        return [
            Stability(passed=round(was * times * each.baseline), answers=times * each.baseline)
            if can and not (longer and more.answers >= times * each.baseline)
            else more
            for each, (was, _), more, can in zip(trials, rates, records, can_rerun, strict=True)
        ]

    reruns = enough_reruns(trials, margin, with_reruns) if any(can_rerun) else None
    if reruns is not None:
        return Remedies(reruns=reruns, answers=answers, cases=None)
    # Of further cases nothing is recorded yet.
    cases = enough_cases(trials, margin, with_reruns(USUAL_RERUNS, longer=False))
    helps = cases is not None and any(can_rerun)
    return Remedies(reruns=USUAL_RERUNS if helps else None, answers=answers, cases=cases)


def _share_of_candidate(trials: Trials) -> float:
    return trials.candidate_passed / trials.candidate
