"""The same rows as tasks of inspect_ai."""

import json
from pathlib import Path
from typing import Any

from cases import passes
from inspect_ai import Task, task
from inspect_ai.dataset import Sample, json_dataset
from inspect_ai.model import GenerateConfig
from inspect_ai.scorer import CORRECT, INCORRECT, Score, accuracy, scorer, stderr
from inspect_ai.solver import generate

HERE = Path(__file__).parent


@scorer(metrics=[accuracy(), stderr()])
def checks() -> Any:
    """Correct if the answer passes all checks of its row."""

    async def score(state: Any, _: Any) -> Any:
        passed = passes(state.output.completion, json.loads(state.metadata["checks"]))
        return Score(value=CORRECT if passed else INCORRECT, answer=state.output.completion)

    return score


def _task(name: str, max_tokens: int) -> Any:
    rows = json_dataset(
        str(HERE / f"{name}.jsonl"),
        lambda row: Sample(
            id=row["id"], input=row["prompt"], target=row["target"], metadata={"checks": row["checks"]}
        ),
    )
    return Task(
        name=name,
        dataset=rows,
        solver=generate(),
        scorer=checks(),
        config=GenerateConfig(max_tokens=max_tokens),
    )


@task
def general() -> Any:
    """The forgetting probes."""
    return _task("general", 24)


@task
def orders() -> Any:
    """The golden set of orders."""
    return _task("orders", 40)
