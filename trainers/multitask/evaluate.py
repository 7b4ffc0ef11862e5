"""Scores answers to held-out rows with the gate's metrics; compares joint with separate training."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal, TypeAlias

from harness.comparison.metric_drop import compare_metric
from harness.comparison.pairing import PairedMetric
from harness.engines.multitask.decode import split_question
from harness.engines.multitask.description import Kind, Task
from harness.engines.multitask.network import Network, answer
from harness.metrics.entities import entity_f1, parse_entities
from harness.metrics.squad import normalise, token_f1
from harness.statistics.clusters import CONFIDENCE, mean_interval, rate_interval
from harness.statistics.jackknife import jackknife_error
from harness.types import Interval
from trainers.data.rows import Examples, Row
from trainers.multitask.data import TaskData

_BATCH = 32
# By metric, one value per held-out row.
Values: TypeAlias = Mapping[str, Sequence[float]]
METRICS: Mapping[Kind, Mapping[str, Literal["binary", "graded"]]] = {
    "label": {"accuracy": "binary"},
    "entities": {"entity-f1": "graded"},
    "span": {"squad-em": "binary", "squad-f1": "graded"},
}


def answers_to(network: Network, task: Task, examples: Examples) -> list[str]:
    """The head's answers to rows, in order.

    Args:
        network: The network.
        task: The head.
        examples: Rows with ``text``.
    """
    texts = [row["text"] for row in examples.rows]
    network.encoder.eval()
    return [
        said
        for start in range(0, len(texts), _BATCH)
        for said in answer(network, task, texts[start : start + _BATCH])
    ]


def values_of(kind: Kind, answers: Sequence[str], rows: Sequence[Row]) -> dict[str, list[float]]:
    """The kind's metrics, one value per row.

    Args:
        kind: The kind of task.
        answers: One text per row.
        rows: Rows with ``answer``, in the same order.

    Returns:
        By metric, one value per row: 0 or 1 for binary metrics, from 0 to 1 for graded ones.
    """
    pairs = [(said, row["answer"]) for said, row in zip(answers, rows, strict=True)]
    if kind == "label":
        return {"accuracy": [float(said == wanted) for said, wanted in pairs]}
    if kind == "entities":
        return {
            "entity-f1": [
                entity_f1(parse_entities(said), parse_entities(wanted))[2] for said, wanted in pairs
            ]
        }
    return {
        "squad-em": [float(normalise(said) == normalise(wanted)) for said, wanted in pairs],
        "squad-f1": [token_f1(said, wanted)[2] for said, wanted in pairs],
    }


def measured(data: TaskData, answers: Sequence[str]) -> dict[str, Any]:
    """Each metric of one network on a task's held-out rows, with n and interval.

    Args:
        data: The task, with held-out rows.
        answers: The network's answers to them, in order.

    Returns:
        ``n``, ``clusters`` (the number of independent groups of rows), and each metric's estimate, low, high,
        confidence and method.
    """
    if data.held_out is None:
        raise ValueError(f"{data.settings.name} has no held-out rows")
    rows, clusters = data.held_out.rows, _clusters(data)
    found: dict[str, Any] = {"n": len(rows), "clusters": len(set(clusters))}
    for metric, values in values_of(data.task.kind, answers, rows).items():
        if METRICS[data.task.kind][metric] == "binary":
            interval = rate_interval([value == 1.0 for value in values], clusters)
        else:
            interval = mean_interval(values, clusters, least=0.0, most=1.0)
        found[metric] = asdict(interval)
    if data.task.kind == "entities":
        found["entity-f1 over all"] = asdict(_pooled(answers, rows))
    return found


def _pooled(answers: Sequence[str], rows: Sequence[Row]) -> Interval:
    """F1 over all rows' entities together, as CoNLL computes it; its interval is the jackknife's."""
    from scipy.special import ndtri

    counted = []
    for said, row in zip(answers, rows, strict=True):
        found, wanted = parse_entities(said), parse_entities(row["answer"])
        counted.append(Counter(right=(found & wanted).total(), named=found.total() + wanted.total()))

    def pooled(places: Sequence[int]) -> float | None:
        named = sum(counted[place]["named"] for place in places)
        return 2 * sum(counted[place]["right"] for place in places) / named if named else None

    value = pooled(range(len(rows)))
    if value is None:
        # There was nothing to find and nothing was found: everything is right.
        value = 1.0
    error, _ = jackknife_error(list(range(len(rows))), pooled)
    half = float(ndtri((1 + CONFIDENCE) / 2)) * error
    return Interval(
        estimate=value,
        low=max(value - half, 0.0),
        high=min(value + half, 1.0),
        confidence=CONFIDENCE,
        method="jackknife",
    )


def compared(data: TaskData, together: Sequence[str], alone: Sequence[str]) -> list[dict[str, Any]]:
    """Compares a task's metrics after training with the others and after training alone, row by row.

    Args:
        data: The task.
        together: Answers of the network that learnt all tasks.
        alone: Answers of the network that learnt this task only, on the same batches.

    Returns:
        For each metric n, both means with intervals, the drop (alone minus together: positive if the others
        harmed it) with its interval, and the one-sided p-value of "no drop".
    """
    if data.held_out is None:
        raise ValueError(f"{data.settings.name} has no held-out rows")
    rows = data.held_out.rows
    of_both = values_of(data.task.kind, together, rows), values_of(data.task.kind, alone, rows)
    found = []
    for metric, kind in METRICS[data.task.kind].items():
        comparison = compare_metric(
            PairedMetric(
                set_name=data.settings.name,
                metric=metric,
                kind=kind,
                keys=tuple(f"{path.name}:{line}" for path, line in data.held_out.places),
                candidate=tuple(of_both[0][metric]),
                baseline=tuple(of_both[1][metric]),
                clusters=tuple(_clusters(data)),
            )
        )
        found.append(
            {
                "task": data.settings.name,
                "metric": metric,
                "n": comparison.n,
                "together": asdict(comparison.candidate.mean),
                "alone": asdict(comparison.baseline.mean),
                "drop": asdict(comparison.drop),
                "p_no_drop": comparison.p_value,
                "minimum_detectable_drop": comparison.minimum_detectable_drop,
                "worse": list(comparison.lost),
                "better": list(comparison.gained),
            }
        )
    return found


def _clusters(data: TaskData) -> list[str | int]:
    """Questions about one passage are not independent; other rows are."""
    if data.held_out is None:
        return []
    if data.task.kind == "span":
        return [split_question(row["text"])[1] for row in data.held_out.rows]
    return list(range(len(data.held_out.rows)))
