"""Answers of a saved checkpoint by a process of its own, as ``pytest --model=CHECKPOINT`` would get them.

python -m trainers.callback.process_answers REQUEST.json ANSWERS.json
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.engines.base import BASELINE
from harness.errors import BaselineError, EngineError
from harness.presentation.boundary import run_process
from harness.run.cache import Cache
from harness.run.conclusion import session_runs
from harness.run.inputs import prepare
from harness.run.judging import as_baseline
from harness.run.session import run_session
from harness.settings import load_settings
from harness.types import GateRecord, Run
from harness.types.storage import decode, encode, write_whole
from trainers.callback.asking import TrainingGate, at_a_look, prepare_asking

# A process of its own is none of the training's.
_OF_LAUNCHER = (
    "RANK",
    "LOCAL_RANK",
    "WORLD_SIZE",
    "LOCAL_WORLD_SIZE",
    "GROUP_RANK",
    "MASTER_ADDR",
    "MASTER_PORT",
)


def answer_checkpoint(checkpoint: Path, asking: TrainingGate) -> tuple[Run, Run]:
    """Run a checkpoint and the baseline in a process of its own.

    Args:
        checkpoint: The checkpoint's directory.
        asking: What is asked.

    Returns:
        The checkpoint's run and the baseline's.

    Raises:
        EngineError: The process failed; its last line is the message.
    """
    with tempfile.TemporaryDirectory() as directory:
        request, answers = Path(directory) / "request.json", Path(directory) / "answers.json"
        given = {**asking.given, "model": [str(checkpoint)]}
        write_whole(request, json.dumps(given, default=str))
        environment = {
            name: value
            for name, value in os.environ.items()
            if name not in _OF_LAUNCHER and not name.startswith(("TORCHELASTIC_", "ACCELERATE_"))
        }
        done = subprocess.run(
            [sys.executable, "-m", "trainers.callback.process_answers", str(request), str(answers)],
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )
        if done.returncode or not answers.is_file():
            said = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
            raise EngineError(f"{checkpoint}: {said[-1] if said else f'exit status {done.returncode}'}")
        record = decode(GateRecord, answers.read_text(encoding="utf-8"))
    assert record.baseline is not None
    return record.run, record.baseline


def answer_request(request: Mapping[str, Any]) -> GateRecord:
    """The runs of a checkpoint and its baseline.

    Args:
        request: The callback's settings, and the checkpoint under ``model``.

    Raises:
        InputError: The checkpoint or the baseline can't be used.
    """
    given = {name: value for name, value in request.items() if name != "model"}
    asking = prepare_asking(given, here=False)
    settings = at_a_look(load_settings({**request, "golden": None}, asking.root, os.environ))
    inputs = prepare(settings, asking.root)
    if inputs.target.kind == "none":
        raise BaselineError(
            f"{request['model'][0]}: has no base: name the model to compare with as baseline="
        )
    path = asking.directory / "cache.sqlite" if settings.cache else None
    with Cache(path) as cache:
        session = run_session(inputs, asking.golden_sets, cache, lambda *_: None, asking.judging)
    runs = session_runs(session, len(asking.cases))
    stored = None if session.stored is None else as_baseline(session.stored)
    return GateRecord(run=runs[inputs.candidates[0].side], baseline=runs.get(BASELINE, stored))


def main() -> int:
    """Answer the request in the first argument's file; 0, or 4 for bad input."""

    def answer() -> int:
        request = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
        write_whole(Path(sys.argv[2]), encode(answer_request(request)))
        return 0

    return run_process(answer)


if __name__ == "__main__":
    sys.exit(main())
