"""Answers to label of a stored run and its baseline."""

from collections.abc import Collection

from harness.comparison.pairing import answers_of
from harness.comparison.times import asked_otherwise
from harness.errors import SettingsError
from harness.labelling.items import Expectation, LabelItem, SourceAnswer
from harness.types import GateRecord, GoldenCase, Run
from harness.types.run import conversation


def answers_of_record(
    record: GateRecord, golden_sets: Collection[str], rubric: str | None
) -> list[SourceAnswer]:
    """A run's answers, and its baseline's to the same cases.

    Args:
        record: The stored run.
        golden_sets: Names of the sets; empty means all but the forgetting probes.
        rubric: What a good answer satisfies, for cases without a rubric.

    Raises:
        SettingsError: The run has no such set.
    """
    known = [golden_set.name for golden_set in record.run.golden_sets]
    if unknown := [name for name in golden_sets if name not in known]:
        raise SettingsError(f"--set {unknown[0]}: not in run {record.run.id} (allowed: {', '.join(known)})")
    taken = set(golden_sets) or {one.name for one in record.run.golden_sets if not one.probes_forgetting}
    answered = _of_run(record.run, taken, "candidate", rubric)
    if record.baseline is not None:
        otherwise = asked_otherwise(record.run, record.baseline)
        asked = {result.case.messages for result in record.run.results if result.key not in otherwise}
        others = _of_run(record.baseline, taken, "baseline", rubric)
        answered += [one for one in others if one.messages in asked]
    return answered


def is_of_run(item: LabelItem, run_id: str) -> bool:
    """Whether an answer is from a run, as candidate or as another run's baseline.

    Args:
        item: The item.
        run_id: The run.
    """
    return len(item.answers) == 1 and run_id in item.runs[0]


def _of_run(run: Run, golden_sets: Collection[str], side: str, rubric: str | None) -> list[SourceAnswer]:
    """The first answer to each case: the one that decides a case with several is the worst of them."""
    return [
        SourceAnswer(
            messages=conversation(result.case, completion.earlier),
            text=completion.text,
            wanted=_wanted(result.case, rubric),
            origin=f"{side} of run {run.id}",
            run=run.id,
            tags=result.case.tags,
        )
        for result in run.results
        if result.case.set_name in golden_sets
        and (completion := answers_of(result)[0].completion) is not None
    ]


def _wanted(case: GoldenCase, rubric: str | None) -> Expectation:
    """Rubric, tone and references of the case."""
    said = {check.type: check.value for check in case.single_checks}

    def text(check_type: str) -> str | None:
        value = said.get(check_type)
        return value if isinstance(value, str) else None

    return Expectation(rubric=text("llm-rubric") or rubric, tone=text("tone"), references=case.references)
