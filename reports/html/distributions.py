"""How graded scores are distributed, and how large and slow the answers are, on both sides."""

from collections.abc import Callable, Iterable, Sequence

from harness.comparison.pairing import answers_of, scored_metrics
from harness.types import CaseResult, Completion, GateRecord, Run
from reports.html import figures
from reports.html.charts import histogram
from reports.html.names import metric_name
from reports.html.text import one_line
from reports.html.view import DistributionView, UsageRow, UsageView

_MOST_METRICS = 12
_QUANTILES = (("median", 0.5), ("90th percentile", 0.9), ("largest", 1.0))


def distributions(record: GateRecord) -> Iterable[DistributionView]:
    """One histogram for each graded metric of each golden set."""
    found = 0
    for golden_set in record.run.golden_sets:
        sides = [
            _of_set(run, golden_set.name) if run is not None else [] for run in (record.baseline, record.run)
        ]
        for metric in scored_metrics(sides[1]):
            facts = record.run.metrics.get(metric)
            if facts is None or facts.kind == "binary" or found == _MOST_METRICS:
                continue
            baseline, candidate = ([*_values(side, metric)] for side in sides)
            drawn = histogram(baseline, candidate)
            if drawn is None:
                continue
            found += 1
            told = [
                f"{side} median {figures.score(quantile(values, 0.5))} of {figures.count(len(values))}"
                for side, values in (("baseline", baseline), ("candidate", candidate))
                if values
            ]
            yield DistributionView(
                set_name=one_line(golden_set.name),
                metric=one_line(metric_name(metric, {}) if not facts.logarithmic else metric),
                histogram=drawn,
                drawing=", ".join(told),
            )


def _of_set(run: Run, set_name: str) -> list[CaseResult]:
    return [result for result in run.results if result.case.set_name == set_name]


def _values(results: Sequence[CaseResult], metric: str) -> Iterable[float]:
    """The scores of all answers: the one that decided its case is the worst of several."""
    scores = (score for result in results for answer in answers_of(result) for score in answer.scores)
    return (score.value for score in scores if score.metric == metric)


def _completions(run: Run) -> list[Completion]:
    answers = (answer for result in run.results for answer in answers_of(result))
    return [answer.completion for answer in answers if answer.completion is not None]


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the values doesn't exceed.

    Args:
        values: At least one.
        share: Between 0 and 1.
    """
    ordered = sorted(values)
    return ordered[min(max(-int(-share * len(ordered) // 1) - 1, 0), len(ordered) - 1)]


def usage_view(record: GateRecord) -> UsageView | None:
    """Tokens and time of the answers; None if no side has any."""
    runs = [("candidate", record.run), ("baseline", record.baseline)]
    sides = [(name, _completions(run)) for name, run in runs if run is not None]
    sides = [(name, completions) for name, completions in sides if completions]
    if not sides:
        return None
    rows = [_row("answers", sides, lambda each: figures.count(len(each)))]
    for label, share in _QUANTILES:
        rows.append(_row(f"tokens of an answer, {label}", sides, _at(share, lambda c: c.completion_tokens)))
    rows.append(_row("tokens of a prompt, median", sides, _at(0.5, lambda c: c.prompt_tokens)))
    rows.append(_row("cut at the token limit", sides, _cut))
    for label, share in _QUANTILES:
        rows.append(_row(f"time of an answer, {label}", sides, _time_at(share)))
    rows.append(_row("tokens a second", sides, _speed))
    return UsageView(sides=tuple(name for name, _ in sides), rows=tuple(rows))


_Sides = Sequence[tuple[str, Sequence[Completion]]]
_Figure = Callable[[Sequence[Completion]], str]


def _row(name: str, sides: _Sides, figure: _Figure) -> UsageRow:
    return UsageRow(name=name, values=tuple(figure(completions) for _, completions in sides))


def _at(share: float, size: Callable[[Completion], int]) -> _Figure:
    return lambda each: figures.count(round(quantile([size(completion) for completion in each], share)))


def _time_at(share: float) -> _Figure:
    return lambda each: figures.duration(quantile([completion.latency_s for completion in each], share), 2)


def _cut(completions: Sequence[Completion]) -> str:
    cut = sum(completion.stop_reason == "length" for completion in completions)
    return f"{figures.count(cut)} ({figures.percent(cut / len(completions))})"


def _speed(completions: Sequence[Completion]) -> str:
    seconds = sum(completion.latency_s for completion in completions)
    tokens = sum(completion.completion_tokens for completion in completions)
    return figures.count(round(tokens / seconds)) if seconds > 0 else "–"
