"""What trainers on rewards share: sample answers, score them, keep what was sampled, note what it did."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Concatenate, Self, TypeVar

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from harness.errors import SettingsError
from harness.prompts.rendering import RenderedPrompt
from harness.types import GenerationSettings
from harness.types.training import RewardNotes, StepReward, TrainingManifest
from trainers.config import TrainingConfig, listed
from trainers.data.rendered_rows import rendered_prompts, rendered_tokenizer, rendering_of
from trainers.data.rows import Examples
from trainers.measure.canaries import canary_notes
from trainers.measure.change import mean_change
from trainers.measure.held_out_reward import held_out_rewards, reward_comparison
from trainers.measure.samples import Sample, add_samples, by_group, first_and_last, keep_until, read_samples
from trainers.measure.sampling import as_completion, read_tokens
from trainers.rewards.catalogue import RewardSettings
from trainers.rewards.definition import Reward
from trainers.rewards.score import RewardBatch, score_answers
from trainers.run.manifest import merged
from trainers.run.processes import is_main_process
from trainers.run.training_run import INTERRUPTED, TrainingRun
from trainers.run.work_directory import checkpoint_step
from trainers.shared.lifecycle import finish, fit, make_ready, method_run


class SamplingConfig(TrainingConfig):
    """What every method that samples answers understands."""

    rewards: Annotated[
        tuple[RewardSettings, ...],
        Field(min_length=1, description="What an answer is worth: a list of rewards."),
    ]
    eval_data: Annotated[
        tuple[Path, ...],
        BeforeValidator(listed),
        Field(description="Held-out prompts: what the likeliest answers to them are worth is noted."),
    ] = ()
    num_generations: Annotated[int, Field(ge=2, description="Answers sampled for each prompt.")] = 8
    max_completion_length: Annotated[int, Field(ge=1, description="Most tokens of a sampled answer.")] = 128
    temperature: Annotated[float, Field(gt=0, description="Temperature of sampling.")] = 1.0
    top_p: Annotated[
        float, Field(gt=0, le=1, description="Sample from the likeliest tokens with this sum.")
    ] = 1.0
    score_reasoning: Annotated[
        bool, Field(description="Rewards see the reasoning too, as a part of the answer.")
    ] = False


class PolicyConfig(SamplingConfig):
    """Online policy optimisation."""

    beta: Annotated[
        float, Field(ge=0, description="Weight of the KL divergence from the model that training began with.")
    ] = 0.04
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False, description="Peak rate.")] = 5e-5
    batch_size: Annotated[int, Field(ge=1, description="Answers of one forward pass.")] = 8

    @model_validator(mode="after")
    def _whole_groups(self) -> Self:
        answers = self.batch_size * self.gradient_accumulation
        if answers % self.num_generations:
            problem = f"batch_size × gradient_accumulation is {answers}, no multiple of num_generations"
            raise PydanticCustomError("agreement", f"{problem} {self.num_generations}")
        return self


PolicyConfigT = TypeVar("PolicyConfigT", bound=PolicyConfig)


def train_policy(
    method: str,
    config: PolicyConfigT,
    prompts: Examples,
    held_out: Examples | None,
    rewards: Sequence[Reward],
    make_trainer: Callable[Concatenate[TrainingRun[PolicyConfigT], Callable[..., list[float]], ...], Any],
    *,
    resume: bool,
) -> int:
    """Run a TRL trainer that samples, with our rewards.

    Args:
        method: The trainer's name.
        config: The run's configuration.
        prompts: The data.
        held_out: Prompts for a comparison of before and after, or None.
        rewards: The rewards, built.
        make_trainer: Makes TRL's trainer; called with the run, the reward function and, by name, model,
            train_dataset, processing_class, peft_config and callbacks.
        resume: Continue from the last checkpoint.

    Returns:
        0, or 130 after Ctrl-C.

    Raises:
        InputError: Data, base model, settings or a reward can't be used.
    """
    with method_run(method, config, prompts.sha256, resume=resume) as run:
        from trainers.measure.reward_log import RewardLog
        from trainers.run.adapters import load_trainable
        from trainers.run.base_model import load_tokenizer

        if run.checkpoint is not None and is_main_process():
            keep_until(run.work, checkpoint_step(run.checkpoint))
        tokenizer = load_tokenizer(run.base_dir, config.adapter)
        asked = rendered_prompts(prompts, tokenizer, config, config.max_completion_length)
        model, adapter = load_trainable(config, run.base_dir, run.dtype)
        trainer = make_trainer(
            run,
            reward_function(run, prompts, rewards, tokenizer),
            model=model,
            train_dataset=_prompt_table(asked),
            processing_class=rendered_tokenizer(tokenizer),
            peft_config=adapter,
            callbacks=[run.watch, RewardLog(run)],
        )
        make_ready(run, trainer, tokenizer, prompts.title)
        measure = held_out_measure(run, tokenizer, held_out, rewards)
        noted = TrainingManifest(data=prompts.notes)
        before = measure(trainer.model) if measure else []
        if not _fit(run, trainer):
            return INTERRUPTED
        if measure:
            found = reward_comparison(run, before, measure(trainer.model))
            noted = merged(noted, TrainingManifest(held_out=found))
        return finish(run, trainer, merged(noted, _learnt(run, trainer, rewards)))


def _prompt_table(prompts: Sequence[RenderedPrompt]) -> Any:
    """The rendered prompts for TRL, each with its row's number.

    Columns stay here: in a table each would need one type, and nested keys of all rows in each row.
    """
    from datasets import Dataset

    return Dataset.from_list(
        [
            {"prompt": [{"role": "user", "content": prompt.text}], "row": number}
            for number, prompt in enumerate(prompts)
        ]
    )


def held_out_measure(
    run: TrainingRun[SamplingConfig], tokenizer: Any, held_out: Examples | None, rewards: Sequence[Reward]
) -> Callable[[Any], list[float]] | None:
    """How to measure what a model's answers to the held-out prompts are worth.

    Args:
        run: The run.
        tokenizer: With a chat template.
        held_out: The prompts, or None.
        rewards: The rewards, built.

    Returns:
        A function from a model to one reward a prompt, in their order; None without such prompts, and in all
        processes but the main one.

    Raises:
        DataError: A prompt leaves no room for an answer.
    """
    if held_out is None or not is_main_process():
        return None
    config = run.config
    rendered_prompts(held_out, tokenizer, config, config.max_completion_length)
    return lambda model: held_out_rewards(run, model, tokenizer, held_out, rewards, sampling_of(config))


def sampling_of(config: SamplingConfig) -> GenerationSettings:
    """How answers are sampled outside TRL's own trainers."""
    return replace(
        rendering_of(config),
        max_new_tokens=config.max_completion_length,
        temperature=config.temperature,
        top_p=config.top_p,
        score_reasoning=config.score_reasoning,
    )


def reward_function(
    run: TrainingRun[PolicyConfig], prompts: Examples, rewards: Sequence[Reward], tokenizer: Any
) -> Callable[..., list[float]]:
    """One function for TRL that asks all rewards, and keeps the answers in the work directory.

    Args:
        run: The run, whose work directory keeps the answers.
        prompts: The data, which TRL names by row number.
        rewards: The rewards, built.
        tokenizer: Takes the reasoning apart from TRL's tokens.

    Returns:
        A function of TRL's signature, which gives one number an answer.
    """
    from accelerate.utils import gather_object

    def reward(
        prompts: Sequence[Any],
        completion_ids: Sequence[list[int]],
        row: Sequence[int],
        trainer_state: Any,
        log_metric: Callable[[str, float], None],
        **_: Any,
    ) -> list[float]:
        answers = [
            read_tokens(tokenizer, tokens, prompt[-1]["content"], settings)
            for tokens, prompt in zip(completion_ids, prompts, strict=True)
        ]
        asked = RewardBatch(
            prompts=[rows[number]["prompt"] for number in row],
            completions=[as_completion(answer) for answer in answers],
            columns=[rows[number]["columns"] for number in row],
            places=[places[number] for number in row],
        )
        scored = score_answers(rewards, asked)
        for name, values in scored.parts.items():
            applying = [value for value in values if value is not None]
            if applying:
                log_metric(f"rewards/{name}", sum(applying) / len(applying))
        samples = samples_of(trainer_state.global_step + 1, asked, scored.totals, scored.parts)
        # With several processes each has sampled its share.
        everyone = gather_object(samples)
        if is_main_process():
            add_samples(run.work, everyone)
        return scored.totals

    settings = sampling_of(run.config)
    rows = prompts.rows
    places = [f"{path.name}:{line}" for path, line in prompts.places]
    return reward


def samples_of(
    step: int, asked: RewardBatch, totals: Sequence[float], parts: Mapping[str, Sequence[float | None]]
) -> list[Sample]:
    """Scored answers as they are kept.

    Args:
        step: Optimizer step or round that they were sampled for, from 1.
        asked: The answers.
        totals: One weighted sum an answer.
        parts: Its parts by reward.
    """
    return [
        Sample(
            step=step,
            place=asked.places[number],
            prompt=asked.prompts[number][-1]["content"],
            answer=asked.completions[number][-1]["content"],
            reward=total,
            rewards={name: values[number] for name, values in parts.items()},
        )
        for number, total in enumerate(totals)
    ]


def reward_notes(
    samples: Sequence[Sample], rewards: Sequence[Reward], kl: Mapping[int, float] = {}
) -> TrainingManifest:
    """What the manifest says of the rewards: each step's mean, its change, and canaries.

    Args:
        samples: All answers that were sampled, in the steps' order.
        rewards: The rewards, built.
        kl: Divergence from the model that training began with, in nats per token, by step.

    Returns:
        The manifest's sections ``rewards`` and ``canaries``.
    """
    first, last = first_and_last(samples)
    groups = [by_group(part, [sample.reward for sample in part]) for part in (first, last)]
    steps = []
    for step, here in itertools.groupby(samples, key=lambda sample: sample.step):
        values = [sample.reward for sample in here]
        found = StepReward(step=step, reward=sum(values) / len(values), n=len(values))
        steps.append(found.model_copy(update={"kl": kl[step]}) if step in kl else found)
    return TrainingManifest(
        rewards=RewardNotes(
            steps=tuple(steps),
            change=mean_change(groups[0], groups[1]),
            files={reward.name: dict(reward.facts) for reward in rewards if reward.facts},
        ),
        canaries=canary_notes(samples),
    )


def report_rewards(run: TrainingRun[SamplingConfig], noted: TrainingManifest) -> None:
    """Print how the reward changed, and the canaries.

    Args:
        run: The run, on whose console it is printed.
        noted: Its rewards and canaries.
    """
    change: Any = None if noted.rewards is None else noted.rewards.change
    if change is not None:
        before, after, by = change["before"], change["after"], change["change"]
        run.console.print(
            f"reward    {before['estimate']:.3f} in the first fifth of the steps (n={change['n_before']}), "
            f"{after['estimate']:.3f} in the last (n={change['n_after']}): "
            f"{by['estimate']:+.3f} [{by['low']:+.3f}, {by['high']:+.3f}]"
        )
    for line in () if noted.canaries is None else noted.canaries.summary:
        run.console.print(f"canary    {line}")


def _fit(run: TrainingRun[PolicyConfig], trainer: Any) -> bool:
    try:
        return fit(run, trainer)
    except RuntimeError as error:
        # What sampling says of a model whose weights became NaN in the step before.
        if "probability tensor contains" not in str(error):
            raise
        step = trainer.state.global_step
        raise SettingsError(
            f"learning_rate: the model's probabilities became NaN at step {step}; "
            "no adapter was written; lower the rate"
        ) from error


def _learnt(run: TrainingRun[PolicyConfig], trainer: Any, rewards: Sequence[Reward]) -> TrainingManifest:
    if not is_main_process():
        return TrainingManifest()
    logged = [
        entry for entry in trainer.state.log_history if "reward" in entry and entry.get("kl") is not None
    ]
    kl = {int(entry["step"]): float(entry["kl"]) for entry in logged}
    noted = reward_notes(read_samples(run.work), rewards, kl)
    report_rewards(run, noted)
    return noted
