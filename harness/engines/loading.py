"""Loads one base model, adapter or tokenizer; each complete, or refused by name."""

from __future__ import annotations

import logging
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial, wraps
from inspect import isfunction
from pathlib import Path
from typing import Any

from harness.engines.adapter import read_json, refuse_bad_numbers
from harness.engines.library_faults import (
    loading_failures,
    refuse_incomplete_adapter,
    refuse_incomplete_model,
    refuse_not_finite,
    refuse_unknown_keys,
    refuse_wrong_types,
    unexpected_values,
)
from harness.engines.precision import SPLIT, place_of_stored, refuse_elsewhere
from harness.engines.split import SPREAD, load_split
from harness.engines.split_adapters import add_to_split
from harness.engines.weights import refuse_damaged_files
from harness.errors import AdapterError, EngineError, ModelError
from harness.models.resolve import resolve_model
from harness.prompts.tokenizers import load_tokenizer
from harness.provenance import granted_cores
from harness.types import EXACT_DTYPES, ExecutionPlan, ModelRef

_LOADING = threading.RLock()
_CORE_TIMES = Path("/proc/stat")
# PEFT finds by a decomposition of the base's weights, at each load, what these act on. It is stored in no
# file, and another device finds another one.
_DECOMPOSED_AT_LOAD = {"ADAMSS", "PSOFT"}


def load_base(plan: ExecutionPlan, directory: Path) -> Any:
    """A base model in the plan's precision, on its device.

    Args:
        plan: How to compute.
        directory: The model's directory.

    Raises:
        ModelError: It can't be loaded, or a weight is missing or unknown.
        EngineError: A library for the plan's weights is missing.
    """
    refuse_damaged_files(directory)
    quantization = _quantization(plan, directory)
    with loading_failures(str(directory), ModelError):
        import torch

        load = _auto_class(directory).from_pretrained
        if SPLIT in plan.device:
            load = partial(load_split, load, plan.device)
        model, report = load(
            directory,
            dtype=getattr(torch, plan.dtype),
            trust_remote_code=False,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
            # The report then names all of them, and they are refused.
            ignore_mismatched_sizes=True,
            **quantization,
        )
        refuse_incomplete_model(directory, report)
        if model.config.is_encoder_decoder:
            raise ModelError(
                f"{directory / 'config.json'}: is_encoder_decoder: true, and models of an encoder and a "
                f"decoder continue no text; give a causal language model"
            )
        _refuse_unclear_cache(directory, model.generation_config.use_cache)
        # A model in 4 bits stays on the device where it was loaded, and a split one on several.
        stays = getattr(model, "is_quantized", False) or SPLIT in plan.device
        if stays:
            refuse_elsewhere(directory, model, plan.device)
        return (model if stays else model.to(plan.device)).eval()


def _refuse_unclear_cache(directory: Path, use_cache: object) -> None:
    """Check that a generation config says clearly whether a cache is used.

    transformers compares other values with false at one place, and asks for their truth at another.

    Raises:
        ModelError: It doesn't.
    """
    if not isinstance(use_cache, bool | None):
        raise ModelError(
            f"{directory / 'generation_config.json'}: use_cache: found {use_cache!r} (allowed: true, false); "
            f"correct it"
        )


def _auto_class(directory: Path) -> Any:
    """The class that loads the model: for text only, or for images too, whose text part then answers.

    Raises:
        ModelError: Neither: it doesn't continue text.
    """
    from transformers import (
        MODEL_FOR_CAUSAL_LM_MAPPING,
        MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
        AutoConfig,
        AutoModelForCausalLM,
        AutoModelForImageTextToText,
    )

    config = AutoConfig.from_pretrained(directory, trust_remote_code=False, local_files_only=True)
    if type(config) in MODEL_FOR_CAUSAL_LM_MAPPING:
        return AutoModelForCausalLM
    if type(config) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
        return AutoModelForImageTextToText
    raise ModelError(
        f"{directory}: models of the kind {config.model_type} continue no text, so there is nothing to gate; "
        f"give a causal language model"
    )


def _quantization(plan: ExecutionPlan, directory: Path) -> dict[str, Any]:
    """The base's quantisation: 4 bits as in the trainers, or that of its own config."""
    if plan.weights != "nf4":
        return {} if plan.device == "cpu" else place_of_stored(directory, plan.device)
    try:
        import bitsandbytes  # noqa: F401 # transformers would fail later and less clearly
    except ImportError as error:
        raise EngineError("weights in nf4 need bitsandbytes: pip install 'tunegate[train]'") from error
    import torch
    from transformers import BitsAndBytesConfig

    config = BitsAndBytesConfig(  # type: ignore[no-untyped-call] # transformers leaves it so
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=getattr(torch, plan.dtype),
    )
    return {"quantization_config": config, "device_map": {"": plan.device}}


def model_tokenizer(model: ModelRef) -> Any:
    """The tokenizer of a model with its chat template; a base may have that of its adapter."""
    own = model.adapter_dir or model.tokenizer_dir
    return load_tokenizer(resolve_model(model.base_model, recorded=True), None if own is None else Path(own))


def attach(base: Any, name: str, adapter_dir: str, *, trainable: bool = False, encodes: bool = False) -> Any:
    """Attach an adapter to a base model, in addition to its other adapters.

    Args:
        base: The base model, or PEFT's around it.
        name: The adapter's name in it.
        adapter_dir: The adapter's directory.
        trainable: Whether it is trained further; its weights are then stored in 32 bits.
        encodes: Whether the base is an encoder.

    Returns:
        PEFT's model around the base, with this adapter active.

    Raises:
        AdapterError: It can't be loaded, a weight is missing, unknown or not finite, or its configuration has
            a key that PEFT doesn't know.
    """
    directory = Path(adapter_dir)
    with loading_failures(adapter_dir, AdapterError, hint=lambda: unexpected_values(directory)):
        import peft
        from peft import PEFT_TYPE_TO_CONFIG_MAPPING, PeftConfig, PeftModel

        config = read_json(directory / "adapter_config.json")
        kind = PEFT_TYPE_TO_CONFIG_MAPPING[config["peft_type"]]
        refuse_bad_numbers(directory, config)
        refuse_unknown_keys(directory, config, kind.__dataclass_fields__)
        refuse_wrong_types(directory, config, kind.__dataclass_fields__)
        _refuse_decomposed(adapter_dir, config, base.device.type)
        _refuse_not_finite_tensors(directory)
        read = PeftConfig.from_pretrained(adapter_dir)
        read.inference_mode = not trainable
        # Layers may have been renamed since an adapter was saved; PEFT's own from_pretrained says so too.
        virtual = bool(read.is_prompt_learning)
        if virtual and trainable:
            raise AdapterError(
                f"{adapter_dir}: virtual tokens can't be trained further: PEFT stores them without what "
                f"they are computed from; train them anew"
            )
        renamed = None if virtual else getattr(base, "_checkpoint_conversion_mapping", None) or {}
        if hasattr(base, SPREAD):
            base = add_to_split(base, name, read)
        elif not isinstance(base, PeftModel):
            around = peft.PeftModelForFeatureExtraction if encodes else peft.PeftModelForCausalLM
            base = around(base, read, adapter_name=name, autocast_adapter_dtype=trainable)
        report = base.load_adapter(
            adapter_dir,
            name,
            is_trainable=trainable,
            autocast_adapter_dtype=trainable,
            torch_device="cpu" if hasattr(base, SPREAD) else str(base.device),
            key_mapping=renamed,
        )
        # PEFT takes any part of a weight's name for the adapter's: `a` is in all names.
        report.missing_keys[:] = [key for key in report.missing_keys if f".{name}." in f"{key}."]
        refuse_incomplete_adapter(directory, report, virtual=virtual)
        base.set_adapter(name)
        return base.eval()


def _refuse_decomposed(adapter_dir: str, config: Mapping[str, Any], device: str) -> None:
    if config["peft_type"] in _DECOMPOSED_AT_LOAD and device != "cpu":
        raise AdapterError(
            f"{adapter_dir}: what an adapter of the kind {config['peft_type']} acts on is stored in no file: "
            f"PEFT computes it at each load, on {device} another one than on the CPU, and answers by it; use "
            f"--gate-device cpu, or merge it where it was trained and gate the model"
        )


def _refuse_not_finite_tensors(directory: Path) -> None:
    import torch
    from safetensors import safe_open

    broken = []
    with safe_open(directory / "adapter_model.safetensors", framework="pt") as file:
        for name in file.keys():  # noqa: SIM118 # no mapping: it can't be iterated
            tensor = file.get_tensor(name)
            # Not every type of eight bits can be tested as it is.
            if tensor.is_floating_point() and not bool(torch.isfinite(tensor.float()).all()):
                broken.append(name)
    refuse_not_finite(str(directory), broken, AdapterError)


# Where bitsandbytes says at its import, on some CPUs, that a kernel of the hub is missing; it has one itself.
_KERNEL_LOG, _KERNEL_NOTICE = "bitsandbytes.backends.cpu.ops", "Failed to load CPU gemm_4bit_forward"


def hush_missing_kernel() -> None:
    """Make bitsandbytes' notice of a missing kernel one for debugging; all its other warnings stay."""
    logging.getLogger(_KERNEL_LOG).addFilter(_kernel_for_debugging)


def _kernel_for_debugging(record: logging.LogRecord) -> bool:
    """A filter of logging; a logger has the same one only once."""
    if not str(record.msg).startswith(_KERNEL_NOTICE):
        return True
    record.levelno, record.levelname = logging.DEBUG, logging.getLevelName(logging.DEBUG)
    return logging.getLogger(record.name).isEnabledFor(logging.DEBUG)


@contextmanager
def quiet_load() -> Iterator[None]:
    """Allow one load at a time, without the libraries' bars and notices; import the libraries inside too.

    While transformers loads a model it replaces ``PreTrainedModel.tie_weights`` of the class by one that does
    nothing. Of two threads that load at once, such as the gate's engine and a judge, the second may put the
    replaced one back forever; every model with tied weights that is loaded from then on has an output head
    of nothing, and answers from arbitrary memory, without an error.
    """
    from transformers.utils import logging as library_logging

    with _LOADING:
        shown, level = library_logging.is_progress_bar_enabled(), library_logging.get_verbosity()
        library_logging.disable_progress_bar()  # type: ignore[no-untyped-call] # transformers leaves it so
        library_logging.set_verbosity(logging.ERROR)
        # PEFT imports it, and its import warns about a kernel that is not needed here.
        quantisation = logging.getLogger("bitsandbytes")
        heard = quantisation.level
        quantisation.setLevel(logging.ERROR)
        try:
            with warnings.catch_warnings(), _compiled_when_called():
                # The libraries' own deprecations don't concern users of the gate.
                warnings.simplefilter("ignore")
                yield
        finally:
            quantisation.setLevel(heard)
            library_logging.set_verbosity(level)
            if shown:
                library_logging.enable_progress_bar()  # type: ignore[no-untyped-call] # as above


@contextmanager
def _compiled_when_called() -> Iterator[None]:
    """Let functions that are decorated with ``torch.compile`` meanwhile be compiled when they are called.

    PEFT imports bitsandbytes for every adapter, whose decorators load the compiler, for functions that only
    quantised weights need.
    """
    import torch

    compile_now: Callable[..., Any] = torch.compile

    def compile_later(model: Any = None, **settings: Any) -> Any:
        if model is None:
            return lambda function: compile_later(function, **settings)
        if not isfunction(model):
            return compile_now(model, **settings)
        compiled: Any = None

        @wraps(model)
        def compiled_when_called(*args: Any, **named: Any) -> Any:
            nonlocal compiled
            if compiled is None:
                compiled = compile_now(model, **settings)
            return compiled(*args, **named)

        return compiled_when_called

    torch.compile = compile_later  # put back below
    try:
        yield
    finally:
        torch.compile = compile_now


@contextmanager
def leave_busy_cores(plan: ExecutionPlan) -> Iterator[None]:
    """Compute with as many threads as cores are free, where this changes no text and nobody chose a number.

    What others use is measured while the models are loaded: the average load of a minute still has what ended
    before this process began.

    Args:
        plan: How to compute.
    """
    import torch

    before = CoreTimes.now()
    yield
    if plan.device != "cpu" or plan.dtype not in EXACT_DTYPES or "OMP_NUM_THREADS" in os.environ:
        return
    after, threads = CoreTimes.now(), torch.get_num_threads()
    fewer = min(threads, granted_cores() or threads)
    if before is not None and after is not None:
        fewer = min(fewer, free_threads(threads, after.cores, after.busy_since(before)))
    if fewer < threads:
        torch.set_num_threads(fewer)


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreTimes:
    """What the cores that this process may use have done until now.

    Attributes:
        cores: Their number.
        busy: Their time at work, in clock ticks.
        total: All their time, in clock ticks.
        own_s: This process's share of the work, in seconds.
        clock_s: The monotonic clock.
    """

    cores: int
    busy: int
    total: int
    own_s: float
    clock_s: float

    @classmethod
    def now(cls) -> CoreTimes | None:
        """Read them; None where the system doesn't say."""
        try:
            ours = os.sched_getaffinity(0)
            lines = [line.split() for line in _CORE_TIMES.read_text("ascii").splitlines()]
        except (AttributeError, OSError, ValueError):
            return None
        # user nice system idle iowait irq softirq steal
        rows = [[int(field) for field in fields[1:9]] for fields in lines if _core(fields[0]) in ours]
        total = sum(map(sum, rows))
        return cls(
            cores=len(rows),
            busy=total - sum(row[3] + row[4] for row in rows),
            total=total,
            own_s=sum(os.times()[:2]),
            clock_s=time.monotonic(),
        )

    def busy_since(self, before: CoreTimes) -> float:
        """How many cores others kept busy since an earlier reading."""
        share = (self.busy - before.busy) / max(1, self.total - before.total)
        own = (self.own_s - before.own_s) / max(1e-9, self.clock_s - before.clock_s)
        return max(0.0, share * self.cores - own)


def _core(name: str) -> int | None:
    number = name.removeprefix("cpu")
    return int(number) if number.isdecimal() and number != name else None


def free_threads(threads: int, cores: int, busy: float) -> int:
    """Threads that find a core of their own: one that waits for a core lets all others wait.

    Args:
        threads: Number of threads on a machine that does nothing else.
        cores: Number of cores.
        busy: How many of them others keep busy.
    """
    return max(1, min(threads, round(cores - busy)))
