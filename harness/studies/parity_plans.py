"""The plans of a parity study: their names, and what of them a model can't follow."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from harness.engines.adapter import VIRTUAL_TOKENS, adapter_traits
from harness.engines.base import SERVED
from harness.engines.open import choose_plan, describe_model, split_reference
from harness.engines.precision import in_four_bits, stored_quantisation
from harness.engines.served.adapters import refuse_beforehand
from harness.engines.served.address import MODEL_KEY, OPENAI_KEY, checked_url
from harness.errors import SettingsError
from harness.run.inputs import asked_by
from harness.settings import SETTINGS, Settings
from harness.types import ExecutionPlan, ModelRef

Weights = Literal["peft", "merged", "nf4"]
# A plan's name: how the adapter is applied to its base, and the precision (None: as a gate chooses).
PLANS: Mapping[str, tuple[Weights, str | None]] = {
    "peft": ("peft", None),
    "merged": ("merged", None),
    "nf4": ("nf4", None),
    "bf16": ("peft", "bfloat16"),
    "fp16": ("peft", "float16"),
    "merged-bf16": ("merged", "bfloat16"),
}
_USUAL = ("peft", "merged", "nf4", "bf16")
# A server with vLLM's API, ``vllm`` alone or with the address of one that runs.
VLLM = "vllm"
# They act on what a model reads or on its way, and PEFT has no weights of theirs to add.
_WITHOUT_WEIGHTS = {VIRTUAL_TOKENS, "ADAPTION_PROMPT", "CARTRIDGE", "CPT", "SHADOW"}
# Stored so, the layers of a base are none that PEFT adds weights to.
_CLOSED_BASES = {"aqlm", "awq", "eetq", "gptq"}


def split_plans(text: str) -> list[str]:
    """The plans in a list with commas; the addresses of a pool have some too."""
    return [name.strip() for name in re.split(r",(?!https?://)", text) if name.strip()]


def usual_plans(model: ModelRef) -> list[str]:
    """The plans of a study that names none: those that the model can follow.

    Args:
        model: The adapter, or a whole model.
    """
    unable = set[Weights]()
    try:
        _refuse_unmerged(model, "")
    except SettingsError:
        unable.add("merged")
    if stored_quantisation(model.base_model) is not None:
        unable.add("nf4")
    return [name for name in _USUAL if PLANS[name][0] not in unable]


def check_plans(names: Sequence[str]) -> list[str]:
    """Check that there are two or more known plans.

    Raises:
        SettingsError: There are not.
    """
    unknown = [name for name in names if name not in PLANS and not is_served(name)]
    if unknown or len(set(names)) < 2:
        found = f"found {unknown[0]!r}" if unknown else f"{', '.join(names) or 'nothing'} is not a pair"
        allowed = f"two or more of {', '.join(PLANS)}, openai:MODEL@URL, vllm, vllm:URL"
        raise SettingsError(f"--plans: {found} (allowed: {allowed})")
    return list(dict.fromkeys(names))


# Settings that say how servers are asked, each with the plans that it acts on.
SERVER_SETTINGS = ("server_args", "server_concurrency", "server_timeout_s", "model_id")


def refuse_idle(given: Mapping[str, object], names: Sequence[str]) -> None:
    """Refuse options that act on none of the plans.

    Args:
        given: The values of ``SERVER_SETTINGS`` that were given as options; None for those that were not.
        names: The plans.

    Raises:
        SettingsError: There are such.
    """
    named = [name for name in names if is_served(name) and name.partition(":")[0] != VLLM]
    acts_on = {
        "server_args": ("vllm, which starts a server", VLLM in names),
        "model_id": ("openai:MODEL@URL", bool(named)),
    }
    for setting, value in given.items():
        what, is_there = acts_on.get(setting, ("one that asks a server", any(map(is_served, names))))
        flag = SETTINGS[setting].flag or setting
        if value is not None and not is_there:
            raise SettingsError(f"{flag.replace('gate-', '')}: acts on no plan but {what}")


def is_served(name: str) -> bool:
    """Whether a plan of this name asks a server."""
    named = split_reference(name)
    return name == VLLM or (named is not None and named[0].name in SERVED)


def refuse_other_engines(model: ModelRef) -> None:
    """Refuse a model that only its own engine can run.

    Raises:
        SettingsError: It is one.
    """
    if model.engine is not None:
        raise SettingsError(f"{model.label}: a plug-in's engine has no other plans to compare")
    if choose_plan("auto", "auto", None, [model]).engine != "transformers":
        raise SettingsError(f"{model.label}: a multi-task model has no other plans to compare")


def planned(name: str, model: ModelRef, serving: Settings) -> tuple[ModelRef, ExecutionPlan]:
    """The model and the plan of a name.

    Args:
        name: The plan's.
        model: The adapter, or a whole model.
        serving: How servers are asked.

    Returns:
        Both, the model as whoever answers knows it.

    Raises:
        InputError: The model can't be run so.
    """
    if name in PLANS:
        weights, dtype = PLANS[name]
        if weights == "merged":
            _refuse_unmerged(model, f"--plans {name}")
        plan = choose_plan(dtype or "auto", "auto", None, [model])
        if weights == "nf4":
            return model, in_four_bits(plan, [model], f"--plans {name}")
        return model, replace(plan, weights=weights)
    kind, _, url = name.partition(":")
    if kind == VLLM:
        address = checked_url(url, "--plans vllm", (MODEL_KEY, OPENAI_KEY)) if url else None
        # Arguments are for the server that is started.
        changed = {"engine": VLLM, "server": address, **({"server_args": ""} if address else {})}
        plan = asked_by(serving.model_copy(update=changed), choose_plan("auto", "auto", None, [model]))
        refuse_beforehand(model, address)
        return model, plan
    served = describe_model(name, model_id=serving.model_id)
    changed = {"engine": "transformers", "server": None, "server_args": ""}
    return served, asked_by(serving.model_copy(update=changed), choose_plan("auto", "auto", None, [served]))


def _refuse_unmerged(model: ModelRef, asked: str) -> None:
    """Refuse to merge what can't be: such a plan would be another one, or fail after others have answered.

    Raises:
        SettingsError: There is no adapter, or it can't be added to the base's weights.
    """
    if model.adapter_dir is None:
        raise SettingsError(f"{asked}: {model.label}: a whole model has no adapter to merge; leave it out")
    traits = adapter_traits(model.adapter_dir)
    # One that begins at certain tokens is not batched either.
    if traits.kind in _WITHOUT_WEIGHTS or not traits.batches:
        raise SettingsError(
            f"{asked}: {model.label}: an adapter that adds more than weights ({traits.kind}) can't be merged "
            f"into its base; leave it out"
        )
    if (method := stored_quantisation(model.base_model)) in _CLOSED_BASES:
        raise SettingsError(
            f"{asked}: {model.base_model}: its weights are stored quantised ({method}), and no adapter can "
            f"be merged into these; leave it out"
        )
