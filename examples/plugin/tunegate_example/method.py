"""The training method ``memorise``: learns answers by heart."""

import json
from pathlib import Path
from typing import Annotated

from pydantic import Field

from trainers.config import StrictModel


class MemoriseConfig(StrictModel):
    """The data and the output of the training."""

    data: Annotated[Path, Field(description="JSON lines with prompt and completion.")]
    output: Annotated[Path, Field(description="The file for the canned engine.")]


def train(config: MemoriseConfig, *, resume: bool = False) -> int:
    """Write the file.

    Returns:
        The exit status.
    """
    rows = [json.loads(line) for line in config.data.read_text(encoding="utf-8").splitlines()]
    answers = {row["prompt"]: row["completion"] for row in rows}
    config.output.write_text(json.dumps(answers, indent=2) + "\n", encoding="utf-8")
    print(f"learnt {len(answers)} answers by heart: pytest --model=canned:{config.output}")
    return 0
