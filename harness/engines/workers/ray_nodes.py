"""What runs on a node of a Ray cluster: the models, loaded once, and the workers that share them.

A node with a GPU computes in the actor's own process, one with processors alone by forked workers, as on this
machine. Batches, keys and texts are those of one process. Or it starts a server, and asks that.
"""

import platform
import shutil
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from typing import Any

from harness.engines.base import SERVED
from harness.engines.open import describe_own
from harness.engines.served.process import COMMAND
from harness.engines.workers.choose import chosen_workers
from harness.engines.workers.deal import EarlyAnswers, FinishedBatch, LostWorker
from harness.engines.workers.functions import FunctionKind
from harness.engines.workers.local import LocalTransport, Template
from harness.engines.workers.models import Models
from harness.engines.workers.served_models import ServedModels
from harness.errors import EngineError, ModelError, SettingsError
from harness.provenance import available_bytes
from harness.types import ExecutionPlan, ModelRef, ServerUse
from tunegate.project import user_path

# Each worker gets so many parts: those of other machines may be faster.
_PARTS = 4
# Texts depend on these; a node with others would answer differently from this machine.
_LIBRARIES = ("tunegate", "torch", "transformers", "peft", "tokenizers")


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What every node loads.

    Attributes:
        sides: The models by side, with absolute paths.
        wanted: Workers on each node; None chooses the number.
        weight_bytes: Size of all bases' weights in memory.
        versions: The libraries' versions on the machine that asks.
    """

    sides: Mapping[str, ModelRef]
    plan: ExecutionPlan
    wanted: int | None
    weight_bytes: int
    versions: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedNode:
    """A node that has the models.

    Attributes:
        plan: How it computes.
        changes: Each side's largest change of its base's logits.
        workers: How many batches it computes at a time.
    """

    plan: ExecutionPlan
    changes: Mapping[str, float]
    workers: int


class Node:
    """The actor on a node. Its methods are called from several threads."""

    def __init__(self, cores: int) -> None:
        """Nothing is loaded yet.

        Args:
            cores: Processor cores that it may use.
        """
        self._cores = cores
        self._lock = threading.Lock()
        self._template: Template | None = None
        self._models: Models | None = None
        self._loaded: LoadedNode | None = None
        self._transports: dict[int, LocalTransport] = {}
        self._idle: dict[int, int] = {}
        self._counts_steps = self._in_step = False
        self._pulses = self._job = 0

    def is_there(self) -> bool:
        """Answered once the node has room for this actor."""
        return True

    def pulse(self) -> int:
        """A number that stays while a GPU computes one step, and else changes from call to call.

        Forked workers that hang are ended here, so that they are no affair of those who ask.
        """
        if self._in_step and self._models is not None:
            return -self._models.steps
        self._pulses += 1
        return self._pulses

    def load(self, work: Work) -> LoadedNode:
        """Load the models, unless they are.

        Raises:
            SettingsError: Another version of a library is installed here.
            ModelError: The models' files are missing here, or others.
        """
        with self._lock:
            if self._loaded is None:
                self._loaded = self._load(work)
            return self._loaded

    def _load(self, work: Work) -> LoadedNode:
        refuse_other_versions(work.versions, versions(work.versions))
        for model in work.sides.values():
            refuse_other_files(model)
        if work.plan.engine in SERVED:
            return self._start_server(work)
        if work.plan.device == "cpu":
            self._template = Template()
            plan, changes = self._template.call("load", dict(work.sides), work.plan)
            free, sides = available_bytes(), list(work.sides.values())
            most = work.wanted or chosen_workers(work.plan, sides, self._cores, work.weight_bytes, free)
            return LoadedNode(plan=plan, changes=changes, workers=most)
        self._models = Models()
        plan, changes = self._models.load(work.sides, work.plan)
        self._models.count_steps()
        return LoadedNode(plan=plan, changes=changes, workers=1)

    def _start_server(self, work: Work) -> LoadedNode:
        if shutil.which(COMMAND) is None:
            raise SettingsError(
                f"node {platform.node()} of the Ray cluster has no command {COMMAND}: pip install {COMMAND}"
            )
        models = ServedModels()
        try:
            plan, changes = models.load(work.sides, work.plan)
        except EngineError as error:
            raise EngineError(f"node {platform.node()} of the Ray cluster: {error}") from error
        self._models = models
        return LoadedNode(plan=plan, changes=changes, workers=1)

    def prepare(
        self, work: Work, kind: str | FunctionKind, requests: Sequence[Any], workers: int, job: int
    ) -> tuple[Sequence[Sequence[int]], int, ServerUse | None]:
        """Load the models, unless they are, and divide requests into batches.

        Args:
            work: What to load.
            kind: ``answers`` or ``losses``, or a function, whose requests are its items.
            requests: All requests.
            workers: Number of all nodes' workers.
            job: Its number. A node that was long in coming was given several, which come in any order.

        Returns:
            The indices of each batch's requests, the number of workers here, and how the server was used; no
            workers for a job before another one.
        """
        loaded = self.load(work)
        if isinstance(kind, FunctionKind):
            refuse_other_versions(kind.versions, versions(kind.versions))
        with self._lock:
            if job < self._job:
                return (), 0, None
            self._job = job
            self._counts_steps = kind in ("answers", "losses")
            if self._models is not None:
                parts = workers if isinstance(self._models, ServedModels) else _PARTS * workers
                return self._models.prepare(kind, requests, parts), loaded.workers, self._models.use
            self._transports, self._idle = {}, {}
            return self._forking.call("prepare", kind, list(requests), _PARTS * workers), loaded.workers, None

    def compute(self, slot: int, batch: Sequence[int]) -> FinishedBatch | LostWorker:
        """Answer a batch of what was prepared.

        Args:
            slot: Which of the node's workers answers.
            batch: The indices of its requests.
        """
        if self._models is not None:
            self._in_step = self._counts_steps
            try:
                found, failures = self._models.answer(batch)
            finally:
                self._in_step = False
            return FinishedBatch(worker=slot, found=found, failures=failures, use=self._models.use)
        return replace(self._by_fork(slot, batch), worker=slot)

    @property
    def _forking(self) -> Template:
        if self._template is None:
            raise RuntimeError("a batch before its requests")
        return self._template

    def _by_fork(self, slot: int, batch: Sequence[int]) -> FinishedBatch | LostWorker:
        workers = self._loaded.workers if self._loaded else 1
        transport = self._transports.setdefault(
            slot, LocalTransport(self._forking, max(1, self._cores // workers))
        )
        worker = self._idle.pop(slot, None) or transport.start()
        transport.give(worker, batch)
        while True:
            # What ends early is in the node's memory alone: it comes with the rest.
            for event in transport.wait():
                if isinstance(event, FinishedBatch):
                    self._idle[slot] = worker
                if not isinstance(event, EarlyAnswers):
                    return event


def libraries_of(plan: ExecutionPlan) -> tuple[str, ...]:
    """The libraries that decide texts, and Python.

    Args:
        plan: How texts are computed.
    """
    quantising = ("bitsandbytes",) if plan.weights == "nf4" else ()
    return ("python", *_LIBRARIES, *quantising, *([COMMAND] if plan.engine in SERVED else []))


def versions(libraries: Iterable[str] = ("python", *_LIBRARIES)) -> dict[str, str]:
    """The installed versions of libraries, by default of those that decide texts, and Python's."""
    found: dict[str, str] = {}
    for library in libraries:
        if library == "python":
            found[library] = ".".join(platform.python_version_tuple()[:2])
            continue
        try:
            found[library] = metadata.version(library).partition("+")[0]
        except metadata.PackageNotFoundError:
            found[library] = "missing"
    return found


def refuse_other_versions(asked: Mapping[str, str], here: Mapping[str, str]) -> None:
    """Refuse a node whose libraries would answer differently.

    Args:
        asked: The versions of the machine that asks.
        here: This node's.

    Raises:
        SettingsError: They differ.
    """
    other = [f"{name} {here[name]} instead of {asked[name]}" for name in asked if here[name] != asked[name]]
    if other:
        raise SettingsError(
            f"node {platform.node()} of the Ray cluster has {', '.join(other)}: install the same"
        )


def refuse_other_files(model: ModelRef) -> None:
    """Refuse a model whose files are not those of the machine that asks.

    Args:
        model: The model, as that machine described it.

    Raises:
        ModelError: Files are missing or others.
    """
    where = f"node {platform.node()} of the Ray cluster"
    reference = model.adapter_dir or model.base_model
    try:
        here = describe_own(reference, model.base_model if model.adapter_dir else None)
    except (ModelError, SettingsError) as error:
        raise ModelError(f"{where}: {error}; share the directory with all nodes") from error
    if (here.base_sha256, here.adapter_sha256) != (model.base_sha256, model.adapter_sha256):
        raise ModelError(f"{where}: {reference} has other files there than here")


def absolute(model: ModelRef) -> ModelRef:
    """The same model, with paths that other directories understand."""
    base = user_path(model.base_model)
    return replace(model, base_model=str(base.resolve())) if base.is_dir() else model
