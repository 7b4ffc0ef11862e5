"""The answers of several stored runs to the same cases."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from harness.comparison.times import asked_otherwise
from harness.errors import BaselineError, SettingsError
from harness.run.judging import texts_of
from harness.types import GoldenCase, Run


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonAnswer:
    """One answer of each model to a case; a case with ``repeat`` has several.

    Attributes:
        key: The answer's key.
        texts: The answers by model, in the models' order.
        cluster: The case's cluster, or a name of its own.
    """

    case: GoldenCase
    key: str
    texts: Mapping[str, str]
    cluster: str


def name_models(runs: Sequence[Run]) -> dict[str, str]:
    """A name for each run's model: its label, with the run's id if two labels are equal.

    Raises:
        BaselineError: A run is named twice, or there are fewer than two.
    """
    if twice := [run_id for run_id, count in Counter(run.id for run in runs).items() if count > 1]:
        raise BaselineError(f"run {twice[0]} is named twice")
    if len(runs) < 2:
        raise BaselineError("one run alone can't be compared: name two or more")
    labels = Counter(run.model.label for run in runs)
    return {
        run.id: run.model.label if labels[run.model.label] == 1 else f"{run.model.label} ({run.id})"
        for run in runs
    }


def common_answers(
    runs: Mapping[str, Run], golden_sets: Collection[str] = ()
) -> tuple[list[CommonAnswer], dict[str, int]]:
    """The answers to the cases that are the same in all runs.

    Args:
        runs: The runs by their model's name.
        golden_sets: Names of the sets; empty means all but the forgetting probes.

    Returns:
        The answers, and the number of cases that are left out, by reason.

    Raises:
        SettingsError: A run has no such golden set.
        BaselineError: They have no answered case in common.
    """
    taken = _taken(list(runs.values()), golden_sets)
    cases = [
        {result.key: result.case for result in run.results if result.case.set_name in taken}
        for run in runs.values()
    ]
    texts = {name: texts_of(run) for name, run in runs.items()}
    pairs = combinations(runs.values(), 2)
    otherwise = {key: why for now, then in pairs for key, why in asked_otherwise(now, then).items()}
    left_out: Counter[str] = Counter()
    common: list[CommonAnswer] = []
    for key in dict.fromkeys(key for of_run in cases for key in of_run):
        found = [of_run[key] for of_run in cases if key in of_run]
        stored = [own for own in found[0].answer_keys if all(own in of_run for of_run in texts.values())]
        reason = _why_left_out(found, len(runs), stored) or otherwise.get(key)
        if reason is None:
            common += _answers_to(found[0], stored, texts)
        else:
            left_out[reason] += 1
    if not common:
        why = "; ".join(f"{reason}: {count}" for reason, count in left_out.items()) or "no case of such a set"
        named = ", ".join(run.id for run in runs.values())
        raise BaselineError(f"runs {named}: no case that all of them answered ({why}): choose others")
    return common, dict(left_out)


def _why_left_out(found: Sequence[GoldenCase], runs: int, stored: Sequence[str]) -> str | None:
    """Why a case is not compared, from its copies and its stored answers in all runs; None if it is."""
    if len(found) < runs:
        return "not in every run"
    if len({one.content_sha256 for one in found}) > 1:
        return "changed between the runs"
    if found[0].turns:
        return "of several turns: the models were not asked the same"
    return None if stored else "an answer is not stored"


def _answers_to(
    case: GoldenCase, keys: Sequence[str], texts: Mapping[str, Mapping[str, str]]
) -> list[CommonAnswer]:
    cluster = f"case {case.key}" if case.cluster is None else f"cluster {case.cluster}"
    return [
        CommonAnswer(
            case=case, key=key, texts={name: of_run[key] for name, of_run in texts.items()}, cluster=cluster
        )
        for key in keys
    ]


def _taken(runs: Sequence[Run], golden_sets: Collection[str]) -> set[str]:
    for run in runs:
        known = [one.name for one in run.golden_sets]
        if unknown := [name for name in golden_sets if name not in known]:
            raise SettingsError(
                f"--set {unknown[0]}: not in run {run.id} (allowed: {', '.join(known) or 'none'})"
            )
    probes = {one.name for run in runs for one in run.golden_sets if one.probes_forgetting}
    return set(golden_sets) or {one.name for run in runs for one in run.golden_sets} - probes
