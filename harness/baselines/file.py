"""The file of an accepted baseline: small enough to review, complete enough to gate without the history.

One line per case: a hash of prompt and checks, and each answer's outcome and scores. The answers' texts are
only in the history; without it, as in a fresh clone on CI, cases are still compared.
"""

import hashlib
import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.comparison.pairing import WORST_FIRST, answers_of, scored_metrics
from harness.errors import BaselineError
from harness.history.first_metrics import FIRST_METRICS
from harness.history.stored_reasons import with_renamed_limit
from harness.registry import active
from harness.types import (
    CaseResult,
    Environment,
    ExecutionPlan,
    GoldenCase,
    GoldenSet,
    MetricFacts,
    MetricSummary,
    ModelRef,
    Outcome,
    Repeat,
    Run,
    Score,
    ScoredTexts,
    TextLoss,
    set_of,
)
from harness.types.storage import DamagedFactsError, decode, encode, parse_json

DIRECTORY = "baselines"
_SCHEMA_VERSION = 3
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NOT_NAMES = {"base", "none", "latest"}

_Labels = tuple[str, str]
# An answer's outcome and, by metric, the scores of all checks of that type; before format 3 that of the last.
KeptAnswer = tuple[str, dict[str, tuple[float, ...] | float]]
# The texts of scores of losses by metric, as its scores are kept.
KeptTexts = dict[str, tuple[ScoredTexts | None, ...]]
# Expected and predicted label by metric, as its scores are kept.
KeptLabels = dict[str, tuple[_Labels | None, ...] | _Labels]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptCase:
    """One case of a baseline.

    Attributes:
        sha256: Hash of the prompt and the checks.
        answers: Each answer's outcome and scores; several if the case has ``repeat``.
        labels: Each answer's expected and predicted labels; empty without classifications.
        texts: The texts of which each answer's scores of losses are; empty without any.
    """

    sha256: str
    answers: tuple[KeptAnswer, ...]
    labels: tuple[KeptLabels, ...] = ()
    texts: tuple[KeptTexts, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptSummary:
    """One metric of one golden set, for people who read the file."""

    set_name: str
    summary: MetricSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """An accepted run.

    Attributes:
        name: Its name in ``--gate-baseline``.
        accepted_at: ISO 8601 in UTC.
        reason: Why it was accepted.
        cases: By key.
        metrics: How to read the scores of each metric; None in files of earlier versions.
    """

    name: str
    run_id: str
    accepted_at: str
    reason: str
    started_at: str
    duration_s: float
    model: ModelRef
    plan: ExecutionPlan
    environment: Environment
    golden_sets: tuple[GoldenSet, ...]
    collected: int
    text_losses: tuple[TextLoss, ...]
    summaries: tuple[KeptSummary, ...]
    metrics: Mapping[str, MetricFacts] | None = None
    cases: Mapping[str, KeptCase]

    @property
    def known_metrics(self) -> Mapping[str, MetricFacts]:
        """How to read the scores; earlier versions had built-in metrics only."""
        if self.metrics is not None:
            return self.metrics
        return {name: MetricFacts(**facts) for name, facts in FIRST_METRICS.items()}


class DamagedBaselineError(BaselineError):
    """A file doesn't hold a baseline of any version: it was cut, say, or has marks of a merge."""


def check_name(name: str) -> str:
    """Check that a name can be used in ``--gate-baseline`` and in a file's name.

    Raises:
        BaselineError: It can't.
    """
    if not _NAME.fullmatch(name) or name in _NOT_NAMES:
        raise BaselineError(
            f"baseline {name!r}: not a name (allowed: letters, digits, '.', '_' and '-', up to 64, "
            f"and none of {', '.join(sorted(_NOT_NAMES))})"
        )
    return name


def accepted_ids(root: Path) -> set[str]:
    """Ids of the runs that the files of a project's baselines hold.

    Raises:
        BaselineError: A file can't be read: nobody knows which run it holds.
    """
    files = sorted((root / DIRECTORY).glob("*.json"))
    return {load_baseline(path).run_id for path in files if not is_foreign(path)}


def is_foreign(path: Path) -> bool:
    """Whether a file in a folder ``baselines`` is another tool's; a damaged one may be ours."""
    try:
        facts = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return not isinstance(facts, dict) or facts.keys().isdisjoint(("accepted_at", "run_id"))


def baseline_path(root: Path, name: str) -> Path:
    """Path of a baseline's file in a project.

    Args:
        root: The project's directory.
        name: The baseline's name.
    """
    return root / DIRECTORY / f"{name}.json"


def keep_results(results: Sequence[CaseResult]) -> dict[str, KeptCase]:
    """The part of a run's results that a baseline stores."""
    return {
        result.key: KeptCase(
            sha256=result.case.content_sha256,
            answers=tuple(
                (
                    str(answer.outcome),
                    {name: tuple(score.value for score in some) for name, some in _by_metric(answer).items()},
                )
                for answer in answers_of(result)
            ),
            labels=_noted(result, attrgetter("labels")),
            texts=_noted(result, attrgetter("texts")),
        )
        for result in results
    }


def _by_metric(answer: CaseResult | Repeat) -> dict[str, list[Score]]:
    """An answer's scores by metric: one for each check of that type."""
    found: dict[str, list[Score]] = {}
    for score in answer.scores:
        found.setdefault(score.metric, []).append(score)
    return found


def _noted(result: CaseResult, note: Callable[[Score], Any]) -> tuple[dict[str, Any], ...]:
    """What the scores of each answer have beside their values, by metric; nothing if none has any."""
    found = [
        {name: notes for name, some in _by_metric(answer).items() if any(notes := tuple(map(note, some)))}
        for answer in answers_of(result)
    ]
    return tuple(found) if any(found) else ()


def baseline_text(baseline: Baseline) -> str:
    """The file's content: indented, but with one line per case, so that a diff shows which cases changed."""
    facts = json.loads(encode(replace(baseline, cases={})))
    cases = json.loads(encode(baseline))["cases"]
    for case in cases.values():
        for part in ("labels", "texts"):
            if not case[part]:
                del case[part]
    head = json.dumps({"schema_version": _SCHEMA_VERSION, **facts}, indent=2)
    lines = ",\n".join(f"    {json.dumps(key)}: {json.dumps(case)}" for key, case in sorted(cases.items()))
    assert head.endswith('"cases": {}\n}')
    return head.removesuffix("{}\n}") + "{\n" + lines + "\n  }\n}\n"


def load_baseline(path: Path) -> Baseline:
    """Read a baseline's file.

    Raises:
        DamagedBaselineError: It holds no baseline.
        BaselineError: It can't be read, or was written by a later version.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BaselineError(f"{path}: can't be read: {error.strerror}") from error
    except ValueError as error:
        raise DamagedBaselineError(f"{path}: not a baseline: {error}; accept a run again") from error
    return read_baseline(text, str(path))


def read_baseline(text: str, path: str) -> Baseline:
    """A baseline from its file's content.

    Args:
        text: The content.
        path: Its name in messages.

    Raises:
        DamagedBaselineError: It holds no baseline.
        BaselineError: It was written by a later version.
    """
    try:
        facts = parse_json(text)
        version = facts.pop("schema_version")
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise DamagedBaselineError(f"{path}: not a baseline: {error}; accept a run again") from error
    if version == 1:
        facts = with_renamed_limit(facts)
    elif version not in {2, _SCHEMA_VERSION}:
        raise BaselineError(
            f"{path}: written in format {version}, this tunegate reads {_SCHEMA_VERSION}: upgrade tunegate"
        )
    try:
        return decode(Baseline, json.dumps(facts))
    except (DamagedFactsError, ValidationError) as error:
        raise DamagedBaselineError(f"{path}: not a baseline: {error}; accept a run again") from error


def run_of(baseline: Baseline, cases: Sequence[GoldenCase], *, whole: Collection[str] = ()) -> Run:
    """The accepted run as far as its file stores it, for unchanged cases.

    Args:
        baseline: The accepted run.
        cases: The current golden cases. A case that was changed since has no answers, so it is not paired and
            is reported as changed.
        whole: Names of sets that have no cases but these, so that the baseline's others were taken out.
    """
    results = []
    cut: dict[str, None] = {}
    for case in cases:
        kept = baseline.cases.get(case.key)
        if kept is not None:
            # Other content has another hash: so a changed case is noticed.
            is_same = kept.sha256 == case.content_sha256
            results.append(_result(case if is_same else replace(case, messages=()), kept))
            if is_same:
                cut |= dict.fromkeys(_cut_metrics(case, kept))
    if cut:
        active().note(
            f"baseline {baseline.name}: of a case's several checks of one type its file has the last score "
            f"alone ({', '.join(cut)}), so these are not compared: accept a run again"
        )
    now = {case.key for case in cases}
    for key, kept in baseline.cases.items():
        if key not in now and (name := set_of(key)) in whole:
            gone = GoldenCase(id=key.removeprefix(f"{name}/"), set_name=name, messages=())
            results.append(_result(gone, kept))
    here = {result.key for result in results}
    left_out = tuple(key for key in baseline.cases if key not in here)
    asked_alike = sorted((result.key, result.case.content_sha256) for result in results)
    content = json.dumps([*asked_alike, *left_out])
    return Run(
        # A separate run in the history: it has no answers' texts, and may be a part of the accepted one.
        id=f"{baseline.run_id}-kept-{hashlib.sha256(content.encode()).hexdigest()[:8]}",
        started_at=baseline.started_at,
        duration_s=baseline.duration_s,
        model=baseline.model,
        plan=baseline.plan,
        environment=baseline.environment,
        golden_sets=baseline.golden_sets,
        # The accepted run lacked none: what was added since is not here, nor what isn't asked for.
        collected=len(results),
        # Compared with another run than this gate's, it may have lost these.
        left_out=left_out,
        results=tuple(results),
        text_losses=baseline.text_losses,
        metrics=_metrics_of(baseline, results),
    )


def _metrics_of(baseline: Baseline, results: Sequence[CaseResult]) -> dict[str, MetricFacts]:
    """How to read the results' scores."""
    said = baseline.known_metrics
    return {name: said[name] for name in scored_metrics(results) if name in said}


def _cut_metrics(case: GoldenCase, kept: KeptCase) -> list[str]:
    """Metrics of which the file has one score of a case that has several."""
    return [
        metric
        for _, scores in kept.answers
        for metric, values in scores.items()
        if isinstance(values, float) and _is_cut(metric, case)
    ]


def _is_cut(metric: str, case: GoldenCase) -> bool:
    return sum(check.type == metric for check in case.checks) > 1


def _result(case: GoldenCase, kept: KeptCase) -> CaseResult:
    answers = [
        Repeat(
            completion=None,
            scores=tuple(
                score
                for metric, values in scores.items()
                for score in _scores(metric, values, labels.get(metric), texts.get(metric, ()), case)
            ),
            outcome=Outcome(outcome),
        )
        for (outcome, scores), labels, texts in zip(
            kept.answers,
            kept.labels or ({},) * len(kept.answers),
            kept.texts or ({},) * len(kept.answers),
            strict=True,
        )
    ]
    # As the run itself shows a case: by the answer that decides.
    shown = min(answers, key=lambda answer: WORST_FIRST.index(answer.outcome))
    return CaseResult(
        case=case,
        completion=None,
        scores=shown.scores,
        outcome=shown.outcome,
        repeats=tuple(answers) if len(answers) > 1 else (),
    )


def _scores(
    metric: str,
    values: tuple[float, ...] | float,
    labels: tuple[_Labels | None, ...] | _Labels | None,
    texts: tuple[ScoredTexts | None, ...],
    case: GoldenCase,
) -> list[Score]:
    """A case's scores of one metric; none where an earlier format kept that of the last check alone."""
    if isinstance(values, float):
        if _is_cut(metric, case):
            return []
        values = (values,)
    # A file can be edited by hand: of labels that are too few the rest is unknown.
    known, read = (*_of_each(labels or ()), *(None,) * len(values)), (*texts, *(None,) * len(values))
    return [
        Score(metric=metric, value=value, labels=pair, texts=of)
        for value, pair, of in zip(values, known, read, strict=False)
    ]


def _of_each(labels: tuple[_Labels | None, ...] | _Labels) -> tuple[_Labels | None, ...]:
    """The labels of each check; earlier formats kept those of the last one."""
    match labels:
        case (str(expected), str(predicted)):
            return ((expected, predicted),)
    return tuple(pair for pair in labels if not isinstance(pair, str))
