"""Makes runs of other tools' logs: what decides, each case's outcome, and the run's identity."""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from harness.baselines.metric_choice import MetricChoice, chosen_facts
from harness.comparison.pairing import fold_repeats
from harness.errors import DataError, SettingsError
from harness.history.logs.log_cases import LogAnswer, LogCase, RunLog
from harness.registry.builtin_metrics import BUILTIN_METRICS
from harness.types import (
    CaseResult,
    Check,
    Completion,
    Environment,
    ExecutionPlan,
    GateSettings,
    GoldenCase,
    GoldenSet,
    MetricError,
    MetricFacts,
    ModelRef,
    Outcome,
    Run,
    Score,
)
from harness.types.storage import encode

# What an answer took, which decides only if it is chosen.
USAGE = frozenset({"latency", "throughput", "tokens"})
# The score of a tool that says whether an answer passed.
VERDICT = "passed"
# Largest tolerated drop of a graded metric on a scale from 0 to 1.
_USUAL_MARGIN = 0.05
_BINARY = MetricFacts(kind="binary")


def runs_of(logs: Sequence[RunLog], choices: Mapping[str, MetricChoice]) -> list[Run]:
    """Logs that are compared with each other as runs: they are read alike.

    Args:
        logs: The logs.
        choices: The metrics that decide, by name; without any, those that each log's tool reports first.

    Returns:
        The runs, in order.

    Raises:
        SettingsError: A chosen metric is in no log, or its scale has to be given.
        DataError: A value is off its scale.
    """
    logs = [_with_usage(log) for log in logs]
    named = {name for log in logs for name in _metrics(log)}
    for name in choices:
        if name not in named:
            allowed = ", ".join(sorted(named)) or "none: the log has no values"
            raise SettingsError(f"--metric {name}: not in {logs[0].path.name} (allowed: {allowed})")
    facts = _common_facts(logs, choices)
    return [_run(log, facts, choices) for log in (logs if choices else _decided_alike(logs))]


def _decided_alike(logs: Sequence[RunLog]) -> list[RunLog]:
    """The logs with the same deciding metric for each set: the first log's that all of them have."""
    present = [_metrics_by_set(log) for log in logs]
    agreed: dict[str, str] = {}
    for set_name in {name for found in present for name in found}:
        having = [
            (log, found[set_name]) for log, found in zip(logs, present, strict=True) if set_name in found
        ]
        named = [log.deciding.get(set_name, VERDICT) for log, _ in having]
        # Where a side has no values at all, each of its cases errored.
        common = [name for name in named if all(name in names or not names for _, names in having)]
        if common:
            agreed[set_name] = common[0]
    return [
        replace(
            log,
            deciding={
                **log.deciding,
                **{
                    name: metric
                    for name, metric in agreed.items()
                    if name in found and (metric in found[name] or not found[name])
                },
            },
        )
        for log, found in zip(logs, present, strict=True)
    ]


def _metrics_by_set(log: RunLog) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for case in log.cases:
        names = found.setdefault(case.set_name, set())
        for answer in case.answers:
            names.update(answer.values)
            if answer.passed is not None:
                names.add(VERDICT)
    return found


def _with_usage(log: RunLog) -> RunLog:
    """The log with time and tokens of its answers as metrics, unless it has metrics of these names."""
    own = {name for case in log.cases for answer in case.answers for name in answer.values}
    cases = tuple(
        replace(case, answers=tuple(_answer_with_usage(answer, own) for answer in case.answers))
        for case in log.cases
    )
    facts = {name: BUILTIN_METRICS[name].facts for name in USAGE if name not in own}
    return replace(log, cases=cases, facts={**facts, **log.facts})


def _answer_with_usage(answer: LogAnswer, own: Collection[str]) -> LogAnswer:
    seconds, tokens = answer.latency_s, answer.completion_tokens
    usage = {
        **({"latency": seconds * 1000} if seconds > 0 else {}),
        **({"tokens": float(tokens)} if tokens > 0 else {}),
        **({"throughput": tokens / seconds} if seconds > 0 and tokens > 0 else {}),
    }
    return replace(answer, values={**answer.values, **{k: v for k, v in usage.items() if k not in own}})


def _metrics(log: RunLog) -> dict[str, None]:
    """Names of the metrics with a value, in order of appearance; that of the tool's verdicts among them."""
    answers = [answer for case in log.cases for answer in case.answers]
    told = [VERDICT] if any(answer.passed is not None for answer in answers) else []
    return dict.fromkeys([*told, *(name for answer in answers for name in answer.values)])


def _common_facts(logs: Sequence[RunLog], choices: Mapping[str, MetricChoice]) -> dict[str, MetricFacts]:
    """How to read each metric, alike in all logs; those of which it is unknown are left out.

    Shares that are 0 or 1 in every answer of all logs are binary.
    """
    found: dict[str, MetricFacts] = {VERDICT: _BINARY}
    for name in dict.fromkeys(name for log in logs for name in _metrics(log) if name != VERDICT):
        told = [log.facts[name] for log in logs if name in log.facts]
        # Where two logs disagree, neither is believed.
        said = told[0] if told and told == told[:1] * len(told) and _fits_all(logs, name, told[0]) else None
        choice = choices.get(name, MetricChoice(name=name))
        facts = chosen_facts(said, choice)
        if facts is None:
            continue
        is_share = (facts.kind, facts.least, facts.most) == ("graded", 0.0, 1.0)
        if is_share and choice.kind is None and all(value in {0.0, 1.0} for value in _values(logs, name)):
            facts = replace(facts, kind="binary")
        found[name] = facts
    return found


def _fits_all(logs: Sequence[RunLog], name: str, facts: MetricFacts) -> bool:
    """Whether the values of logs that don't say how to read a metric fit what another log says."""
    silent = [log for log in logs if name not in log.facts]
    return not any(_off_scale(value, facts) for value in _values(silent, name))


def _values(logs: Sequence[RunLog], name: str) -> Iterator[float]:
    for log in logs:
        for case in log.cases:
            yield from (answer.values[name] for answer in case.answers if name in answer.values)


def _run(log: RunLog, facts: Mapping[str, MetricFacts], choices: Mapping[str, MetricChoice]) -> Run:
    _check_scales(log, facts)
    by_set: dict[str, list[LogCase]] = {}
    for case in log.cases:
        by_set.setdefault(case.set_name, []).append(case)
    results: list[CaseResult] = []
    sets = []
    for name, cases in by_set.items():
        deciding = _deciding(log, name, cases, choices, facts)
        margins = _margins(log, deciding, facts)
        sets.append(
            GoldenSet(
                name=name,
                path=str(log.path.name),
                description=f"{log.tool}; decided by {', '.join(deciding)}",
                gate=GateSettings(metric_margins=margins, margin=_pass_margin(deciding, facts)),
                content_sha256=_sha256([case.key for case in cases]),
            )
        )
        for case in cases:
            results += _results(case, deciding, facts, log.tool)
    run = Run(
        id="",
        started_at=log.started_at,
        duration_s=log.duration_s,
        model=_model(log),
        plan=ExecutionPlan(engine=log.tool, dtype=log.dtype, device=log.device, batch_tokens=0),
        environment=Environment(python="unknown", platform="unknown", packages=_packages(log.tool)),
        golden_sets=tuple(sets),
        collected=len(log.cases),
        results=tuple(fold_repeats(results)),
        metrics={name: facts[name] for name in _metrics(log) if name in facts},
    )
    # The same log, read the same way, is one run in the history, however often it is compared.
    time = "".join(character for character in log.started_at[:19] if character.isdigit()).ljust(14, "0")
    return replace(run, id=f"{time[:8]}-{time[8:]}-{_sha256(encode(run))[:8]}")


def _check_scales(log: RunLog, facts: Mapping[str, MetricFacts]) -> None:
    for case in log.cases:
        for answer in case.answers:
            for name, value in answer.values.items():
                if name in facts and (problem := _off_scale(value, facts[name])):
                    raise DataError(log.path, answer.line, f"case {case.key}: {name} is {value:g}: {problem}")


def _off_scale(value: float, facts: MetricFacts) -> str:
    if facts.kind == "binary" and value not in {0.0, 1.0}:
        return "it is 0 or 1 elsewhere; give its scale, such as --metric NAME:graded,0..1"
    low = facts.least is not None and value < facts.least
    high = facts.most is not None and value > facts.most
    if not low and not high:
        return ""
    ends = ["" if end is None else f"{end:g}" for end in (facts.least, facts.most)]
    return f"off its scale {'..'.join(ends)}; give another one, such as --metric NAME:graded,0..100"


def _deciding(
    log: RunLog,
    set_name: str,
    cases: Sequence[LogCase],
    choices: Mapping[str, MetricChoice],
    facts: Mapping[str, MetricFacts],
) -> dict[str, MetricChoice]:
    """The metrics that decide a set, with what was chosen for them."""
    present = _metrics(replace(log, cases=tuple(cases)))
    chosen = {name: choice for name, choice in choices.items() if name in present}
    # A time or a number of tokens is gated besides what decides.
    if set(chosen) - USAGE:
        return chosen
    if not present and (name := log.deciding.get(set_name)) in facts:
        # Each case errored: it is compared by what decides on the other side.
        return {str(name): MetricChoice(name=str(name))}
    return {**_usual(log, set_name, cases, present), **chosen}


def _usual(
    log: RunLog, set_name: str, cases: Sequence[LogCase], named: Iterable[str]
) -> dict[str, MetricChoice]:
    """What decides a set without a choice."""
    present = [name for name in named if name not in USAGE]
    if (name := log.deciding.get(set_name)) in present:
        return {str(name): MetricChoice(name=str(name))}
    if name and present:
        raise DataError(
            log.path,
            None,
            f"{set_name}: {name} decides, but no case has a value of it: log again, or choose another with "
            f"--metric (allowed: {', '.join(present)})",
        )
    if VERDICT in present:
        return {VERDICT: MetricChoice(name=VERDICT)}
    if not present and not any(answer.error for case in cases for answer in case.answers):
        raise DataError(log.path, None, f"{set_name}: no case has a score or a verdict")
    if len(present) > 1:
        raise SettingsError(
            f"{log.path}: {set_name}: say which metric decides with --metric (allowed: {', '.join(present)})"
        )
    return {name: MetricChoice(name=name) for name in present}


def _margins(
    log: RunLog, deciding: Mapping[str, MetricChoice], facts: Mapping[str, MetricFacts]
) -> dict[str, float]:
    """Tolerated drops of the graded metrics that decide."""
    margins = {}
    for name, choice in deciding.items():
        known = facts.get(name)
        if known is None:
            raise SettingsError(
                f"{log.path}: direction and scale of {name} are unknown: give them, such as "
                f"--metric {name}:higher,0..1"
            )
        if known.kind == "binary" or choice.threshold is not None:
            continue
        if choice.margin is None and (known.least, known.most) != (0.0, 1.0):
            raise SettingsError(
                f"{log.path}: {name} is not on a scale from 0 to 1: say which drop is tolerated, such as "
                f"--metric {name}:margin=2"
            )
        margins[name] = _USUAL_MARGIN if choice.margin is None else choice.margin
    return margins


def _pass_margin(deciding: Mapping[str, MetricChoice], facts: Mapping[str, MetricFacts]) -> float | None:
    """The margin that was chosen for a metric that makes cases pass or fail."""
    given = [
        choice.margin
        for name, choice in deciding.items()
        if choice.margin is not None and (facts[name].kind == "binary" or choice.threshold is not None)
    ]
    return min(given, default=None)


def _results(
    case: LogCase, deciding: Mapping[str, MetricChoice], facts: Mapping[str, MetricFacts], tool: str
) -> Iterator[CaseResult]:
    """One result for each answer."""
    # Two logs pair a case only if prompt, references and the tool's own identity of it are equal.
    checks = tuple(
        Check(
            type=name,
            threshold=deciding[name].threshold,
            options={"of": case.identity or tool.split(maxsplit=1)[0]},
        )
        for name in deciding
    )
    golden = GoldenCase(
        id=case.id,
        set_name=case.set_name,
        messages=case.messages,
        references=case.references,
        checks=checks,
        tags=case.tags,
        cluster=case.cluster,
        repeat=len(case.answers),
        line=case.answers[0].line or 0,
    )
    for answer in case.answers:
        scores = tuple(_scores(answer, deciding, facts))
        passed = [score.passed for score in scores if score.passed is not None]
        is_whole = len(passed) == sum(_decides(name, deciding, facts) for name in deciding)
        if answer.error:
            outcome = Outcome.ERRORED
        elif not passed or not is_whole:
            outcome = Outcome.UNSCORED
        else:
            outcome = Outcome.PASSED if all(passed) else Outcome.FAILED
        yield CaseResult(
            case=golden,
            completion=_completion(answer),
            scores=scores,
            errors=(MetricError(metric=tool.split(maxsplit=1)[0], error=answer.error),)
            if answer.error
            else (),
            outcome=outcome,
        )


def _decides(name: str, deciding: Mapping[str, MetricChoice], facts: Mapping[str, MetricFacts]) -> bool:
    return facts[name].kind == "binary" or deciding[name].threshold is not None


def _scores(
    answer: LogAnswer, deciding: Mapping[str, MetricChoice], facts: Mapping[str, MetricFacts]
) -> Iterator[Score]:
    told = {} if answer.passed is None else {VERDICT: float(answer.passed)}
    for name, value in {**told, **answer.values}.items():
        passed, threshold = None, None
        if name in deciding and _decides(name, deciding, facts):
            sign = 1 if facts[name].higher_is_better else -1
            threshold = deciding[name].threshold
            limit = threshold if threshold is not None else 1.0 if sign == 1 else 0.0
            passed = sign * value >= sign * limit
        yield Score(
            metric=name,
            value=value,
            threshold=threshold,
            passed=passed,
            explanation=answer.explanations.get(name, ""),
        )


def _completion(answer: LogAnswer) -> Completion | None:
    if answer.text is None:
        return None
    return Completion(
        text=answer.text,
        stop_reason="length" if answer.is_cut else "stop",
        prompt_tokens=answer.prompt_tokens,
        completion_tokens=answer.completion_tokens,
        latency_s=answer.latency_s,
    )


def _model(log: RunLog) -> ModelRef:
    """A log has no weights: the model is known by its name alone."""
    return ModelRef(label=log.model, base_model=log.model, base_sha256="")


def _packages(tool: str) -> dict[str, str]:
    name, _, version = tool.partition(" ")
    return {name: version} if version else {}


def _sha256(value: object) -> str:
    return hashlib.sha256(encode(value).encode()).hexdigest()
