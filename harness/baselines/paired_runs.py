"""How the cases of two runs are paired that may come from other tools: by name, or by content."""

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from harness.comparison.pairing import WORST_FIRST, answers_of
from harness.errors import BaselineError
from harness.history.logs.rows import UNNAMED_SET
from harness.types import CaseResult, GoldenCase, Outcome, Repeat, Run

_SHA256 = re.compile(r"[0-9a-f]{64}")
PairBy = Literal["id+content", "id", "content"]


def answers_to(run: Run, cases: Sequence[GoldenCase]) -> Run:
    """Another tool's run as answers to golden cases, by their names.

    Args:
        run: The run. A case's prompt, or its hash, is compared with the golden case's if the log has it.
        cases: The current golden cases. One whose content differs is not paired, and is reported as changed.

    Raises:
        BaselineError: The run has none of the cases.
    """
    by_key = {result.key.removeprefix(_UNNAMED_SET): result for result in run.results}
    results = []
    for case in cases:
        if (result := by_key.get(case.key)) is not None:
            # Other content has another hash: so a changed case is noticed.
            asked = replace(case, messages=()) if _differs(result.case, case) else case
            results.append(replace(result, case=asked))
    if cases and not results:
        keys = ", ".join(list(by_key)[:3])
        raise BaselineError(
            f"--gate-baseline: the file has none of the golden cases, by names such as {cases[0].key} "
            f"(found: {keys})"
        )
    asked_alike = hashlib.sha256("".join(result.case.content_sha256 for result in results).encode())
    made = f"{run.id}-for-{asked_alike.hexdigest()[:8]}"
    # Its rows of other cases are none that it lacks.
    return replace(run, id=made, results=tuple(results), collected=len(results))


# Rows without a set: their ids may be whole names, such as orders/bob.
_UNNAMED_SET = f"{UNNAMED_SET}/"


def _differs(logged: GoldenCase, case: GoldenCase) -> bool:
    identity = next((str(check.options.get("of", "")) for check in logged.checks), "")
    if _SHA256.fullmatch(identity):
        return identity != case.content_sha256
    texts = [message.content for message in logged.messages]
    return bool(texts) and texts not in (
        [message.content for message in case.messages],
        [case.messages[-1].content] if case.messages else [],
    )


def aligned(candidate: Run, baseline: Run, by: PairBy) -> Run:
    """The baseline with its cases named or filled as the candidate's, where they count as the same.

    Args:
        candidate: The run to judge.
        baseline: The run to compare with.
        by: ``id+content`` changes nothing; ``id`` ignores the content; ``content`` ignores the names.

    Returns:
        The baseline; under another id if any case changed.

    Raises:
        BaselineError: Several cases have the same content, so that none is the other's pair.
    """
    if by == "id+content":
        return baseline
    if by == "id":
        cases = {result.key: result for result in candidate.results}
        asked = [cases.get(result.key, result) for result in baseline.results]
    else:
        _by_content(baseline)
        asked = _named_by_content(_by_content(candidate), baseline)
    results = tuple(
        replace(result, case=other.case) for result, other in zip(baseline.results, asked, strict=True)
    )
    if results == baseline.results:
        return baseline
    return replace(baseline, id=f"{baseline.id}-by-{by}-{candidate.id[-8:]}", results=results)


def with_what_it_lacks(run: Run, other: Run) -> Run:
    """A log's run with the answers that it lacks, which have no verdict, and clusters that the other tells.

    A log doesn't tell an answer that was lost from one that was never asked for. So a case lacks as many as
    the other run has more of it, unless this one has no more of any case of the set.

    Args:
        run: The run, of another tool or of ours, which lacks none.
        other: The run that it is compared with.

    Returns:
        The run; under another id if any case lacked something.
    """
    if not run.model.is_logged:
        return run
    most = Counter[str]()
    for result in run.results:
        name = result.case.set_name
        most[name] = max(most[name], len(answers_of(result)))
    theirs = {result.key: result for result in other.results}
    results = tuple(
        _filled(each, theirs.get(each.key, each), most[each.case.set_name]) for each in run.results
    )
    if results == run.results:
        return run
    return replace(run, id=f"{run.id}-beside-{other.id[-8:]}", results=results)


def _filled(result: CaseResult, other: CaseResult, most: int) -> CaseResult:
    """A case with as many answers as the other one, up to so many, and in its cluster."""
    if result.case.cluster is None and other.case.cluster is not None:
        result = replace(result, case=replace(result.case, cluster=other.case.cluster))
    answers = answers_of(result)
    if len(answers) >= (wanted := min(len(answers_of(other)), most)):
        return result
    lacking = [Repeat(completion=None, outcome=Outcome.UNSCORED)] * (wanted - len(answers))
    outcome = min(result.outcome, Outcome.UNSCORED, key=WORST_FIRST.index)
    return replace(result, outcome=outcome, repeats=(*map(Repeat.of, answers), *lacking))


def _by_content(run: Run) -> dict[str, CaseResult]:
    found: dict[str, CaseResult] = {}
    for result in run.results:
        earlier = found.setdefault(result.case.content_sha256, result)
        if earlier is not result:
            raise BaselineError(
                f"run {run.id}: cases {earlier.key} and {result.key} have the same content: pair by id"
            )
    return found


def _named_by_content(candidate: Mapping[str, CaseResult], baseline: Run) -> list[CaseResult]:
    """For each of the baseline's results the candidate's of the same content, or itself under a free name.

    Args:
        candidate: The candidate's results by content.
        baseline: The run to compare with.
    """
    asked = []
    # Its name may now be that of another case: ids are often numbers, and one more case moves them.
    taken = {each.key for each in (*candidate.values(), *baseline.results)}
    theirs = {each.key for each in candidate.values()}
    for result in baseline.results:
        found = candidate.get(result.case.content_sha256, result)
        if found is result and result.key in theirs:
            case = result.case
            while case.key in taken:
                case = replace(case, id=f"{case.id}-of-baseline")
            taken.add(case.key)
            found = replace(result, case=case)
        asked.append(found)
    return asked


# Why a common case is not compared.
_NO_VERDICT = {"errored", "unscored", "skipped"}


def require_pairs(
    unpaired: Mapping[str, str], pairs: Sequence[object], refused: Mapping[str, str] | None = None
) -> None:
    """Refuse runs of which no case is the same on both sides, asked and checked alike.

    A common case that one side gave no verdict on is one: the runs' verdict says so.

    Args:
        unpaired: The cases that are not compared, each with the reason.
        pairs: Those that are.
        refused: Metrics that can't be compared, each with the reason.

    Raises:
        BaselineError: There is no pair.
    """
    reasons = set(unpaired.values())
    if pairs or reasons & _NO_VERDICT:
        return
    if "changed since the baseline" in reasons:
        remedy = "if the prompts may differ, tunegate compare --pair-by=id compares by name"
    elif reasons <= {"only in the candidate", "only in the baseline"}:
        remedy = "if only the names differ, tunegate compare --pair-by=content compares by prompt"
    else:
        why = "; ".join(f"{metric}: {reason}" for metric, reason in (refused or {}).items())
        remedy = f"score them again{' (' * bool(why)}{why}{')' * bool(why)}"
    counts = ", ".join(f"{list(unpaired.values()).count(each)} {each}" for each in sorted(reasons))
    raise BaselineError(f"no case can be compared ({counts}): {remedy}")
