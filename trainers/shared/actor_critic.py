"""The steps of PPO: sample answers, judge every token, and update policy and value head several times.

Rewards, advantages and losses are functions of (answers, tokens) tensors; the trainer puts them together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from transformers import Trainer
from trl.trainer.utils import RepeatSampler, disable_dropout_in_model, selective_log_softmax, use_adapter

from harness.engines.base import GenerationRequest
from harness.prompts.rendering import RenderedPrompt, text_ids
from harness.types import GenerationSettings
from trainers.measure.sampling import sample_answers
from trainers.run.checkpoint import whole_checkpoint

_HEAD_FILE = "value_head.pt"
_REFERENCE = "ref"


@dataclass(frozen=True, slots=True, kw_only=True)
class PpoSettings:
    """The numbers of PPO, in the symbols of docs/training.md: β, ε, c₁, γ, λ, K.

    Attributes:
        sampling: How answers are sampled.
        num_generations: Answers to each prompt.
        beta: Weight of each token's KL penalty.
        clip_range: Largest change of a token's probability ratio that is rewarded.
        value_weight: Weight of the value head's loss.
        value_learning_rate: Peak rate of the value head.
        discount: Of later rewards.
        gae_lambda: Between one step's error (0) and the whole return (1).
        passes: Optimizer steps on the same answers.
    """

    sampling: GenerationSettings
    num_generations: int
    beta: float
    clip_range: float
    value_weight: float
    value_learning_rate: float
    discount: float
    gae_lambda: float
    passes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """Sampled answers and the policy's view of them before it was updated.

    Attributes:
        ids: Prompts with answers, padded on the right, (answers, tokens).
        mask: 1 where ``ids`` is not padding, (answers, tokens).
        written: True where the next token is the answer's, (answers, tokens - 1); so are all that follow.
        logps: Log-probability of the next token.
        advantages: Of the next token, normalised over the batch.
        returns: What the value head should have said.
    """

    ids: Tensor
    mask: Tensor
    written: Tensor
    logps: Tensor
    advantages: Tensor
    returns: Tensor

    def part(self, rows: slice) -> Rollout:
        """Some of the answers."""
        return Rollout(**{name: getattr(self, name)[rows] for name in self.__slots__})


def token_rewards(scores: Tensor, logps: Tensor, reference: Tensor, written: Tensor, beta: float) -> Tensor:
    """The reward of each token: the KL penalty, and at the last one the answer's score as well.

    Ouyang et al. (2022), arXiv:2203.02155, equation 2, its first two terms.

    Args:
        scores: The answers' rewards, (answers,).
        logps: The policy's log-probabilities, (answers, tokens).
        reference: The reference's: the model that training starts from.
        written: True for the answer's tokens.
        beta: Weight of the penalty.

    Returns:
        (answers, tokens), 0 outside of the answers.
    """
    rewards = -beta * (logps - reference) * written
    # The place of the last True of each row.
    last = written.shape[1] - 1 - written.flip(1).long().argmax(dim=1)
    rewards[torch.arange(len(scores), device=scores.device), last] += scores
    return rewards


def estimated_advantages(
    rewards: Tensor, values: Tensor, written: Tensor, discount: float, gae_lambda: float
) -> Tensor:
    """Generalised advantage estimates: Schulman et al. (2016), arXiv:1506.02438, equation 16.

    A_t = δ_t + γ λ A_{t+1}, with δ_t = r_t + γ V_{t+1} - V_t; after the last token value and advantage are 0.

    Args:
        rewards: Of each token, (answers, tokens).
        values: The expected return before each token.
        written: True for the answer's tokens, which are neighbours.
        discount: γ.
        gae_lambda: λ.

    Returns:
        (answers, tokens), 0 outside of the answers.
    """
    advantages, later = torch.zeros_like(rewards), torch.zeros_like(rewards[:, 0])
    next_value = torch.zeros_like(later)
    for place in reversed(range(rewards.shape[1])):
        error = rewards[:, place] + discount * next_value - values[:, place]
        later = (error + discount * gae_lambda * later) * written[:, place]
        advantages[:, place] = later
        next_value = values[:, place] * written[:, place]
    return advantages


def normalised(advantages: Tensor, written: Tensor) -> Tensor:
    """Advantages with mean 0 and standard deviation 1 over all tokens of the batch.

    Args:
        advantages: (answers, tokens).
        written: True for the answer's tokens.
    """
    here = advantages[written]
    return (advantages - here.mean()) / (here.std(correction=0) + 1e-8) * written


def clipped_loss(ratio: Tensor, advantages: Tensor, written: Tensor, clip_range: float) -> Tensor:
    """The policy's loss: Schulman et al. (2017), arXiv:1707.06347, equation 7, negative.

    Args:
        ratio: New probability of each token by its old one, (answers, tokens).
        advantages: Of each token.
        written: True for the answer's tokens.
        clip_range: ε.
    """
    clipped = ratio.clamp(1 - clip_range, 1 + clip_range)
    return -torch.minimum(ratio * advantages, clipped * advantages)[written].mean()


class ActorCritic(Trainer):
    """PPO with a value head on the policy's last hidden states, in one process."""

    def __init__(
        self, settings: PpoSettings, reward: Callable[..., list[float]], tokenizer: Any, **parts: Any
    ) -> None:
        """Prepare policy, reference and value head.

        Args:
            settings: PPO's own.
            reward: Scores answers; with TRL's signature.
            tokenizer: The base's, with its own chat template.
            parts: Of transformers' Trainer; the model has its adapter already.
        """
        super().__init__(data_collator=_as_it_is, **parts)
        self._policy = cast(Any, self.model)
        self._settings, self._reward, self._tokenizer = settings, reward, tokenizer
        self.model_accepts_loss_kwargs = False  # the loss is a mean over one forward pass
        disable_dropout_in_model(self._policy)  # old and new probabilities are compared
        if self.args.gradient_checkpointing:
            self._policy.enable_input_require_grads()
        embeddings = self._policy.get_output_embeddings()
        head = torch.nn.Linear(embeddings.weight.shape[-1], 1, device=self.args.device)
        torch.nn.init.zeros_(head.weight)
        torch.nn.init.zeros_(head.bias)
        self._policy.value_head = head
        self._rollouts: list[Rollout] = []
        self._forward_passes = 0
        self._noted: dict[str, float] = {}

    def create_optimizer(self, model: Any = None) -> Any:
        """The library's optimizer, with a rate of its own for the value head."""
        if self.optimizer is None:
            head = self._policy.value_head.requires_grad_(False)
            super().create_optimizer(model)
            head.requires_grad_(True)
            rate = {"lr": self._settings.value_learning_rate, "weight_decay": 0.0}
            made: Any = self.optimizer
            made.add_param_group({"params": list(head.parameters()), **rate})
        return self.optimizer

    def get_train_dataloader(self) -> Any:
        """All prompts of an optimizer step at once, the same ones for each pass and forward pass."""
        accumulated, settings = self.args.gradient_accumulation_steps, self._settings
        data: Any = self.train_dataset
        answers = self._train_batch_size * accumulated
        return self._get_dataloader(
            dataset=data,
            description="Training",
            batch_size=answers,
            sampler_fn=lambda _: RepeatSampler(
                data,
                mini_repeat_count=settings.num_generations,
                batch_size=answers // settings.num_generations,
                repeat_count=settings.passes * accumulated,
                seed=self.args.seed,
            ),
            is_training=True,
        )

    def _prepare_inputs(self, inputs: Any) -> Any:
        """The answers of this forward pass; new ones are sampled after the last pass over the old ones."""
        place = self._forward_passes % self.args.gradient_accumulation_steps
        if place == 0 and (self.state.global_step % self._settings.passes == 0 or not self._rollouts):
            whole, size = self._sampled(inputs), self._train_batch_size
            starts = range(0, len(whole.ids), size)
            self._rollouts = [whole.part(slice(start, start + size)) for start in starts]
        self._forward_passes += 1
        return self._rollouts[place]

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Tensor:
        """The clipped policy loss and the value head's: equation 9, without a bonus for entropy."""
        written = inputs.written
        logps, values = self._evaluated(model, inputs.ids, inputs.mask)
        ratio = ((logps - inputs.logps) * written).exp()
        policy = clipped_loss(ratio, inputs.advantages, written, self._settings.clip_range)
        value = 0.5 * (values - inputs.returns)[written].square().mean()
        outside = (ratio - 1).abs() > self._settings.clip_range
        self._noted["clipped"] = float(outside[written].float().mean())
        self._noted["value_loss"] = float(value.detach())
        loss: Tensor = policy + self._settings.value_weight * value
        return loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log the rewards and PPO's own figures too."""
        super().log({**logs, **self._noted} if "loss" in logs else logs, start_time)

    def _evaluated(self, model: Any, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probability of each next token, and the expected return before it, (answers, tokens - 1)."""
        hidden: list[Tensor] = []
        head = self._policy.get_output_embeddings()
        hook = head.register_forward_pre_hook(lambda _module, given: hidden.append(given[0]))
        try:
            logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits
        finally:
            hook.remove()
        values = self._policy.value_head(hidden[-1].float())[..., 0]  # (answers, tokens)
        temperature = self._settings.sampling.temperature
        logps = selective_log_softmax(logits[:, :-1].float() / temperature, ids[:, 1:])
        return logps, values[:, :-1]

    @torch.no_grad()
    def _sampled(self, rows: Sequence[dict[str, Any]]) -> Rollout:
        """Answers to the rows' prompts, scored and judged token by token."""
        step, settings = self.state.global_step, self._settings
        prompts = [row["prompt"][0]["content"] for row in rows]
        asked = [text_ids(self._tokenizer, prompt) for prompt in prompts]
        requests = [
            GenerationRequest(
                key=f"{step}/{place}",
                side="trained",
                messages=(),
                settings=settings.sampling,
                prompt=RenderedPrompt(text=prompt, tokens=len(tokens)),
            )
            for place, (prompt, tokens) in enumerate(zip(prompts, asked, strict=True))
        ]
        answers = [list(answer.tokens) for answer in sample_answers(self._policy, self._tokenizer, requests)]
        scores = self._reward(
            prompts=[row["prompt"] for row in rows],
            completion_ids=answers,
            row=[row["row"] for row in rows],
            trainer_state=self.state,
            log_metric=self._noted.__setitem__,
        )
        return self._judged(asked, answers, torch.tensor(scores, device=self.args.device))

    def _judged(self, asked: list[list[int]], answers: list[list[int]], scores: Tensor) -> Rollout:
        """Log-probabilities, advantages and returns of each token, under the policy that wrote them."""
        settings = self._settings
        ids, mask, written = padded(asked, answers, self.args.device)
        logps, values, reference = [], [], []
        for start in range(0, len(ids), self._train_batch_size):
            part = slice(start, start + self._train_batch_size)
            of_policy, expected = self._evaluated(self.model_wrapped, ids[part], mask[part])
            logps.append(of_policy)
            values.append(expected)
            # Without an adapter to start from the reference is the base.
            adapter = _REFERENCE if _REFERENCE in self._policy.peft_config else None
            with use_adapter(self._policy, adapter):
                reference.append(self._evaluated(self.model_wrapped, ids[part], mask[part])[0])
        old, expected = torch.cat(logps), torch.cat(values)
        rewards = token_rewards(scores, old, torch.cat(reference), written, settings.beta)
        advantages = estimated_advantages(rewards, expected, written, settings.discount, settings.gae_lambda)
        self._noted["reward"] = float(scores.mean())
        self._noted["kl"] = float((old - torch.cat(reference))[written].mean())
        return Rollout(
            ids=ids,
            mask=mask,
            written=written,
            logps=old,
            advantages=normalised(advantages, written),
            returns=(advantages + expected) * written,
        )

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """A checkpoint has the value head too; the result doesn't."""
        super()._save(output_dir, state_dict)
        directory = Path(str(output_dir or self.args.output_dir))
        torch.save(self._policy.value_head.state_dict(), directory / _HEAD_FILE)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        checkpoint = Path(resume_from_checkpoint)
        with whole_checkpoint(checkpoint):
            stored = torch.load(checkpoint / _HEAD_FILE, weights_only=True)
            self._policy.value_head.load_state_dict(stored)


def _as_it_is(rows: Any) -> Any:
    """Rows stay a list: prompts are texts until they are answered."""
    return rows


def padded(asked: list[list[int]], answers: list[list[int]], device: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Prompts with their answers, padded on the right.

    Args:
        asked: The prompts' tokens.
        answers: The answers' tokens, at least one each.
        device: Where the tensors are made.

    Returns:
        Tokens and attention mask, (answers, tokens), and where the next token is the answer's,
        (answers, tokens - 1).
    """
    longest = max(len(prompt) + len(answer) for prompt, answer in zip(asked, answers, strict=True))
    ids = torch.zeros(len(asked), longest, dtype=torch.long, device=device)
    mask, written = torch.zeros_like(ids), torch.zeros_like(ids[:, 1:], dtype=torch.bool)
    for row, (prompt, answer) in enumerate(zip(asked, answers, strict=True)):
        end = len(prompt) + len(answer)
        ids[row, :end] = torch.tensor([*prompt, *answer], device=device)
        mask[row, :end] = 1
        written[row, len(prompt) - 1 : end - 1] = True
    return ids, mask, written


def with_adapter(model: Any, adapter: Any) -> Any:
    """The policy: the base with a new adapter, or the adapter to start from with a frozen copy as reference.

    Args:
        model: The base, or PEFT's model with the adapter ``default``.
        adapter: PEFT's configuration of a new adapter, or None.
    """
    from peft import get_peft_model

    if adapter is not None:
        return get_peft_model(model, adapter)
    model.add_adapter(_REFERENCE, replace(model.peft_config["default"], inference_mode=True))
    for name, parameter in model.named_parameters():
        if f".{_REFERENCE}." in name:
            parameter.data.copy_(model.get_parameter(name.replace(f".{_REFERENCE}.", ".default.")).data)
    model.set_adapter("default")
    return model
