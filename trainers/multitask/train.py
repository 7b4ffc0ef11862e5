"""Multi-head fine-tuning: labels, entities and spans on one shared encoder.

    tunegate train multitask examples/helpdesk/multitask.yaml [--output DIR] [--resume]

The heads are trained together, one after the other, or each with its own adapter. Afterwards each task is
trained once more alone, on the same batches, to measure the effect of sharing: the interference report. The
output directory is replaced as a whole when everything has finished.

Caruana (1997), Multitask Learning, Machine Learning 28; gradient surgery: Yu et al. (2020), arXiv:2001.06782.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.models.resolve import model_sha256
from harness.types.storage import parse_json, plain, write_whole
from harness.types.training import DataNotes, StepLoss, TrainingManifest
from trainers.multitask.config import MultitaskConfig
from trainers.multitask.data import TaskData, load_tasks, sha256_of
from trainers.multitask.sampling import Phase, main_phases, single_phase
from trainers.run.manifest import merged, write_manifest
from trainers.run.processes import require_one_process
from trainers.run.training_run import INTERRUPTED, TrainingRun, prepared_run
from trainers.run.work_directory import disk_errors, put_in_place

__all__ = ["MultitaskConfig", "train"]

INTERFERENCE = "interference.json"


def train(config: MultitaskConfig, *, resume: bool = False) -> int:
    """Train as configured.

    Args:
        config: The run's configuration.
        resume: Continue from the last checkpoint.

    Returns:
        0, or 2 after Ctrl-C.

    Raises:
        InputError: Data, base model or settings can't be used.
    """
    require_one_process("multitask")
    tasks = load_tasks(config)
    # Encoders with heads are small: they are always trained in 32 bits.
    with prepared_run("multitask", config, sha256_of(tasks), dtype="float32", resume=resume) as run:
        from trainers.multitask.steps import InterruptedTraining

        job = _Job(run, tasks)
        try:
            with run.watch.stop_on_interrupt(), disk_errors(run.work):
                job.train_and_compare()
        except InterruptedTraining as stopped:
            run.console.print(f"stopped in {stopped}; {config.output} is unchanged; continue with --resume")
            return INTERRUPTED
        with disk_errors(run.work):
            job.write()
    return 0


class _Job:
    """One run's phases and results. Finished parts are stored in the work directory, for --resume."""

    def __init__(self, run: TrainingRun[MultitaskConfig], tasks: Mapping[str, TaskData]) -> None:
        import torch

        from trainers.multitask.network import new_network
        from trainers.multitask.steps import Progress, phase_of

        self.run, self.config, self.tasks = run, run.config, tasks
        config = run.config
        self.sizes = {name: len(data.train.rows) for name, data in tasks.items()}
        self.made = run.work / "model"
        self.phases = main_phases(config, self.sizes)
        self.held_out = {name: data.held_out for name, data in tasks.items() if data.held_out is not None}
        self.singles = [single_phase(config, self.sizes, name) for name in self._compared()]
        total = sum(len(phase.steps) for phase in (*self.phases, *self.singles))
        self.progress = Progress(total=total)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.new_network = new_network
        # Read now: the file is deleted when a newer checkpoint is complete.
        self.stopped_in = None if run.checkpoint is None else phase_of(run.checkpoint)

    def _compared(self) -> list[str]:
        """Tasks that are also trained alone: those with held-out rows, if the main run shares weights."""
        if not self.config.interference or self.config.mode == "per-task" or len(self.tasks) == 1:
            return []
        return list(self.held_out)

    def train_and_compare(self) -> None:
        """Run all unfinished phases.

        Raises:
            InputError: A row can't be encoded, or a loss is not a number.
        """
        from trainers.multitask.evaluate import answers_to

        if self._finished("main") is None:
            shutil.rmtree(self.made, ignore_errors=True)
            self._main()
        else:
            self.progress.done = sum(len(phase.steps) for phase in self.phases)
        for phase in self.singles:
            if self._finished(phase.name) is not None:
                self.progress.done += len(phase.steps)
                continue
            name = phase.tasks[0]
            data = self.tasks[name]
            network = self.new_network(self.config, self.run.base_dir, {name: data.task}, self.device)
            self._phases(network, [phase])
            self._finish(phase.name, {"answers": answers_to(network, data.task, self.held_out[name])})
        self.run.watch.close()

    def _main(self) -> None:
        from trainers.multitask.evaluate import answers_to
        from trainers.multitask.features import check_rows
        from trainers.multitask.network import encoder_parameters
        from trainers.multitask.network_directory import write_network

        described = {name: data.task for name, data in self.tasks.items()}
        network = self.new_network(self.config, self.run.base_dir, described, self.device)
        for data in self.tasks.values():
            check_rows(network, data.task, data.train)
            if data.held_out is not None:
                check_rows(network, data.task, data.held_out)
        trained = {
            id(parameter): parameter.numel()
            for task in described.values()
            for parameter in encoder_parameters(network, task)
        }
        self._say(sum(trained.values()))
        found = self._phases(network, self.phases)
        write_network(network, self.config, self.run.base_dir, self.made)
        answers = {name: answers_to(network, described[name], rows) for name, rows in self.held_out.items()}
        self._finish("main", {**found, "answers": answers})

    def _phases(self, network: Any, phases: Sequence[Phase]) -> dict[str, Any]:
        """Train a network through phases, starting from the checkpoint if it belongs to one of them."""
        from trainers.multitask.steps import run_phase

        names = [phase.name for phase in phases]
        checkpoint, first = None, 0
        if self.stopped_in in names:
            checkpoint, first = self.run.checkpoint, names.index(self.stopped_in)
        self.run.watch.start(done=self.progress.done, total=self.progress.total)
        losses: list[dict[str, Any]] = []
        earlier = self._finished("losses") or {}
        for place, phase in enumerate(phases):
            if place < first:
                losses += earlier.get(phase.name, [])
                continue
            run_phase(
                self.run,
                network,
                phase,
                self.tasks,
                self.progress,
                checkpoint if place == first else None,
            )
            offset = sum(len(before.steps) for before in phases[:place])
            mine = [{**entry, "step": entry["step"] + offset} for entry in self.progress.losses]
            losses += mine
            earlier = {**earlier, phase.name: mine}
            self._finish("losses", earlier)
        return {"losses": losses, "conflicting": dict(self.progress.conflicting)}

    def write(self) -> None:
        """Measure, print and write the results, and move the model to its directory."""
        from trainers.multitask.report import held_out_facts, interference_report, show

        main = self._finished("main") or {}
        alone = {phase.tasks[0]: (self._finished(phase.name) or {})["answers"] for phase in self.singles}
        report = interference_report(self.config, self.tasks, main["answers"], alone)
        write_whole(self.made / INTERFERENCE, json.dumps(report, indent=2) + "\n")
        held_out = held_out_facts(self.tasks, main["answers"])
        write_manifest(self.made, self._manifest(main, held_out, report))
        show(self.run.console, held_out, report)
        put_in_place(self.config.output, self.made)
        for finished in (self._notes(), self.run.work / "checkpoints"):
            shutil.rmtree(finished, ignore_errors=True)
        self.run.console.print(f"wrote     {self.config.output} in {self.run.elapsed_s:.0f} s")

    def _manifest(
        self, main: Mapping[str, Any], held_out: Mapping[str, Any], report: Mapping[str, Any]
    ) -> TrainingManifest:
        import torch

        by_step: dict[int, list[float]] = {}
        for entry in main["losses"]:
            by_step.setdefault(entry["step"], []).append(entry["loss"])
        manifest = TrainingManifest(
            method="multitask",
            base=self.config.base,
            base_sha256=model_sha256(self.run.base_dir),
            config=self.config.model_dump(mode="json"),
            seed=self.config.seed,
            device=self.device,
            compute_dtype="float32",
            threads=torch.get_num_threads(),
            processes=1,
            steps=sum(len(phase.steps) for phase in self.phases),
            duration_s=round(self.run.elapsed_s, 1),
            losses=tuple(
                StepLoss(step=step, loss=sum(losses) / len(losses))
                for step, losses in sorted(by_step.items())
            ),
            losses_by_task=tuple(main["losses"]),
            data=DataNotes(
                sha256=sha256_of(self.tasks),
                tasks={name: self._task_notes(name, data) for name, data in self.tasks.items()},
            ),
            held_out=dict(held_out),
            interference=dict(report),
        )
        if self.config.gradients == "pcgrad":
            return merged(manifest, TrainingManifest(conflicting_steps=main["conflicting"]))
        return manifest

    def _task_notes(self, name: str, data: TaskData) -> dict[str, Any]:
        """The manifest's notes on one task's data."""
        steps = [step for phase in self.phases for step in phase.steps]
        return {
            "train": plain(data.train.notes),
            "held_out": None if data.held_out is None else plain(data.held_out.notes),
            "batches": sum(batch.task == name for step in steps for batch in step),
        }

    def _say(self, trained: int) -> None:
        config = self.config
        kind = "all of the encoder" if config.encoder == "full" else f"LoRA r={config.lora.r}"
        how = config.mode if config.mode != "joint" else f"joint, {config.gradients}"
        rows = ", ".join(f"{name} {size}" for name, size in self.sizes.items())
        alone = f", then {len(self.singles)} tasks alone to compare" if self.singles else ""
        self.run.console.print(
            f"method    multitask ({how}){alone}\n"
            f"base      {config.base} (float32 on {self.device})\n"
            f"data      rows of {rows}\n"
            f"trained   {kind}, {trained / 1e6:.2f} million parameters, and {len(self.tasks)} heads\n"
            f"output    {config.output}"
        )

    def _notes(self) -> Path:
        return self.run.work / "finished"

    def _finished(self, name: str) -> dict[str, Any] | None:
        path = self._notes() / f"{name}.json"
        return parse_json(path.read_text(encoding="utf-8")) if path.is_file() else None

    def _finish(self, name: str, found: Mapping[str, Any]) -> None:
        """Record a finished part; the file is complete or missing."""
        write_whole(self._notes() / f"{name}.json", json.dumps(found))
