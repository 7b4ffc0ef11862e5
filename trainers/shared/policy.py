"""Common parts of trainers on rewards: sample answers, score them, train on the scores."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Concatenate, TypeVar

from harness.errors import SettingsError
from harness.prompts.rendering import RenderedPrompt
from harness.types.training import TrainingManifest
from trainers.data.rendered_prompts import fitting_prompts, rendered_prompts
from trainers.data.rendered_rows import rendered_tokenizer
from trainers.data.rows import Examples
from trainers.measure.held_out_reward import held_out_rewards
from trainers.measure.reward_comparison import reward_comparison
from trainers.measure.samples import add_samples, keep_until, read_samples
from trainers.measure.sampling import as_completion, end_tokens, read_tokens
from trainers.rewards.definition import Reward
from trainers.rewards.score import RewardBatch, score_answers
from trainers.run.manifest import merged
from trainers.run.processes import is_main_process
from trainers.run.training_run import INTERRUPTED, TrainingRun
from trainers.run.work_directory import checkpoint_step
from trainers.shared.lifecycle import fit, method_run
from trainers.shared.policy_config import PolicyConfig, SamplingConfig, sampling_of
from trainers.shared.preparation import make_ready
from trainers.shared.result import finish
from trainers.shared.reward_notes import report_rewards, reward_notes, samples_of

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
        held_out: Prompts to measure before and after training, or None.
        rewards: The rewards, built.
        make_trainer: Makes TRL's trainer; called with the run, the reward function and, by name, model,
            train_dataset, processing_class, peft_config and callbacks.
        resume: Continue from the last checkpoint.

    Returns:
        0, or 2 after Ctrl-C.

    Raises:
        InputError: Data, base model, settings or a reward can't be used.
    """
    with method_run(method, config, prompts.sha256, resume=resume) as run:
        from trainers.measure.reward_log import RewardLog
        from trainers.run.adapters import load_trainable
        from trainers.run.chat_template import load_tokenizer

        if run.checkpoint is not None and is_main_process():
            keep_until(run.work, checkpoint_step(run.checkpoint))
        tokenizer = load_tokenizer(run.base_dir, config)
        prompts = fitting_prompts(prompts, tokenizer, config, config.max_completion_length)
        asked = rendered_prompts(prompts, tokenizer, config, config.max_completion_length)
        model, adapter = load_trainable(config, run.base_dir, run.dtype)
        trainer = make_trainer(
            run,
            reward_function(run, prompts, rewards, tokenizer, end_tokens(model, tokenizer)),
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
        with plain_sampling(trainer.model):
            done = _fit(run, trainer)
        if not done:
            return INTERRUPTED
        if measure:
            found = reward_comparison(run, before, measure(trainer.model))
            noted = merged(noted, TrainingManifest(held_out=found))
        return finish(run, trainer, merged(noted, _learnt(run, trainer, rewards)))


def _prompt_table(prompts: Sequence[RenderedPrompt]) -> Any:
    """The rendered prompts for TRL, each with its row's number.

    Columns are not in the table: each would need one type, and the nested keys of all rows in each row.
    """
    from datasets import Dataset

    return Dataset.from_list(
        [
            {"prompt": [{"role": "user", "content": prompt.shown}], "row": number}
            for number, prompt in enumerate(prompts)
        ]
    )


def held_out_measure(
    run: TrainingRun[SamplingConfig], tokenizer: Any, held_out: Examples | None, rewards: Sequence[Reward]
) -> Callable[[Any], list[float]] | None:
    """A function that measures the rewards of a model's answers to the held-out prompts.

    Args:
        run: The run.
        tokenizer: A tokenizer with a chat template.
        held_out: The prompts, or None.
        rewards: The rewards, built.

    Returns:
        A function from a model to one reward per prompt, in order; None without such prompts, and in all
        processes except the main one.

    Raises:
        DataError: A prompt leaves no room for an answer.
    """
    if held_out is None or not is_main_process():
        return None
    config = run.config
    fitting = fitting_prompts(held_out, tokenizer, config, config.max_completion_length)
    return lambda model: held_out_rewards(run, model, tokenizer, fitting, rewards, sampling_of(config))


@contextmanager
def plain_sampling(model: Any) -> Iterator[None]:
    """Let TRL sample by the run's settings alone, as the gate answers.

    transformers' ``generate`` takes settings that TRL leaves open, such as suppressed tokens, from the
    model's own generation config; only its end tokens are kept.

    Args:
        model: The model that is trained, or PEFT's around it; its own settings are restored at the end.
    """
    from transformers import GenerationConfig

    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    own = base.generation_config
    base.generation_config = GenerationConfig(  # type: ignore[no-untyped-call] # transformers leaves it so
        eos_token_id=own.eos_token_id, pad_token_id=own.pad_token_id, bos_token_id=own.bos_token_id
    )
    try:
        yield
    finally:
        base.generation_config = own


def reward_function(
    run: TrainingRun[PolicyConfig],
    prompts: Examples,
    rewards: Sequence[Reward],
    tokenizer: Any,
    ends: Collection[int],
) -> Callable[..., list[float]]:
    """One function for TRL that computes all rewards, and stores the answers in the work directory.

    Args:
        run: The run, whose work directory stores the answers.
        prompts: The data, identified by row number.
        rewards: The rewards, built.
        tokenizer: Separates the reasoning in TRL's tokens.
        ends: The tokens that end an answer.

    Returns:
        A function with TRL's signature, which returns one number per answer.
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
            read_tokens(tokenizer, tokens, prompt[-1]["content"], settings, ends)
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


def _fit(run: TrainingRun[PolicyConfig], trainer: Any) -> bool:
    try:
        return fit(run, trainer)
    except RuntimeError as error:
        # The error of sampling if the model's weights became NaN in the step before.
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
