"""Loading base models and adapters, as few copies as their kinds allow."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.engines.adapter import NO_ADAPTER, VIRTUAL_TOKENS, adapter_kind
from harness.errors import EngineError
from harness.models.resolve import resolve_model
from harness.prompts.tokenizers import load_tokenizer
from harness.types import ExecutionPlan, ModelRef

_LOADING = threading.RLock()


@dataclass(frozen=True, slots=True)
class Side:
    """One of the engine's models: the loaded weights, which adapter in them, and its tokenizer.

    Attributes:
        prompt: PEFT's model around ``model`` that holds virtual tokens, where the adapter is made of them.
    """

    model: Any
    adapter: str | None
    tokenizer: Any
    prompt: Any = None


def load_sides(sides: Mapping[str, ModelRef], plan: ExecutionPlan) -> dict[str, Side]:
    """Load the models of all sides; those that can share a base's weights do.

    Args:
        sides: The model behind each side.
        plan: The type of numbers, the device, and how adapters stand beside their base.

    Raises:
        EngineError: A library for the plan's weights is missing.
    """
    # Adapters of one kind share their base's weights; a side without one joins the first that is loaded.
    bases: dict[tuple[str, str], Any] = {}
    loaded: dict[str, Side] = {}
    keys: dict[str, tuple[str, str]] = {}
    for side, model in sorted(sides.items(), key=lambda item: item[1].adapter_dir is None):
        base_dir = resolve_model(model.base_model)
        kind = adapter_kind(model.adapter_dir)
        same = [key for key in bases if key[0] == model.base_sha256 and kind in {key[1], NO_ADAPTER}]
        key = same[0] if same else (model.base_sha256, kind)
        prompt = None
        if key not in bases:
            bases[key] = _load_base(plan, base_dir)
        if kind == VIRTUAL_TOKENS:
            prompt = _attach(bases[key], side, str(model.adapter_dir)).eval()
        elif model.adapter_dir is not None:
            bases[key] = _attach(bases[key], side, model.adapter_dir)
        tokenizer = load_tokenizer(base_dir, None if model.adapter_dir is None else Path(model.adapter_dir))
        if plan.weights == "merged" and model.adapter_dir is not None and prompt is None:
            # Merged weights belong to one adapter: nothing else may share them.
            merged = bases.pop(key).merge_and_unload()
            keys[side] = key = (model.base_sha256, f"merged into {side}")
            bases[key] = merged
            loaded[side] = Side(merged, None, tokenizer)
            continue
        keys[side] = key
        adapter = side if model.adapter_dir is not None and prompt is None else None
        loaded[side] = Side(bases[key], adapter, tokenizer, prompt)
    # Attaching an adapter wraps the base in a new object, which every side of that base must hold.
    return {side: replace(entry, model=bases[keys[side]].eval()) for side, entry in loaded.items()}


def _load_base(plan: ExecutionPlan, directory: Path) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(
        directory,
        dtype=getattr(torch, plan.dtype),
        quantization_config=_quantization(plan),
        trust_remote_code=False,
        use_safetensors=True,
        local_files_only=True,
    )
    # A model in 4 bits lies where it was made.
    return model if plan.weights == "nf4" else model.to(plan.device)


def _quantization(plan: ExecutionPlan) -> Any:
    """How the base is held: in 4 bits as the trainers hold it, or (None) in the plan's own type."""
    if plan.weights != "nf4":
        return None
    try:
        import bitsandbytes  # noqa: F401 # transformers would fail later and less clearly
    except ImportError as error:
        raise EngineError("weights in nf4 need bitsandbytes: pip install 'tunegate[train]'") from error
    import torch
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(  # type: ignore[no-untyped-call] # transformers leaves it so
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=getattr(torch, plan.dtype),
    )


def _attach(base: Any, name: str, adapter_dir: str) -> Any:
    from peft import PeftModel

    if isinstance(base, PeftModel):
        base.load_adapter(adapter_dir, adapter_name=name, autocast_adapter_dtype=False)
        return base
    return PeftModel.from_pretrained(base, adapter_dir, adapter_name=name, autocast_adapter_dtype=False)


@contextmanager
def quiet_load() -> Iterator[None]:
    """One load at a time in this process, without the libraries' bars and notices; import them inside too.

    While transformers loads a model it replaces ``PreTrainedModel.tie_weights`` of the class by one that does
    nothing. Of two threads that load at once, such as the gate's engine and a judge, the second may put the
    replaced one back for good; every model with tied weights that is loaded from then on has an output head
    of nothing, and answers from whatever stands in memory, without an error.
    """
    from transformers.utils import logging as library_logging

    with _LOADING:
        shown, level = library_logging.is_progress_bar_enabled(), library_logging.get_verbosity()
        library_logging.disable_progress_bar()  # type: ignore[no-untyped-call] # transformers leaves it so
        library_logging.set_verbosity(logging.ERROR)
        # PEFT imports it, and its import complains of a kernel that nobody here needs.
        quantisation = logging.getLogger("bitsandbytes")
        heard = quantisation.level
        quantisation.setLevel(logging.ERROR)
        try:
            with warnings.catch_warnings():
                # The libraries' own deprecations are no news to someone who gates a model.
                warnings.simplefilter("ignore")
                yield
        finally:
            quantisation.setLevel(heard)
            library_logging.set_verbosity(level)
            if shown:
                library_logging.enable_progress_bar()  # type: ignore[no-untyped-call] # as above
