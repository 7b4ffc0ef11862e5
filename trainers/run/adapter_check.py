"""Tries a new adapter on a base without weights, so that one that doesn't fit is refused in one line."""

import copy
from pathlib import Path
from typing import Any

from harness.engines.library_faults import loading_failures
from harness.errors import ModelError, SettingsError
from trainers.run.base_model import refuse_other_models

# PEFT refuses LoRA on these layers of state-space models: their kernels read the weights directly.
_READ_DIRECTLY = ["out_proj", "conv1d"]


def fitting_adapter(adapter: Any, base_dir: Path) -> Any:
    """A new adapter's configuration that fits the base.

    Args:
        adapter: PEFT's configuration.
        base_dir: The base's directory; only its ``config.json`` is read.

    Returns:
        The same; with ``all-linear`` on a base some of whose linear layers can't have an adapter, one
        without these.

    Raises:
        ModelError: The configuration can't be read.
        SettingsError: The adapter doesn't fit.
    """
    model = empty_model(base_dir, reward=adapter.task_type == "SEQ_CLS")
    routers = _routers(model)
    problem = _problem(model, adapter)
    if problem is not None and getattr(adapter, "target_modules", None) == "all-linear":
        for left_out in filter(None, (routers, [*_READ_DIRECTLY, *routers])):
            narrower = copy.copy(adapter)
            narrower.exclude_modules = left_out
            tried = empty_model(base_dir, reward=adapter.task_type == "SEQ_CLS")
            if _problem(tried, narrower) is None:
                return narrower
    if problem is not None:
        # The problem may begin with a key.
        raise SettingsError(
            f"peft.{problem}" if problem.startswith(("init: ", "method: ")) else f"peft: {problem}"
        )
    return adapter


def empty_model(base_dir: Path, *, reward: bool = False) -> Any:
    """A base of its own class, as a trainer loads it, without weights: nothing is allocated.

    Args:
        base_dir: The base's directory; only its ``config.json`` is read.
        reward: With a head that gives a conversation one number.

    Raises:
        ModelError: It is no causal language model, or transformers doesn't have its class.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification

    kind: Any = AutoModelForSequenceClassification if reward else AutoModelForCausalLM
    refuse_other_models(base_dir)
    with loading_failures(str(base_dir), ModelError), torch.device("meta"):
        config = AutoConfig.from_pretrained(base_dir, trust_remote_code=False, local_files_only=True)
        # The base's own quantisation replaces layers when weights are loaded.
        config.quantization_config = None
        return kind.from_config(config, trust_remote_code=False)


def _routers(model: Any) -> list[str]:
    """Last parts of the names of linear layers that give more than one tensor, to which PEFT can't add.

    Llama 4's routers are such: linear layers by their class, whose result is scores and logits.
    """
    import torch

    found = set()
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and type(module) is not torch.nn.Linear:
            given = module(torch.zeros(1, module.in_features, dtype=module.weight.dtype, device="meta"))
            if not isinstance(given, torch.Tensor):
                found.add(name.rpartition(".")[2])
    return sorted(found)


def _problem(model: Any, adapter: Any) -> str | None:
    """Why the adapter doesn't fit, or None."""
    import torch
    from peft import get_peft_model
    from peft.tuners.tuners_utils import BaseTunerLayer

    routers = _routers(model)
    tried = copy.deepcopy(adapter)
    if hasattr(tried, "init_lora_weights"):
        tried.init_lora_weights = False  # there are no weights to begin from
    try:
        with torch.device("meta"):
            made = get_peft_model(model, tried)
    except Exception as error:  # PEFT raises exceptions of many kinds
        line = str(error).strip().partition("\n")[0] or type(error).__name__
        return (
            f"{line.rstrip('.')}; name other layers with peft.target_modules, or choose another peft.method"
        )
    if isinstance(made.get_output_embeddings(), BaseTunerLayer):
        return (
            "target_modules: names the output layer, whose weights the losses read directly, so an adapter "
            "on it would not be trained; leave it out"
        )
    adapted = {name.rpartition(".")[2] for name in getattr(made.base_model, "targeted_module_names", ())}
    if found := sorted(adapted & set(routers)):
        return (
            f"target_modules: {found[0]} gives more than one tensor, to which nothing can be added; "
            "leave it out"
        )
    return _mixture_problem(made, adapter) or _unmatched(made, adapter)


def _mixture_problem(made: Any, adapter: Any) -> str | None:
    """Why a mixture of experts can't have the adapter: both fail only in the middle of a run."""
    # Names of experts are in models and PEFT alike: their layers are no torch modules of their own.
    wrapped = any(type(module).__name__ == "ParamWrapper" for module in made.modules())
    if wrapped and getattr(adapter, "init_lora_weights", True) == "orthogonal":
        return "init: experts of a mixture can't begin as orthogonal; leave init out"
    if hasattr(made.config, "output_router_logits") and adapter.peft_type == "PREFIX_TUNING":
        return (
            "method: the loss that balances a mixture's experts doesn't count a prefix; choose another method"
        )
    return None


def _unmatched(made: Any, adapter: Any) -> str | None:
    """Which name in a list of layers names none: PEFT refuses only lists of which nothing fits."""
    asked = getattr(adapter, "target_modules", None)
    if asked is None or isinstance(asked, str):
        return None
    found = [f".{name}" for name in made.base_model.targeted_module_names]
    unmatched = sorted(name for name in asked if not any(each.endswith(f".{name}") for each in found))
    if not unmatched:
        return None
    return f"target_modules: no layer is called {', '.join(unmatched)}; correct the name, or leave it out"
