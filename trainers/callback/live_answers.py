"""Answers of the model in training by its own weights: nothing is loaded a second time."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from weakref import WeakKeyDictionary

from harness.engines.base import BATCH_TOKENS, CANDIDATE
from harness.engines.decode import varies_with_length
from harness.engines.open import budget_of
from harness.engines.side import Side
from harness.engines.sides import LoadedSides
from harness.engines.transformers_engine import TransformersEngine
from harness.metrics.call_limit import spared_process
from harness.provenance import describe_environment
from harness.run.cache import Cache
from harness.run.conclusion import answered_run
from harness.run.generation import answer_cases
from harness.run.judging import texts_of
from harness.run.rescoring import others_of, rescored
from harness.run.scoring import Judging
from harness.run.session import judge_of, score_sides
from harness.run.workload import Answers
from harness.types import EXACT_DTYPES, ExecutionPlan, ModelRef, Placement, Run
from trainers.callback.asking import TrainingGate
from trainers.measure.sampling import side_of


def has_finite_weights(model: Any) -> bool:
    """Whether all weights that are trained are numbers; after a loss of NaN they are not."""
    return all(bool(each.isfinite().all()) for each in model.parameters() if each.requires_grad)


# A check that can't be interrupted costs a look its time, and no training.
@spared_process()
def answer_live(
    model: Any,
    tokenizer: Any,
    args: Any,
    reference: ModelRef,
    asking: TrainingGate,
    *,
    adapter_on: bool = True,
    baseline: Run | None = None,
) -> tuple[Run, Run | None]:
    """Answer and score all cases.

    Args:
        model: The model in training; afterwards it is in the mode that it was in.
        tokenizer: Its tokenizer.
        args: The training arguments, for the type of numbers.
        reference: What it is called and known by.
        asking: What is asked.
        adapter_on: False: without its adapter, as its base.
        baseline: The run to compare with, for checks that compare two answers, and for the size of batches.

    Returns:
        The run, and the baseline with scores of the same judge.

    Raises:
        EngineError: The model failed.
    """
    started_at = datetime.now(UTC)
    side = side_of(model, tokenizer)
    side = replace(side, decoder="library") if varies_with_length(model.config) else side
    if not adapter_on:
        side = replace(side, adapter=None, prompt=None)
    plan = _plan_of(model, args, asking, side, baseline)
    judging = _begun(asking.judging)
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
    return _scored(reference, answers, asking, judging, baseline, started_at)


def _scored(
    reference: ModelRef,
    answers: Mapping[str, Answers],
    asking: TrainingGate,
    judging: Judging,
    baseline: Run | None,
    started_at: datetime,
) -> tuple[Run, Run | None]:
    """The answers' run, and the baseline with scores of the same judge."""
    environment = describe_environment(asking.root)

    def score() -> tuple[Run, Run | None]:
        results = score_sides(answers, asking.cases, asking.store, lambda *_: None, judging)
        run = answered_run(
            reference,
            answers[CANDIDATE],
            results[CANDIDATE],
            asking.golden_sets,
            environment,
            started_at=started_at,
            duration_s=(datetime.now(UTC) - started_at).total_seconds(),
            collected=len(asking.cases),
            judge=judge_of(judging),
        )
        return run, None if baseline is None else scored_alike(run, baseline, asking)

    # The baseline's questions may be the first that are asked at this look.
    return score() if judging.panel is None else judging.panel.by_one_judge(score)


def scored_alike(run: Run, baseline: Run, asking: TrainingGate) -> Run:
    """A baseline with scores of a look's judge: what its name stands for may change in days of training.

    Args:
        run: The look's run.
        baseline: The run that it is compared with; unchanged if it has no answers.
        asking: What is asked.
    """
    others = others_of(run.metrics, baseline)
    return rescored(baseline, others, asking.cases, asking.judging, asking.store, lambda *_: None)


def _begun(judging: Judging) -> Judging:
    """The judges in a new session: a training may last for days, and a name stand for another by then."""
    if judging.panel is not None:
        judging.panel.begin()
    return judging


def _plan_of(model: Any, args: Any, asking: TrainingGate, side: Side, baseline: Run | None) -> ExecutionPlan:
    dtype = "bfloat16" if args.bf16 else "float16" if args.fp16 else str(model.dtype).removeprefix("torch.")
    return ExecutionPlan(
        engine="transformers",
        dtype=dtype,
        device=str(model.device),
        batch_tokens=asking.settings.batch_tokens or _batch_tokens(model, dtype, baseline),
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


# Of the GPU's memory that training leaves free, the part of keys and values; activations need the rest.
_SHARE = 0.5
# What was decided at a model's first answers, for looks whose baseline was computed elsewhere: the optimiser
# has its memory later. Where memory runs out, a batch is halved.
_decided: WeakKeyDictionary[Any, int] = WeakKeyDictionary()


def _batch_tokens(model: Any, dtype: str, baseline: Run | None) -> int:
    """Tokens of a batch: the baseline's, or a gate's as far as training leaves room on the GPU.

    In lower precision the shape of the batches changes texts: what a resumed training, or one with an
    accepted baseline, has free now says nothing of how that was asked.
    """
    if model.device.type == "cpu" and dtype in EXACT_DTYPES:
        return BATCH_TOKENS  # texts are the same in any batch, and training needs the memory
    then = None if baseline is None else baseline.plan
    if then is not None and then.engine == "transformers" and then.device.split(":")[0] == model.device.type:
        return then.batch_tokens
    if model.device.type != "cuda":
        return BATCH_TOKENS
    if model not in _decided:
        _decided[model] = budget_of([model.config.to_dict()], dtype, _SHARE * _free_bytes(model.device))
    return _decided[model]


def _free_bytes(device: Any) -> int:
    """Memory of a GPU that nothing holds, also of what torch has reserved for itself."""
    import torch

    free: int = torch.cuda.mem_get_info(device)[0]
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


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
