"""The served models, each with its own name; adapters may come and go."""

import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from typing import Any

from harness.engines.base import StreamingEngine
from harness.engines.library_faults import is_out_of_memory
from harness.engines.open import base_of, describe_model, open_sides
from harness.engines.served.identity import fingerprint_of, weights_identity
from harness.errors import EngineError, ModelError
from harness.models.resolve import model_sha256, resolve_model
from harness.provenance import available_bytes
from harness.serving.early_answers import EarlyAnswers
from harness.serving.telling import ToldBatcher
from harness.types import EXACT_DTYPES, ExecutionPlan, ModelRef
from tunegate.project import user_path

_COMPUTING = ("torch", "transformers", "peft", "tokenizers", "bitsandbytes")


def name_models(model: str, adapters: Sequence[str], base: str | None = None) -> dict[str, ModelRef]:
    """The served models by name: a base by its given name, an adapter by its directory's name.

    Args:
        model: A base model, or an adapter directory, whose base is then served too.
        adapters: Further adapters of that base.
        base: The adapters' base, in place of the ones in their configurations.

    Returns:
        The base first.

    Raises:
        InputError: A model is invalid.
        ModelError: Two models have the same name, or an adapter belongs to another base.
    """
    first = describe_model(model, base)
    served = (base_of(first) if first.adapter_dir is not None else None) or first
    named = {_short(served.label): served}
    described = [
        *([first] if first is not served else []),
        *(describe_model(adapter, base) for adapter in adapters),
    ]
    for adapter in described:
        _refuse_other_base(adapter, served)
        name = _short(adapter.label)
        if name in named:
            raise ModelError(f"{adapter.label}: the name {name!r} is taken; rename the directory")
        named[name] = adapter
    return named


def _refuse_other_base(adapter: ModelRef, served: ModelRef) -> None:
    if adapter.adapter_dir is None:
        raise ModelError(f"{adapter.label}: not an adapter (allowed: adapter directories)")
    if adapter.base_sha256 != served.base_sha256:
        raise ModelError(f"{adapter.label}: an adapter of {adapter.base_model}, not of {served.base_model}")


def _short(label: str) -> str:
    path = user_path(label)
    return path.resolve().name if path.is_dir() else label


@cache
def _libraries() -> dict[str, str]:
    """The versions of those that compute."""
    return {name: metadata.version(name) for name in _COMPUTING if find_spec(name) is not None}


def _early(engine: Any) -> Any:
    """The engine as it is served: a short answer doesn't wait for the longest of its batch."""
    return EarlyAnswers(engine)


def _weight_bytes(engine: Any) -> int:
    """Size of an engine's weights in memory, those that its sides share once; 0 where they aren't known."""
    sides: Mapping[str, Any] = getattr(engine, "sides", {})
    weights = {
        each.data_ptr(): each.numel() * each.element_size()
        for side in sides.values()
        if hasattr(side, "model")
        for each in side.model.parameters()
    }
    return sum(weights.values())


class _AbsentEngine:
    """In the place of an engine that had to leave memory before the next one could be loaded."""

    def __getattr__(self, name: str) -> Any:
        raise EngineError("models are being loaded; send the request once more")


class ServedModels:
    """The models of one server, and the engine that answers for them.

    Attributes:
        batcher: Answers requests; a side has its model's name.
        models: By name, the base first.
        plan: How the engine computes.
        runtime_adapters: Whether clients may load and unload adapters.
    """

    def __init__(
        self,
        engine: StreamingEngine,
        models: Mapping[str, ModelRef],
        plan: ExecutionPlan,
        *,
        runtime_adapters: bool = False,
        open_engine: Callable[[Mapping[str, ModelRef], ExecutionPlan], Any] = open_sides,
    ) -> None:
        """Serve the models of a loaded engine.

        Args:
            engine: The engine with their weights.
            models: The models by name, the base first.
            plan: How the engine computes.
            runtime_adapters: Whether clients may load and unload adapters.
            open_engine: Loads models.
        """
        self.batcher = ToldBatcher(_early(engine))
        self.models = dict(models)
        self.runtime_adapters = runtime_adapters
        self.plan, self._open = plan, open_engine

    @property
    def engine(self) -> Any:
        """The engine of the moment."""
        return self.batcher.engine

    @property
    def base(self) -> str:
        """The base's name."""
        return next(iter(self.models))

    def content(self, name: str) -> dict[str, Any]:
        """What identifies a model's weights and what computes with them, since rounding differs with that."""
        model, plan = self.models[name], self.plan
        return {
            "base_sha256": model.base_sha256,
            "adapter_sha256": model.adapter_sha256,
            "dtype": plan.dtype,
            "device": plan.device.split(":")[0],
            **({} if plan.dtype in EXACT_DTYPES else {"batch_tokens": plan.batch_tokens}),
            "libraries": _libraries(),
        }

    def fingerprint(self, name: str) -> str | None:
        """What is said with each reply of a model's weights; None if there is no such model any more."""
        return fingerprint_of(weights_identity(self.content(name))) if name in self.models else None

    async def load(self, name: str, directory: str) -> None:
        """Serve another adapter of the base.

        Args:
            name: Its name for clients.
            directory: Its directory on the server's machine.

        Raises:
            InputError: It is no adapter of the base, can't be run, or the name is taken.
            EngineError: Loading failed.
        """
        if name in self.models:
            raise ModelError(f"the adapter {name!r} is already loaded; unload it, or take another name")

        def load() -> None:
            self._serve({**self._adapters(), name: directory})

        await self.batcher.run(load)

    async def unload(self, name: str) -> None:
        """Serve an adapter no longer.

        Raises:
            KeyError: There is none of that name.
        """

        def unload() -> None:
            if name == self.base or name not in self.models:
                raise KeyError(name)
            self._serve({other: place for other, place in self._adapters().items() if other != name})

        await self.batcher.run(unload)

    def _adapters(self) -> dict[str, str]:
        return {name: str(model.adapter_dir) for name, model in self.models.items() if model.adapter_dir}

    def _serve(self, adapters: Mapping[str, str]) -> None:
        """Serve the base and the adapters in these directories, all as their files are now.

        All are loaded anew, since whether adapters can share a base is known only when all of them are there.
        So all are described anew: answers are known by what identifies the weights that gave them.
        """
        before = self.models[self.base]
        base_dir = resolve_model(before.base_model, recorded=True)
        base = replace(before, base_sha256=model_sha256(base_dir))
        models = {self.base: base}
        for name, directory in adapters.items():
            adapter = describe_model(directory, str(base_dir))
            _refuse_other_base(adapter, base)
            models[name] = replace(adapter, base_model=base.base_model)
        self.batcher.engine = _early(self._loaded(models))
        self.models = models

    def _has_room(self) -> bool:
        """Whether memory may hold another engine: a CPU's is promised beyond its end, and taking it kills."""
        free = available_bytes() if self.plan.device == "cpu" else None
        return free is None or free > _weight_bytes(self.engine)

    def _loaded(self, models: Mapping[str, ModelRef]) -> Any:
        """Models in memory: beside those of the moment if there is room for both, else in their place.

        Raises:
            InputError: One can't be run; those of the moment are served on.
            EngineError: Loading failed.
        """
        if self._has_room():
            try:
                return self._open(models, self.plan)
            except Exception as error:  # a library may say it in its own way
                if not is_out_of_memory(error):
                    raise
        # Only here is the memory free that the exception held.
        absent: Any = _AbsentEngine()
        self.batcher.engine = absent
        gc.collect()
        try:
            return self._open(models, self.plan)
        except Exception as error:  # as above
            failure = error.with_traceback(None)
            failure.__cause__ = failure.__context__ = None
        self.batcher.engine = _early(self._open(self.models, self.plan))
        raise failure
