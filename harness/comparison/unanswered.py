"""Probes that got a reasoning and no answer: they show neither that a skill is there nor that it is lost."""

from harness.comparison.pairing import answers_of
from harness.types import Outcome, Run


def unanswered_probes(run: Run, set_name: str, outcome: Outcome) -> int:
    """How many of a set's probes have an outcome, and a reasoning in place of an answer.

    Args:
        run: The run.
        set_name: The set's name.
        outcome: The outcome.
    """
    of_set = (each for each in run.results if each.case.set_name == set_name and each.outcome is outcome)
    return sum(
        any(
            turn.unanswered
            for answer in answers_of(result)
            if answer.completion is not None
            for turn in (*answer.completion.earlier, answer.completion)
        )
        for result in of_set
        if result.case.probes_forgetting
    )
