"""Reward-function fine-tuning: sample answers, score them, learn the best ones, and again.

    python -m trainers.methods.rft CONFIG.yaml [--output DIR] [--resume]

The loss of a round, over the tokens of the kept answers: the ``keep`` best of each prompt whose reward R
reaches the threshold τ (Gulcehre et al. 2023, ReST, arXiv:2308.08998, its reward-weighted loss with F = 1[R
≥ τ]; Dong et al. 2023, RAFT, arXiv:2304.06767, algorithm 1; Yuan et al. 2023, arXiv:2308.01825):

    L = - mean_t log π(y_t | x, y_<t),   y of the answers that the round before sampled, with R(x, y) ≥ τ

TRL: ``SFTTrainer``, with an optimizer and a schedule of its own in each round. A round is
a checkpoint: --resume repeats only the round that was not finished.
"""

import json
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self, TypeAlias

from pydantic import Field, model_validator

from harness.engines.base import GenerationRequest
from harness.errors import SettingsError
from harness.presentation.console import open_console
from harness.types.storage import plain, write_whole
from harness.types.training import StepLoss, TrainingManifest
from trainers.config import refuse
from trainers.data.leakage import without_leaks
from trainers.data.learnt_tokens import learnt_rows
from trainers.data.prompts import load_prompts
from trainers.data.rendered_prompts import fitting_prompts
from trainers.data.rendered_rows import rendered_tokenizer
from trainers.data.rows import Examples
from trainers.measure.held_out_reward import reward_batch, sampling_requests
from trainers.measure.reward_comparison import reward_comparison
from trainers.measure.samples import add_samples, keep_until, read_samples
from trainers.measure.sampling import SampledAnswer, end_tokens
from trainers.rewards.build import build_rewards
from trainers.rewards.definition import Reward
from trainers.rewards.score import score_answers
from trainers.run.checkpoint import STATE_FILE, read_state, whole_checkpoint
from trainers.run.entry import run_module
from trainers.run.manifest import merged
from trainers.run.processes import require_one_process
from trainers.run.training_run import INTERRUPTED, TrainingRun
from trainers.run.work_directory import checkpoint_step
from trainers.shared.lifecycle import fit, method_run
from trainers.shared.policy import held_out_measure
from trainers.shared.policy_config import SamplingConfig, sampling_of
from trainers.shared.preparation import make_ready
from trainers.shared.result import finish
from trainers.shared.reward_notes import report_rewards, reward_notes, samples_of
from trainers.shared.rollouts import require_generation
from trainers.shared.vllm_rollouts import answer_source
from tunegate.figures import figure_of

Ask: TypeAlias = Callable[[Sequence[GenerationRequest]], list[SampledAnswer]]


class RftConfig(SamplingConfig):
    """Reward-function fine-tuning: learn the best of the model's own answers."""

    rounds: Annotated[int, Field(ge=1, description="How often answers are sampled and learnt.")] = 2
    threshold: Annotated[
        float, Field(allow_inf_nan=False, description="Smallest reward of an answer that is learnt.")
    ] = 0.5
    keep: Annotated[int, Field(ge=1, description="Most answers to a prompt that are learnt.")] = 1
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False, description="Peak rate.")] = 1e-4
    unread: ClassVar[Mapping[str, str]] = {
        "early_stop": "rft trains without early stopping; leave it out",
        "save_steps": "a round of rft is a checkpoint; leave it out",
    }

    @model_validator(mode="after")
    def _trains_an_adapter(self) -> Self:
        if self.peft.method in {"prefix", "prompt", "full"}:
            refuse(f"peft.method: rft trains lora, loha, lokr, vera, oft or ia3, not {self.peft.method}")
        return self


def train(config: RftConfig, *, resume: bool = False) -> int:
    """Train as configured.

    Args:
        config: The run's configuration; ``max_steps`` and ``epochs`` apply to each round.
        resume: Continue after the last finished round.

    Returns:
        0, or 2 after Ctrl-C.

    Raises:
        InputError: Data, base model, settings or a reward can't be used, or no answer reaches the threshold.
    """
    require_one_process("rft")
    require_generation(config)
    prompts = without_leaks(load_prompts(config.data, config.max_rows), config)
    held_out = load_prompts(config.eval_data) if config.eval_data else None
    rewards = build_rewards(config.rewards, *([prompts] if held_out is None else [prompts, held_out]))
    with method_run("rft", config, prompts.sha256, resume=resume) as run:
        from trainers.run.chat_template import load_tokenizer, report_template

        tokenizer = load_tokenizer(run.base_dir, config)
        prompts = fitting_prompts(prompts, tokenizer, config, config.max_completion_length)
        keep_until(run.work, 0 if run.checkpoint is None else checkpoint_step(run.checkpoint))
        measure = held_out_measure(run, tokenizer, held_out, rewards)
        model, state = _load(run), _read_state(run.checkpoint)
        report_template(run, tokenizer, end_tokens(model, tokenizer))
        if measure is not None and not state.before:
            state.before = measure(model)
        ask = answer_source(run, model, tokenizer)
        trainer = _train_rounds(run, state, model, tokenizer, prompts, rewards, ask)
        if trainer is None:
            return INTERRUPTED
        noted = merged(_round_notes(state), reward_notes(read_samples(run.work), rewards))
        if measure is not None:
            found = reward_comparison(run, state.before, measure(trainer.model))
            noted = merged(noted, TrainingManifest(held_out=found))
        report_rewards(run, noted)
        return finish(run, trainer, merged(TrainingManifest(data=prompts.notes), noted))


@dataclass(slots=True, kw_only=True)
class _State:
    """The state in a checkpoint besides its adapter; it changes from round to round.

    Attributes:
        rounds: The manifest's notes on each finished round, and its losses.
        before: Rewards of the answers to the held-out prompts before the first round.
    """

    rounds: list[dict[str, Any]] = field(default_factory=list)
    before: list[float] = field(default_factory=list)


def _train_rounds(
    run: TrainingRun[RftConfig],
    state: _State,
    model: Any,
    tokenizer: Any,
    prompts: Examples,
    rewards: Sequence[Reward],
    ask: Ask,
) -> Any:
    """Run the rounds that are not finished; TRL's trainer of the last one, or None after Ctrl-C."""
    from trainers.measure.training_log import TrainingLog

    trainer, done = None, len(state.rounds)
    for number in range(done + 1, run.config.rounds + 1):
        kept, noted = _best_answers(run, number, prompts, rewards, ask)
        one = replace(run, checkpoint=None, watch=type(run.watch)(run.console), work=run.work / "round")
        trainer = _trainer(one, model, tokenizer, kept)
        # The plan is the same in each round: it is printed once.
        shown = one if number == done + 1 else replace(one, console=open_console(quiet=True))
        # One log for all rounds: each goes on where the one before it ended.
        log = TrainingLog(run.work, _steps_of(state), {"reward": noted["mean_reward"]})
        make_ready(shown, trainer, tokenizer, prompts.title, log, begun=number > 1)
        if not fit(one, trainer):
            return None
        state.rounds.append({"round": number, **noted, "losses": plain(one.watch.losses)})
        _checkpoint(run, trainer, state)
    if trainer is None:  # all rounds were finished before, but the result was not written
        row = {"prompt": prompts.rows[0]["prompt"], "completion": [{"role": "assistant", "content": "-"}]}
        one_row = Examples(rows=[row], places=prompts.places[:1], sha256=prompts.sha256)
        trainer = _trainer(run, model, tokenizer, one_row)
    return trainer


def _steps_of(state: _State) -> int:
    """Optimizer steps of all finished rounds."""
    return sum(len(each["losses"]) for each in state.rounds)


def _round_notes(state: _State) -> TrainingManifest:
    """The manifest's notes on the rounds, and the losses of all of them in a row."""
    losses = [entry["loss"] for each in state.rounds for entry in each["losses"]]
    return TrainingManifest(
        rounds=tuple({key: value for key, value in each.items() if key != "losses"} for each in state.rounds),
        losses=tuple(StepLoss(step=step, loss=loss) for step, loss in enumerate(losses, start=1)),
        steps=len(losses),
    )


def best(answers: Sequence[str], totals: Sequence[float], each: int, config: RftConfig) -> list[int]:
    """Indices of the answers to learn: each prompt's best ones that reach the threshold, each text once.

    Args:
        answers: All answers, prompt by prompt. Empty ones are never learnt.
        totals: Their rewards.
        each: Answers per prompt.
        config: The threshold and the number to keep.

    Returns:
        Indices in ``answers``: prompt by prompt, the best first.
    """
    chosen: list[int] = []
    for start in range(0, len(answers), each):
        good: dict[str, int] = {}
        for place in range(start, start + each):
            if answers[place].strip() and totals[place] >= config.threshold:
                good.setdefault(answers[place].strip(), place)
        chosen += sorted(good.values(), key=lambda place: -totals[place])[: config.keep]
    return chosen


def _best_answers(
    run: TrainingRun[RftConfig],
    number: int,
    prompts: Examples,
    rewards: Sequence[Reward],
    ask: Ask,
) -> tuple[Examples, dict[str, Any]]:
    """Sample, score and keep; the rows to learn, and the manifest's notes on the round."""
    from transformers import set_seed

    config = run.config

    # A round that is repeated after --resume samples the same answers.
    set_seed(config.seed + number)
    settings = replace(sampling_of(config), seed=config.seed + number)
    requests = sampling_requests(prompts, settings, config.num_generations)
    answers = ask(requests)
    asked = reward_batch(prompts, answers)
    scored = score_answers(rewards, asked)
    add_samples(run.work, samples_of(number, asked, scored.totals, scored.parts))
    chosen = best([answer.text for answer in answers], scored.totals, config.num_generations, config)
    mean, highest, sampled = sum(scored.totals) / len(scored.totals), max(scored.totals), len(answers)
    run.console.print(
        f"round {number}/{config.rounds}  reward {figure_of(mean, 3)} (n={sampled}), "
        f"best {figure_of(highest, 3)}; {len(chosen)} answers to learn"
    )
    if not chosen:
        raise SettingsError(
            f"threshold: no answer of round {number} reaches {config.threshold:g} "
            f"(best: {highest:.3g}); "
            "lower it, sample more (num_generations), or start from an adapter that does better"
        )
    # The whole text is learnt: an answer without its reasoning would teach not to reason.
    rows = [
        {
            "prompt": asked.prompts[place],
            "completion": [{"role": "assistant", "written": answers[place].written}],
        }
        for place in chosen
    ]
    places = [place for place in prompts.places for _ in range(config.num_generations)]
    kept = Examples(rows=rows, places=[places[place] for place in chosen], sha256=prompts.sha256)
    return kept, {"sampled": sampled, "mean_reward": mean, "learnt": len(chosen)}


def _load(run: TrainingRun[RftConfig]) -> Any:
    from peft import PeftModel, get_peft_model

    from trainers.run.adapters import load_trainable
    from trainers.run.base_model import load_base

    if run.checkpoint is not None:
        base = load_base(run.base_dir, run.config.quantization, run.dtype)
        return PeftModel.from_pretrained(base, str(run.checkpoint), is_trainable=True)
    model, adapter = load_trainable(run.config, run.base_dir, run.dtype)
    return model if adapter is None else get_peft_model(model, adapter)


def _trainer(run: TrainingRun[RftConfig], model: Any, tokenizer: Any, examples: Examples) -> Any:
    from datasets import Dataset
    from trl import SFTConfig as TrlConfig
    from trl import SFTTrainer

    from trainers.run.arguments import trl_arguments

    # On a 4-bit base TRL rounds trained weights to bfloat16: each round would lose some of the one before.
    learnt = {name: weight.data for name, weight in model.named_parameters() if weight.requires_grad}
    trainer = SFTTrainer(
        model=model,
        args=trl_arguments(
            TrlConfig,
            run,
            max_length=run.config.max_length,
            packing=False,
            save_strategy="no",
        ),
        train_dataset=Dataset.from_list(learnt_rows(examples, tokenizer, run.config)[1]),
        processing_class=rendered_tokenizer(tokenizer),
        callbacks=[run.watch],
    )
    # The trainer's model is the given one.
    for name, weight in model.named_parameters():
        if name in learnt:
            weight.data = learnt[name]
    return trainer


def _checkpoint(run: TrainingRun[RftConfig], trainer: Any, state: _State) -> None:
    """Store the round's adapter; the state is written last, so a checkpoint with a state is complete."""
    from trainers.run.trained_weights import save_trained

    directory = run.work / "checkpoints" / f"checkpoint-{len(state.rounds)}"
    shutil.rmtree(directory, ignore_errors=True)
    model = trainer.accelerator.unwrap_model(trainer.model)
    save_trained(model, trainer.processing_class, run.config.base, directory)
    if run.config.chat_template is not None:
        trainer.processing_class.save_pretrained(str(directory))
    write_whole(directory / STATE_FILE, json.dumps(asdict(state)))


def _read_state(checkpoint: Path | None) -> _State:
    if checkpoint is None:
        return _State()
    state = read_state(checkpoint)
    with whole_checkpoint(checkpoint):
        return _State(rounds=list(state["rounds"]), before=list(state["before"]))


if __name__ == "__main__":
    sys.exit(run_module("trainers.methods.rft", RftConfig, train))
