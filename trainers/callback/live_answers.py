"""Answers of the model in training by its own weights: nothing is loaded a second time."""

import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.engines.base import CANDIDATE
from harness.engines.decode import varies_with_length
from harness.engines.side import Side
from harness.engines.sides import LoadedSides
from harness.engines.transformers_engine import TransformersEngine
from harness.engines.weights import weight_sums
from harness.errors import ModelError, PromptError, SettingsError
from harness.models.resolve import adapter_sha256, model_sha256, resolve_model
from harness.prompts.rendering import render_prompt, text_ids
from harness.prompts.tokenizers import places
from harness.provenance import describe_environment
from harness.run.cache import Cache
from harness.run.conclusion import answered_run
from harness.run.generation import answer_cases
from harness.run.judging import texts_of
from harness.run.session import score_sides
from harness.run.workload import load_passages, with_kwargs
from harness.types import ExecutionPlan, ModelRef, Placement, Run
from trainers.callback.asking import Asking
from trainers.measure.sampling import side_of

# Initialisations after which the base with its adapter off is still the base.
_PLAIN_STARTS = (True, False, "gaussian", "orthogonal", "eva")


def check_model(model: Any, tokenizer: Any, args: Any) -> None:
    """Check that the weights in this process can answer.

    Args:
        model: The model in training.
        tokenizer: The trainer's ``processing_class``, or its tokenizer.
        args: The training arguments.

    Raises:
        SettingsError: They are spread over processes, continue no text, or there is no tokenizer.
    """
    if getattr(args, "deepspeed", None) or getattr(args, "fsdp", None):
        raise SettingsError(
            "GateCallback: the weights are spread over processes (FSDP or DeepSpeed), so this process can't "
            "answer: give where='subprocess'"
        )
    if tokenizer is None or not hasattr(tokenizer, "eos_token_id"):
        raise SettingsError("GateCallback: no tokenizer: give the trainer processing_class=tokenizer")
    if getattr(model.config, "is_encoder_decoder", False) or not hasattr(model, "generate"):
        raise SettingsError(
            f"GateCallback: {type(model).__name__} continues no text: the gate is for causal language models"
        )


def check_room(model: Any, tokenizer: Any, asking: Asking) -> None:
    """Check that each prompt can be rendered, and that the model has room for it and its answer.

    Args:
        model: The model in training.
        tokenizer: Its tokenizer.
        asking: What is asked.

    Raises:
        SettingsError: It can't; with the first such case.
    """
    room, kwargs = places(model.config), asking.settings.chat_template_kwargs
    for case in asking.asked:
        settings = with_kwargs(case, kwargs).generation
        try:
            tokens = render_prompt(tokenizer, case.messages, settings).tokens
        except PromptError as error:
            raise SettingsError(f"GateCallback: {case.key}: {error}") from error
        if room is not None and tokens + settings.token_limit > room:
            raise SettingsError(
                f"GateCallback: {case.key}: {tokens} tokens of the prompt and {settings.token_limit} of the "
                f"answer are more than the model's context of {room}; shorten it, or skip the case"
            )
    if asking.settings.forgetting and room is not None:
        longest = max(len(text_ids(tokenizer, text)) for text in load_passages().values()) + 1
        if longest > room:
            raise SettingsError(
                f"GateCallback: general text has {longest} tokens, the model a context of {room}: "
                f"give forgetting=False"
            )


def has_plain_base(model: Any) -> bool:
    """Whether the model with its adapter off is the base that it was made from.

    Initialisations such as PiSSA subtract from the base's weights what they put into the adapter, and trained
    biases belong to the base.
    """
    config = getattr(model, "active_peft_config", None)
    if config is None:
        return False
    start = getattr(config, "init_lora_weights", True)
    return start in _PLAIN_STARTS and getattr(config, "bias", "none") == "none"


def has_finite_weights(model: Any) -> bool:
    """Whether all weights that are trained are numbers; after a loss of NaN they are not."""
    return all(bool(each.isfinite().all()) for each in model.parameters() if each.requires_grad)


def base_reference(model: Any) -> ModelRef:
    """The model that training starts from, by the content of its files, or else by its weights.

    Args:
        model: The model before the first step.
    """
    base = model.get_base_model() if hasattr(model, "peft_config") else model
    name = str(getattr(base.config, "_name_or_path", "") or type(base).__name__)
    try:
        content = model_sha256(resolve_model(name, download=False, recorded=True))
    except ModelError:
        # Made in this process, or from files that are gone.
        content = hashlib.sha256(json.dumps(weight_sums(base), sort_keys=True).encode()).hexdigest()
    return ModelRef(label=name, base_model=name, base_sha256=content)


def checkpoint_reference(checkpoint: Path, base: ModelRef) -> ModelRef:
    """A saved checkpoint, by the content of its files.

    Args:
        checkpoint: Its directory.
        base: The model that training started from.

    Raises:
        AdapterError: It is damaged.
    """
    if (checkpoint / "adapter_config.json").is_file():
        return replace(
            base,
            label=str(checkpoint),
            adapter_dir=str(checkpoint.resolve()),
            adapter_sha256=adapter_sha256(checkpoint),
        )
    return ModelRef(label=str(checkpoint), base_model=str(checkpoint), base_sha256=model_sha256(checkpoint))


def answer_live(
    model: Any,
    tokenizer: Any,
    args: Any,
    reference: ModelRef,
    asking: Asking,
    *,
    adapter_on: bool = True,
    baseline: Run | None = None,
) -> Run:
    """Answer and score all cases.

    Args:
        model: The model in training; afterwards it is in the mode that it was in.
        tokenizer: Its tokenizer.
        args: The training arguments, for the type of numbers.
        reference: What it is called and known by.
        asking: What is asked.
        adapter_on: False: without its adapter, as its base.
        baseline: The run to compare with, for checks that compare two answers.

    Raises:
        EngineError: The model failed.
    """
    started_at, started = datetime.now(UTC), time.perf_counter()
    side = side_of(model, tokenizer)
    if varies_with_length(model.config):
        side = replace(side, decoder="library")
    if not adapter_on:
        side = replace(side, adapter=None, prompt=None)
    plan = _plan_of(model, args, asking, side)
    judging = asking.judging
    if baseline is not None:
        judging = replace(judging, baseline_texts=texts_of(baseline))
    with _answering(model, plan.dtype, enabled=bool(args.bf16 or args.fp16)):
        answers = answer_cases(
            {CANDIDATE: reference},
            # Prompts are rendered by the engine: the tokenizer is here, and perhaps in no directory.
            replace(plan, engine="training"),
            asking.asked,
            # Nothing is stored: the next look's weights are others.
            Cache(None),
            lambda *_: None,
            with_text=asking.settings.forgetting,
            open_engine=lambda *_: TransformersEngine(
                LoadedSides(sides={CANDIDATE: side}, placements=plan.placements), plan
            ),
        )
    answers = {CANDIDATE: replace(answers[CANDIDATE], plan=plan)}
    results = score_sides(answers, asking.cases, asking.store, lambda *_: None, judging)
    return answered_run(
        reference,
        answers[CANDIDATE],
        results[CANDIDATE],
        asking.golden_sets,
        describe_environment(asking.root),
        started_at=started_at,
        duration_s=time.perf_counter() - started,
        collected=len(asking.cases),
    )


def _plan_of(model: Any, args: Any, asking: Asking, side: Side) -> ExecutionPlan:
    dtype = "bfloat16" if args.bf16 else "float16" if args.fp16 else str(model.dtype).removeprefix("torch.")
    return ExecutionPlan(
        engine="transformers",
        dtype=dtype,
        device=str(model.device),
        batch_tokens=asking.settings.batch_tokens,
        weights="nf4" if getattr(model, "is_loaded_in_4bit", False) else "peft",
        chat_template_kwargs=asking.settings.chat_template_kwargs,
        placements=(
            Placement(
                side=CANDIDATE,
                weights="shared",
                batches="single" if side.decoder == "library" else "separate",
                decoder=side.decoder,
            ),
        ),
    )


@contextmanager
def _answering(model: Any, dtype: str, *, enabled: bool) -> Iterator[None]:
    """Answer in evaluation mode, in the type of numbers that is trained in.

    Training goes on as if nothing had been asked: modules get their modes back, torch its random streams.
    """
    import torch

    modes = {module: module.training for module in model.modules()}
    model.eval()
    devices = [model.device] if model.device.type == "cuda" else []
    try:
        with (
            torch.random.fork_rng(devices),
            torch.autocast(model.device.type, dtype=getattr(torch, dtype), enabled=enabled),
        ):
            yield
    finally:
        for module, training in modes.items():
            module.training = training
