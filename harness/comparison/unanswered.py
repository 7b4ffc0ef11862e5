"""Sets of which too many cases have no verdict, and probes that got a reasoning and no answer."""

from collections.abc import Mapping, Sequence
from typing import Literal

from harness.comparison.missing_cases import beyond_limits
from harness.comparison.pairing import Pair, answers_of
from harness.types import CaseResult, Finding, GateVerdict, GoldenSet, NoVerdictFinding, Outcome, Run


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


def no_verdict_findings(
    runs: Mapping[Literal["candidate", "baseline"], Run],
    golden_sets: Sequence[GoldenSet],
    undecided: Sequence[Pair] = (),
) -> list[Finding]:
    """Sets of which too many cases errored or were left unscored, on any side.

    Args:
        runs: By their sides, the candidate first.
        golden_sets: The candidate's sets.
        undecided: The pairs of which one side has no verdict; a case that a log lacks is unscored in it.
    """
    absent = {
        side: _absent_in(run, [pair[place] for pair in undecided])
        for place, (side, run) in enumerate(runs.items())
    }
    # A log may lack a whole set.
    known = {each.name for each in golden_sets}
    lost = {pair[0].case.set_name for pair in undecided} - known
    further = [each for run in runs.values() for each in run.golden_sets if each.name in lost]
    return [
        Finding(
            verdict=GateVerdict.INCONCLUSIVE,
            set_name=golden_set.name,
            data=NoVerdictFinding(
                side=side,
                outcome=lacking.outcome,
                cases=lacking.cases,
                n=lacking.n,
                tolerated=lacking.tolerated,
                unanswered=unanswered_probes(run, golden_set.name, lacking.outcome),
            ),
        )
        for side, run in runs.items()
        for golden_set in (*golden_sets, *further)
        for lacking in beyond_limits(run, golden_set, absent[side])
    ]


def _absent_in(run: Run, results: Sequence[CaseResult]) -> list[CaseResult]:
    """Those that a log lacks: of a run of ours it is known which were selected, and which are yet to come."""
    if run.lacks_cases or not results:
        return []
    answered = {result.key for result in run.results}
    return [result for result in results if result.key not in answered]
