"""Answers that were sampled in training, stored one per line in ``samples.jsonl``."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.types.storage import parse_json
from harness.types.training import SAMPLES_FILE


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One sampled answer.

    Attributes:
        step: Optimizer step (or round) that it was sampled for, from 1.
        place: File and line of its prompt.
        prompt: The prompt's last turn.
        reward: The weighted sum.
        rewards: Its parts by reward; None where one doesn't apply.
    """

    step: int
    place: str
    prompt: str
    answer: str
    reward: float
    rewards: Mapping[str, float | None]


def add_samples(work: Path, samples: Sequence[Sample]) -> None:
    """Append to the work directory's file.

    Args:
        work: The run's work directory.
        samples: The samples, oldest first.
    """
    with (work / SAMPLES_FILE).open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(asdict(sample), ensure_ascii=False) + "\n" for sample in samples)


def read_samples(work: Path) -> list[Sample]:
    """All samples so far, oldest first; a last line that was cut off by a crash is left out."""
    path = work / SAMPLES_FILE
    if not path.is_file():
        return []
    samples = []
    for line in path.read_text(encoding="utf-8").split("\n"):
        try:
            samples.append(Sample(**parse_json(line)))
        except ValueError:
            continue
    return samples


def keep_until(work: Path, step: int) -> None:
    """Drop samples of later steps, which a resumed run samples again.

    Args:
        work: The run's work directory.
        step: The last step that is kept.
    """
    kept = [sample for sample in read_samples(work) if sample.step <= step]
    (work / SAMPLES_FILE).unlink(missing_ok=True)
    add_samples(work, kept)


def first_and_last(samples: Sequence[Sample]) -> tuple[list[Sample], list[Sample]]:
    """The samples of the first and of the last fifth of the steps, at least one step each."""
    steps = sorted({sample.step for sample in samples})
    size = max(len(steps) // 5, 1)
    first, last = set(steps[:size]), set(steps[-size:])
    return [s for s in samples if s.step in first], [s for s in samples if s.step in last]


def by_group(samples: Sequence[Sample], values: Sequence[float]) -> dict[tuple[int, str], list[float]]:
    """Values of answers, grouped by step and prompt.

    Args:
        samples: The answers.
        values: One value per answer, in the same order.

    Returns:
        Values by step and place of the prompt.
    """
    groups: dict[tuple[int, str], list[float]] = defaultdict(list)
    for sample, value in zip(samples, values, strict=True):
        groups[sample.step, sample.place].append(value)
    return dict(groups)
