"""The gated metrics of earlier runs, as a page draws them: by the rules of ``tunegate runs trend``.

A line through runs of some hard cases, or through means of other cases each, shows no change of a model. So
runs without some cases take no part, nor sets of which too many cases have no verdict, nor means over the
compared part of a run's cases. Where a metric became another one, the line begins. All this is known without
reading any answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from harness.comparison.pairing import PASS_RATE
from harness.history.migrations import plain_text
from harness.history.store import History
from harness.registry.content_metrics import SET_METRICS
from harness.types import JUDGE, UNKNOWN_WEIGHTS, Check, GateVerdict, MetricFacts
from harness.types.storage import DamagedFactsError, decode_value, parse_json, unpack

# The metric of pairs, and groups that it may be in.
_MAY_COMPARE = frozenset(
    {"pairwise", *(f"{sign}{name}" for name in ("all-of", "any-of") for sign in ("", "not-"))}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PastMetric:
    """One gated metric of one judged run.

    Attributes:
        mean: The candidate's.
        verdict: The metric's own.
        set_sha256: Hash of its golden set's file; empty if it is unknown.
    """

    run_id: str
    started_at: str
    model: str
    set_name: str
    metric: str
    mean: float
    verdict: GateVerdict | None
    set_sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One row of a run's comparison.

    Attributes:
        n: Cases of its mean.
        decided: Cases of its set that passed or failed.
        undecided: Those that errored or are unscored.
    """

    set_name: str
    metric: str
    mean: float
    n: int
    margin: float | None
    verdict: str | None
    decided: int
    undecided: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _PastRun:
    """A run that lacks no case.

    Attributes:
        facts: What is stored of it besides its results.
        opponent: What identifies the model with whose answers pairs were compared.
        pairs: By golden set, the checks that compare so, each with whether it decides cases.
    """

    id: str
    started_at: str
    model: str
    facts: Mapping[str, Any]
    opponent: tuple[str | None, ...]
    rows: Sequence[_Row] = ()
    pairs: Mapping[str, Mapping[str, bool]] = field(default_factory=dict)

    def facts_of(self, row: _Row) -> dict[str, Any]:
        """The facts that say how to read a metric, or a pass rate of the set's checks."""
        known = self.facts.get("metrics") or {}
        of_set = [each.metric for each in self.rows if each.set_name == row.set_name]
        names = of_set if row.metric == PASS_RATE else [row.metric]
        found = {name: known[name] for name in names if name in known}
        for name, decides in self.pairs.get(row.set_name, {}).items():
            if name in found and (decides or row.metric != PASS_RATE):
                # Against other answers they are other values, as in the trend.
                version = f"{found[name].get('version')} against {self.opponent}"
                found[name] = {**found[name], "version": version}
        return found


def past_metrics(stored: History, until: str, limit: int = 40) -> list[PastMetric]:
    """The gated metrics of the newest whole runs, oldest first.

    Args:
        stored: The history.
        until: Id of the last run; if it is not stored, the newest one is.
        limit: The largest number of runs.

    Raises:
        DamagedFactsError: What is stored of a run is damaged.
    """
    runs = _whole_runs(stored, until, limit)
    try:
        pairs = _pairs(stored, runs)
        kept = _own_means(stored, [replace(run, pairs=pairs.get(run.id, {})) for run in runs])
        return [point for series in kept.values() for point in _since_changed(series)]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedFactsError(f"an earlier run is damaged: {error!r}") from error


def _whole_runs(stored: History, until: str, limit: int) -> list[_PastRun]:
    """The runs with their comparisons' rows, oldest first."""
    found = stored.database.execute(
        f"""
        SELECT runs.id, runs.started_at, runs.model, runs.facts,
        before.base_sha256, before.adapter_sha256, before.model, baseline_run_id
        FROM gates JOIN runs ON runs.id = gates.run_id LEFT JOIN runs AS before ON before.id = baseline_run_id
        WHERE gates.no <= coalesce((SELECT last.no FROM gates AS last WHERE last.run_id = ?), gates.no)
        AND runs.collected <= (SELECT sum(cases) FROM run_outcomes WHERE run_no = runs.no)
        ORDER BY gates.no DESC LIMIT {int(limit)}
        """,
        (plain_text(until),),
    ).fetchall()
    whole: dict[str, _PastRun] = {}
    for run_id, started_at, model, text, *opponent in reversed(found):
        try:
            facts = parse_json(text)
            if not facts.get("left_out"):
                whole[run_id] = _PastRun(
                    id=run_id,
                    started_at=started_at,
                    model=model,
                    facts=facts,
                    opponent=_opponent(*opponent),
                )
        except (ValueError, AttributeError) as error:
            raise DamagedFactsError(f"run {run_id} is damaged: {error}") from error
    rows = _rows(stored, list(whole))
    return [replace(run, rows=rows.get(run_id, ())) for run_id, run in whole.items()]


def _opponent(
    base: str | None, adapter: str | None, label: str | None, run_id: str | None
) -> tuple[str | None, ...]:
    """By the rules of the trend: of weights that nobody identifies each session makes another hash."""
    if not base:
        # Another tool's log, or a run that is not stored.
        return (run_id,)
    return (label,) if base.startswith(UNKNOWN_WEIGHTS) else (base, adapter)


def _pairs(stored: History, runs: Sequence[_PastRun]) -> dict[str, dict[str, dict[str, bool]]]:
    """By run and golden set, the checks that compare answers with the baseline's, and whether they decide."""
    run_ids = [run.id for run in runs if any(map(_may_compare, (run.facts.get("metrics") or {}).items()))]
    if not run_ids:
        return {}
    # Few projects compare pairs.
    from harness.comparison.times import asks_pairwise
    from harness.golden.schema import decides

    asked = f"""
        FROM runs JOIN run_answers ON run_answers.run_no = runs.no
        JOIN answers ON answers.no = run_answers.answer_no WHERE runs.id IN ({_places(run_ids)})
        """
    cases = stored.database.execute(
        f"SELECT no, set_name, packed FROM cases WHERE no IN (SELECT case_no {asked})", run_ids
    ).fetchall()
    checks: dict[int, tuple[str, dict[str, bool]]] = {}
    for number, set_name, packed in cases:
        of_case: dict[str, bool] = {}
        for each in parse_json(unpack(packed)[0])["checks"]:
            check = decode_value(Check, each)
            if asks_pairwise(check):
                of_case[check.type] = of_case.get(check.type, False) or decides(check)
        if of_case:
            checks[number] = set_name, of_case
    found: dict[str, dict[str, dict[str, bool]]] = {}
    for run_id, number in stored.database.execute(
        f"SELECT DISTINCT runs.id, case_no {asked}", run_ids
    ).fetchall():
        if number in checks:
            set_name, of_case = checks[number]
            of_set = found.setdefault(run_id, {}).setdefault(set_name, {})
            of_set.update({name: of_set.get(name, False) or does for name, does in of_case.items()})
    return found


def _may_compare(metric: tuple[str, Mapping[str, Any]]) -> bool:
    """Whether a metric may ask a judge about pairs, by its facts: groups may."""
    name, facts = metric
    scored_by = facts.get("scored_by")
    return name in _MAY_COMPARE and (scored_by is None or JUDGE in scored_by)


def _rows(stored: History, run_ids: Sequence[str]) -> dict[str, list[_Row]]:
    if not run_ids:
        return {}
    counted = (
        f"(SELECT coalesce(sum(cases), 0) FROM run_outcomes WHERE run_no = runs.no "
        f"AND run_outcomes.set_name = comparisons.set_name AND outcome IN ({outcomes}))"
        for outcomes in ("'passed', 'failed'", "'errored', 'unscored'")
    )
    found = stored.database.execute(
        f"""
        SELECT run_id, set_name, metric, candidate_mean, n, margin, verdict, {", ".join(counted)}
        FROM comparisons JOIN runs ON runs.id = run_id
        WHERE candidate_mean IS NOT NULL AND run_id IN ({_places(run_ids)}) ORDER BY place
        """,
        run_ids,
    ).fetchall()
    names = ("set_name", "metric", "mean", "n", "margin", "verdict", "decided", "undecided")
    rows: dict[str, list[_Row]] = {}
    for run_id, *values in found:
        rows.setdefault(run_id, []).append(_Row(**dict(zip(names, values, strict=True))))
    return rows


def _places(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))


def _own_means(
    stored: History, runs: Sequence[_PastRun]
) -> dict[tuple[str, str], list[tuple[_PastRun, _Row]]]:
    """The gated rows whose mean is that of all the run's own cases, by set and metric."""
    gated = [(run, row) for run in runs for row in run.rows if row.margin is not None]
    values = _values(stored, [(run, row) for run, row in gated if row.metric != PASS_RATE])
    incomplete = _incomplete_sets(stored, [run.id for run, row in gated if row.undecided])
    kept: dict[tuple[str, str], list[tuple[_PastRun, _Row]]] = {}
    for run, row in gated:
        own = row.decided
        if row.metric != PASS_RATE:
            own = values.get((run.id, row.set_name, _scored(row.metric)), 0)
        if row.n == own and (run.id, row.set_name) not in incomplete:
            kept.setdefault((row.set_name, row.metric), []).append((run, row))
    return kept


def _scored(metric: str) -> str:
    """The check whose scores a metric is made of."""
    return SET_METRICS.get(metric, metric)


def _values(stored: History, rows: Sequence[tuple[_PastRun, _Row]]) -> dict[tuple[str, str, str], int]:
    """How many of a run's own cases have a value, by run, set and metric."""
    run_ids = list(dict.fromkeys(run.id for run, _ in rows))
    metrics = list(dict.fromkeys(_scored(row.metric) for _, row in rows))
    if not run_ids:
        return {}
    found = stored.database.execute(
        f"""
        SELECT runs.id, cases.set_name, metric, count(DISTINCT case_no)
        FROM runs JOIN run_answers ON run_answers.run_no = runs.no
        JOIN answers ON answers.no = run_answers.answer_no JOIN cases ON cases.no = case_no
        JOIN answer_scores ON answer_scores.answer_no = answers.no
        WHERE answers.outcome <> 'errored' AND value IS NOT NULL
        AND runs.id IN ({_places(run_ids)}) AND metric IN ({_places(metrics)})
        GROUP BY runs.id, cases.set_name, metric
        """,
        (*run_ids, *metrics),
    ).fetchall()
    return {(run_id, set_name, metric): int(cases) for run_id, set_name, metric, cases in found}


def _incomplete_sets(stored: History, run_ids: Sequence[str]) -> set[tuple[str, str]]:
    """Runs' sets of which more cases have no verdict than they tolerate, as their gates found."""
    ids = list(dict.fromkeys(run_ids))
    if not ids:
        return set()
    found = stored.database.execute(
        f"SELECT run_id, facts FROM gates WHERE run_id IN ({_places(ids)})", ids
    ).fetchall()
    return {
        (run_id, plain_text(finding["set_name"]))
        for run_id, text in found
        for finding in (parse_json(text)["verdict"] or {}).get("findings", ())
        if finding["data"]["kind"] == "no-verdict" and finding["data"]["side"] == "candidate"
    }


def _since_changed(series: Sequence[tuple[_PastRun, _Row]]) -> list[PastMetric]:
    """One metric's points, from the run on in which it became what it is."""
    pairs = list(pairwise(series))
    changed = [place for place, (before, now) in enumerate(pairs, start=1) if _is_another(before, now)]
    return [_point(run, row) for run, row in series[max(changed, default=0) :]]


def _is_another(before: tuple[_PastRun, _Row], now: tuple[_PastRun, _Row]) -> bool:
    """Whether the values of one metric in two runs are not of the same kind."""
    earlier, later = (run.facts_of(row) for run, row in (before, now))
    if earlier == later:
        return False
    # Few metrics change, and few pages need what trends do.
    from harness.studies.metric_change import metric_change

    then, since = (
        {name: decode_value(MetricFacts, each) for name, each in facts.items()} for facts in (earlier, later)
    )
    return metric_change(now[1].metric, then, since) is not None


def _point(run: _PastRun, row: _Row) -> PastMetric:
    sets = run.facts.get("golden_sets") or ()
    hashes = {plain_text(each["name"]): each.get("content_sha256", "") for each in sets}
    return PastMetric(
        run_id=run.id,
        started_at=run.started_at,
        model=run.model,
        set_name=row.set_name,
        metric=row.metric,
        mean=row.mean,
        verdict=None if row.verdict is None else GateVerdict(row.verdict),
        set_sha256=hashes.get(row.set_name, ""),
    )
