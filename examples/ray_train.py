"""The same adapter by Ray Train: one process of our trainer on each worker of a Ray cluster.

    python examples/ray_train.py sft sft.yaml --workers 2 [--gpu] [--resume] [--output DIR] [--allow-leakage]

The recipe, the output directory and the directory that this is started in, where the trainer looks for golden
sets, are on a disk that all nodes share; every node has the same tunegate. The worker with rank 0 writes the
adapter, as with ``accelerate launch``. What the trainer refuses is the last line here, with its status.
After a lost worker ``--resume`` goes on from the last checkpoint; without it the training begins anew.
"""

import argparse
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ray.train
import ray.util
from ray.train import RunConfig, ScalingConfig, WorkerGroupError
from ray.train.collective import broadcast_from_rank_zero
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

# The status of a trainer that was given bad input, and says in one line which.
_REFUSED = 4


def work(given: Mapping[str, Any]) -> None:
    """What each worker does: find the others, and run the trainer in a process of its own."""
    context = ray.train.get_context()
    address = broadcast_from_rank_zero(None if context.get_world_rank() else _free_address())
    environment = {
        **os.environ,
        "RANK": str(context.get_world_rank()),
        "LOCAL_RANK": str(context.get_local_rank()),
        "WORLD_SIZE": str(context.get_world_size()),
        "MASTER_ADDR": address[0],
        "MASTER_PORT": str(address[1]),
    }
    if not given["gpu"]:
        environment["ACCELERATE_USE_CPU"] = "true"
    line = [sys.executable, "-m", f"trainers.methods.{given['method']}", given["recipe"], *given["options"]]
    said = ""
    # A worker's own directory is that of its node.
    with subprocess.Popen(
        line, env=environment, cwd=given["directory"], stderr=subprocess.PIPE, text=True
    ) as trainer:
        assert trainer.stderr is not None  # it is a pipe
        for said in trainer.stderr:
            sys.stderr.write(said)
    if trainer.returncode:
        raise subprocess.CalledProcessError(trainer.returncode, line, stderr=said.strip())


def _free_address() -> tuple[str, int]:
    """This node's address and a free port of it."""
    with socket.socket() as one:
        one.bind(("", 0))
        return ray.util.get_node_ip_address(), one.getsockname()[1]


def main() -> None:
    """Train on a running cluster (RAY_ADDRESS), or on one that is started here."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("method", help="such as sft or dpo")
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--gpu", action="store_true", help="one GPU for each worker")
    parser.add_argument("--resume", action="store_true", help="continue from the last checkpoint")
    parser.add_argument("--output", help="adapter directory, in place of the recipe's")
    parser.add_argument(
        "--allow-leakage", action="store_true", help="train although golden cases are in the data"
    )
    asked = parser.parse_args()
    given = {
        "method": asked.method,
        "recipe": str(asked.recipe.resolve()),
        "options": [
            *["--resume"] * asked.resume,
            *["--allow-leakage"] * asked.allow_leakage,
            *(["--output", asked.output] if asked.output else []),
        ],
        "directory": str(Path.cwd()),
        "gpu": asked.gpu,
    }
    with tempfile.TemporaryDirectory() as storage:  # the trainers write their results themselves
        trainer = DataParallelTrainer(
            work,
            train_loop_config=given,
            scaling_config=ScalingConfig(num_workers=asked.workers, use_gpu=asked.gpu),
            run_config=RunConfig(storage_path=storage),
        )
        try:
            trainer.fit()
        except WorkerGroupError as error:
            for failure in error.worker_failures.values():
                if isinstance(failure, subprocess.CalledProcessError) and failure.returncode == _REFUSED:
                    print(failure.stderr, file=sys.stderr)
                    sys.exit(_REFUSED)
            raise


if __name__ == "__main__":
    main()
