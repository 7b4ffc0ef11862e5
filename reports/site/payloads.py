"""The data of the pages that a script draws, as JSON values."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, pairwise
from typing import Any

from harness.presentation.terminal import canary_lines, confidences
from harness.studies.trend import Trend
from harness.types import Interval
from harness.types.training import TrainingManifest
from reports.html import figures
from reports.html.charts import is_drawn
from reports.html.names import PASS_RATE
from reports.html.text import one_line
from reports.site.digest import CaseDigest, RunDigest
from reports.site.gathering import AcceptedRun, SiteData, Training
from reports.site.scorers import scored_otherwise, scorers_payload
from reports.site.states import change_text, is_higher_better, metric_title
from tunegate.figures import is_small

_DIGITS = 5
_MOST_POINTS, _MOST_LINES = 300, 40
_MOST_DEGREES = 400  # from here on the t distribution is the normal one, to two digits


def runs_payload(runs: Sequence[RunDigest]) -> list[dict[str, Any]]:
    """What every page knows about the runs, oldest first."""
    return [
        {
            "id": run.line.id,
            "at": run.line.started_at,
            "model": one_line(run.line.model, 80),
            "verdict": run.line.verdict,
            "partial": run.line.partial,
            "commit": (run.line.commit or "")[:8],
            "subject": one_line(run.subject, 80),
            "baseline": run.line.baseline_run_id,
        }
        for run in runs
    ]


def trends_payload(data: SiteData) -> dict[str, Any]:
    """Each metric over the runs, with changes and accepted runs."""
    places = {run.line.id: place for place, run in enumerate(data.runs)}
    return {
        "runs": runs_payload(data.runs),
        "trends": [_trend(trend, places, data.accepted) for trend in data.trends],
    }


def _trend(trend: Trend, places: Mapping[str, int], accepted: Sequence[AcceptedRun]) -> dict[str, Any]:
    note, is_worse = change_text(trend)
    marks = [
        (each, *each.means[trend.set_name, trend.metric])
        for each in accepted
        if (trend.set_name, trend.metric) in each.means
    ]
    return {
        "set": trend.set_name,
        "metric": trend.metric,
        "title": metric_title(trend.set_name, trend.metric),
        "rate": trend.metric == PASS_RATE,
        "higher": is_higher_better(trend),
        "points": [
            [places[point.run_id], *_span(point.summary.mean), point.summary.n, _word(point.verdict)]
            for point in trend.points
        ],
        "confidence": confidences(point.summary.mean for point in trend.points),
        "change": trend.change,
        "levels": None if trend.levels is None else [_round(level) for level in trend.levels],
        "note": note,
        "worse": is_worse,
        "start": trend.start_note,
        "accepted": [
            [each.name, each.run_id, each.accepted_at, one_line(each.reason, 200), n, *_span(mean)]
            for each, n, mean in marks
        ],
    }


def compare_payload(data: SiteData) -> dict[str, Any]:
    """The figures of each run, each case's outcome in it, what decided it, and what scored the runs."""
    keys = case_keys(data.runs)
    decided = [_decided_by(data.runs, key) for key in keys]
    checks = {names: place for place, names in enumerate(dict.fromkeys(chain.from_iterable(decided)))}
    return {
        "runs": runs_payload(data.runs),
        "confidence": confidences(figure.candidate for run in data.runs for figure in run.figures),
        "figures": [
            [
                [
                    figure.set_name,
                    figure.metric,
                    figure.n,
                    _span(figure.candidate),
                    _span(figure.baseline),
                    _span(figure.drop),
                    _round(figure.margin),
                    _word(figure.verdict),
                ]
                for figure in run.figures
            ]
            for run in data.runs
        ],
        "cases": [[key, *_over_runs(data.runs, key), *_clusters(data.runs, key)] for key in keys],
        "checks": list(checks),
        "decided": [[checks[names] for names in each] for each in decided],
        **scorers_payload([run.facts for run in data.runs], [run.opponent for run in data.runs]),
        "groups": sorted({each for run in data.runs for each in run.groups_of_pairs}),
        **_graded(data.runs),
    }


def _clusters(runs: Sequence[RunDigest], key: str) -> list[str]:
    """The cluster that the newest run has for a case, if it has one."""
    newest = next(run.cases[key] for run in reversed(runs) if key in run.cases)
    return [] if newest.cluster is None else [newest.cluster]


def _decided_by(runs: Sequence[RunDigest], key: str) -> list[tuple[str, ...]]:
    """What decided a case, by its versions: in any run, for where it errored nothing did."""
    found: dict[str, set[str]] = {}
    for run in runs:
        if (case := run.cases.get(key)) is not None:
            found.setdefault(case.content, set()).update(case.decided_by)
    return [tuple(sorted(each)) for each in found.values()]


def _graded(runs: Sequence[RunDigest]) -> dict[str, Any]:
    """Each case's values of gated graded metrics, and the quantiles for their intervals.

    Returns:
        ``graded``, by set and metric the sign of better and of each case its values, a run a place; and
        ``quantiles`` of the t distribution at 0.95, by degrees of freedom from 1 on.
    """
    names = dict.fromkeys(
        (key.split("/")[0], metric)
        for run in runs
        for key, case in run.cases.items()
        for metric in case.values
    )
    if not names:
        return {"graded": [], "quantiles": []}
    from scipy.special import stdtrit

    keys = case_keys(runs)
    lower = frozenset[str]().union(*(run.lower_is_better for run in runs))
    return {
        "graded": [
            [
                set_name,
                metric,
                -1 if metric in lower else 1,
                [
                    [place, [_value(run.cases.get(key), metric) for run in runs]]
                    for place, key in enumerate(keys)
                    if key.startswith(f"{set_name}/")
                ],
            ]
            for set_name, metric in names
        ],
        "quantiles": [_round(float(stdtrit(each, 0.95))) for each in range(1, _MOST_DEGREES)],
    }


def _value(case: CaseDigest | None, metric: str) -> float | None:
    value = None if case is None else case.values.get(metric)
    return None if value is None else _round(value)


def case_keys(runs: Sequence[RunDigest]) -> list[str]:
    """All cases, each once, in the order of the newest run."""
    return list(dict.fromkeys(key for run in reversed(runs) for key in run.cases))


def _over_runs(runs: Sequence[RunDigest], key: str) -> tuple[str, str]:
    """A case's outcome in each run, a sign a run; and the version of prompt and checks, a letter a run."""
    signs: list[str] = []
    versions: list[str] = []
    known: dict[str, int] = {}
    for run in runs:
        case = run.cases.get(key)
        if case is None:
            signs.append(".")
            versions.append(".")
        else:
            signs.append(case.sign)
            versions.append(chr(ord("a") + min(known.setdefault(case.content, len(known)), 25)))
    return "".join(signs), "".join(versions)


def gains_payload(data: SiteData) -> dict[str, Any]:
    """Of each run with probes: what its task sets gained over its baseline, and what it kept of the base.

    Where the base did not answer, it is what it kept of its baseline, which is named.
    """
    points = []
    for place, run in enumerate(data.runs):
        kept = run.retention
        if kept is None:
            continue
        loss = run.loss_change
        points.append(
            {
                "run": place,
                "gains": [
                    # A drop is baseline minus candidate; a gain is the reverse.
                    [
                        figure.set_name,
                        -_round(figure.drop.estimate),
                        -_round(figure.drop.high),
                        -_round(figure.drop.low),
                        figure.n,
                    ]
                    for figure in run.figures
                    if figure.metric == PASS_RATE and not figure.is_probe
                ],
                "kept": [kept.retained, kept.passed_by_baseline, *_span(kept.rate)],
                "skills": [
                    [each.skill, each.retained, each.passed_by_baseline, *_span(each.rate)]
                    for each in run.by_skill
                ],
                "loss": None if loss is None else _span(loss),
                "baseline": run.baseline,
                "since": "the base" if run.since_base else run.baseline or "the baseline",
            }
        )
    retained = [each for run in data.runs for each in (run.retention, *run.by_skill) if each is not None]
    return {
        "runs": runs_payload(data.runs),
        "confidence": confidences(each.rate for each in retained),
        "points": points,
    }


def cases_payload(data: SiteData, limit: int) -> dict[str, Any]:
    """Each case over the runs: outcomes, and the answers where the outcome changed.

    Args:
        data: What is shown.
        limit: Most characters of one text.

    Returns:
        The runs; of each case its key, signs, versions, prompt and shown runs, each with what decided it and
        was scored otherwise in the shown run before; and the texts that numbers refer to.
    """
    texts: dict[str, int] = {}

    def stored(text: str | None) -> int | None:
        """The place of a text among all texts, in which each is once."""
        return None if text is None else texts.setdefault(_cut(text, limit), len(texts))

    cases = []
    for key in case_keys(data.runs):
        signs, versions = _over_runs(data.runs, key)
        shown = _shown_runs(signs, versions)
        newest = data.runs[shown[-1]].cases[key]
        cases.append(
            [
                key,
                signs,
                versions,
                stored(newest.prompt),
                [
                    [place, stored(case.answer), one_line(case.why, min(limit, 160)), *others]
                    for before, place in zip([None, *shown], shown, strict=False)
                    for case in (data.runs[place].cases[key],)
                    for others in (_other_scorers(data.runs, before, place, key),)
                ],
            ]
        )
    return {"runs": runs_payload(data.runs), "cases": cases, "texts": list(texts)}


def _other_scorers(runs: Sequence[RunDigest], before: int | None, place: int, key: str) -> list[list[str]]:
    """What decided a case in two runs and was scored otherwise in the first; or nothing."""
    if before is None:
        return []
    then, now = runs[before], runs[place]
    both = [name for name in now.cases[key].decided_by if name in then.cases[key].decided_by]
    # A live base is a new run in each session: as in trends, its answers are one opponent's.
    names = scored_otherwise(both, (then.facts, then.opponent_name), (now.facts, now.opponent_name))
    return [names] if names else []


def _shown_runs(signs: str, versions: str) -> list[int]:
    """The runs whose answers are shown: the first one, where something changed, and the newest."""
    present = [place for place, sign in enumerate(signs) if sign != "."]
    changed = [
        now
        for before, now in pairwise(present)
        if (signs[before], versions[before]) != (signs[now], versions[now])
    ]
    return sorted({present[0], *changed[-_MOST_LINES:], present[-1]})


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]}…"


def trainings_payload(data: SiteData) -> dict[str, Any]:
    """Each training's curves and figures, newest last."""
    verdicts = {run.line.id: [run.line.id, run.line.started_at, run.line.verdict] for run in data.runs}
    return {
        "trainings": [
            {
                "name": training.name[:16],
                "label": one_line(training.label, 80),
                "facts": _training_facts(training.manifest),
                "curves": _curves(training),
                "canaries": [one_line(line, 160) for line in canary_lines(training.manifest)],
                "runs": [verdicts[run] for run in training.runs],
            }
            for training in data.trainings
        ]
    }


def _training_facts(manifest: TrainingManifest | None) -> list[list[str]]:
    if manifest is None:
        return [["state", "running or interrupted"]]
    facts: list[tuple[str, str | None]] = [
        ("method", manifest.method),
        ("base", manifest.base),
        ("steps", None if manifest.steps is None else figures.count(manifest.steps)),
        ("time", None if manifest.duration_s is None else figures.duration(manifest.duration_s)),
        ("rows", None if manifest.data.rows is None else figures.count(manifest.data.rows)),
        ("seed", None if manifest.seed is None else str(manifest.seed)),
        ("reward", _reward_change(manifest)),
    ]
    return [[name, one_line(value, 120)] for name, value in facts if value]


def _reward_change(manifest: TrainingManifest) -> str | None:
    """The reward of the first and the last fifth of the steps, as the trainer noted them."""
    change = None if manifest.rewards is None else manifest.rewards.change
    if not isinstance(change, Mapping):
        return None
    told = []
    for side, count in (("before", "n_before"), ("after", "n_after")):
        found = change.get(side)
        ends = [found.get(key) for key in ("estimate", "low", "high")] if isinstance(found, Mapping) else []
        means = [figures.mean(float(each)) for each in ends if is_drawn(each)]
        if len(means) != 3:
            return None
        told.append(f"{means[0]} [{means[1]}, {means[2]}] n={change.get(count)}")
    return " → ".join(told)


# By key of the log: the chart's title and unit.
_CURVES = {
    "loss": "Training loss, nats per token",
    "eval_loss": "Held-out loss, nats per token",
    "reward": "Mean reward of sampled answers",
    "kl": "KL to the reference, nats per token",
    "eval_golden_passed": "Golden cases passed, share",
}


def _curves(training: Training) -> dict[str, tuple[list[int], list[float]]]:
    """By title the steps and their values."""
    log: Iterable[Mapping[str, object]] = training.log or _log_of(training.manifest)
    points: dict[str, dict[int, float]] = {}
    for entry in log:
        for key in _CURVES:
            value, step = entry.get(key), entry.get("step")
            if isinstance(step, int) and is_drawn(value):
                points.setdefault(key, {})[step] = _round(float(value))
    drawn = {}
    for key, title in _CURVES.items():
        if found := sorted(points.get(key, {}).items()):
            kept = found[:: len(found) // _MOST_POINTS + 1]
            kept += [] if kept[-1] == found[-1] else [found[-1]]
            drawn[title] = [step for step, _ in kept], [value for _, value in kept]
    return drawn


def _log_of(manifest: TrainingManifest | None) -> list[dict[str, object]]:
    """What a manifest alone has."""
    if manifest is None:
        return []
    losses: list[dict[str, object]] = [{"step": each.step, "loss": each.loss} for each in manifest.losses]
    rewards = () if manifest.rewards is None else manifest.rewards.steps
    return losses + [{"step": each.step, "reward": each.reward, "kl": each.kl} for each in rewards]


def _span(interval: Interval) -> list[float]:
    return [_round(interval.estimate), _round(interval.low), _round(interval.high)]


def _round(value: float) -> float:
    """A figure with so many decimals, or digits if it is a small one."""
    return float(f"{value:.{_DIGITS}g}") if is_small(value) else round(value, _DIGITS)


def _word(verdict: object) -> str | None:
    return None if verdict is None else str(verdict)
