"""Where sampled answers come from: transformers, or vLLM through TRL's own classes.

Without vLLM all methods answer with the gate's batched decoder; ``grpo`` and ``rloo`` in TRL's loop where
a ``trl:`` key asks for something that only transformers' ``generate`` does.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

from harness.engines.base import GenerationRequest
from harness.errors import SettingsError
from harness.prompts.rendering import prompt_ids, render_prompt
from trainers.measure.sampling import (
    SampledAnswer,
    end_tokens,
    read_tokens,
    sample_answers,
    sample_tokens,
)
from trainers.run.training_run import TrainingRun
from trainers.shared.policy_config import SamplingConfig


def require_generation(config: SamplingConfig) -> None:
    """Refuse ``generation: vllm`` where vLLM is not installed.

    Raises:
        SettingsError: It is asked for and is not there.
    """
    if config.generation == "vllm" and find_spec("vllm") is None:
        raise SettingsError(
            "generation: vllm needs the package vllm (pip install 'trl[vllm]'); leave generation out to "
            "sample with transformers"
        )


def vllm_arguments(config: SamplingConfig) -> dict[str, Any]:
    """TRL's keys for ``generation`` and ``vllm``; none for transformers."""
    vllm = config.vllm
    if config.generation != "vllm":
        return {}
    if vllm.server:
        return {"use_vllm": True, "vllm_mode": "server", "vllm_server_base_url": vllm.server}
    return {
        "use_vllm": True,
        "vllm_mode": "colocate",
        "vllm_gpu_memory_utilization": vllm.gpu_memory,
        "vllm_max_model_length": config.max_length,
    }


# What TRL gives to transformers' generate, with the values that change nothing.
_OF_GENERATE: dict[str, tuple[object, ...]] = {
    "top_k": (None, 0),
    "min_p": (None,),
    "repetition_penalty": (1.0,),
    "generation_kwargs": (None, {}),
    "cache_implementation": (None,),
    "use_transformers_continuous_batching": (False,),
}


def with_our_decoder(kind: type[Any], run: TrainingRun[SamplingConfig], *, logprobs: bool) -> type[Any]:
    """TRL's GRPO or RLOO trainer, which samples with the gate's decoder: finished answers leave the batch.

    TRL's own loop is transformers' ``generate``, which computes all rows until the longest one ends. The
    distribution is the same: softmax of the logits by the temperature, cut at top-p.

    Args:
        kind: ``trl.GRPOTrainer`` or ``trl.RLOOTrainer``.
        run: The run, whose configuration is used.
        logprobs: Whether this class's sampling also returns log-probabilities: vLLM's, so here None.
    """
    from harness.engines.side import accepts
    from trainers.shared.policy_config import sampling_of

    settings = replace(sampling_of(run.config), seed=run.config.seed)

    class Trainer(kind):  # type: ignore[misc] # TRL's class is known when it runs
        """TRL's, with our decoder in place of its call of ``generate``."""

        _drawn = (-1, 0)  # the step, and how often answers were sampled for it

        def _generate_single_turn(self, prompt_ids: Any, *others: Any, **named: Any) -> Any:
            model = self.accelerator.unwrap_model(self.model)
            usual = all(getattr(self.args, key, off[0]) in off for key, off in _OF_GENERATE.items())
            if self.use_vllm or not usual or not accepts(model, "past_key_values"):
                return super()._generate_single_turn(prompt_ids, *others, **named)
            step, times = self._drawn
            self._drawn = (self.state.global_step, times + 1 if step == self.state.global_step else 0)
            key = "/".join(map(str, (*self._drawn, self.accelerator.process_index)))
            answers = sample_tokens(model, self.processing_class, prompt_ids, settings, key)
            return (answers, None) if logprobs else answers

    return Trainer


def answer_source(
    run: TrainingRun[SamplingConfig], model: Any, tokenizer: Any
) -> Callable[[Sequence[GenerationRequest]], list[SampledAnswer]]:
    """A function that answers requests with the model's weights of the moment.

    Args:
        run: The run.
        model: The model in training.
        tokenizer: Its tokenizer, with its own chat template.
    """
    config, given = run.config, vllm_arguments(run.config)
    if not given:
        return lambda requests: sample_answers(model, tokenizer, requests, run.console)
    from accelerate import Accelerator
    from trl.generation.vllm_generation import VLLMGeneration

    engine = VLLMGeneration(
        model=model,
        accelerator=Accelerator(),
        processing_class=tokenizer,
        mode=given["vllm_mode"],
        server_base_url=config.vllm.server,
        gpu_memory_utilization=config.vllm.gpu_memory,
        max_model_length=config.max_length,
        temperature=config.temperature,
        top_p=config.top_p,
        max_completion_length=config.max_completion_length,
        logprobs=None,
    )
    ends = end_tokens(model, tokenizer)

    def answers(requests: Sequence[GenerationRequest]) -> list[SampledAnswer]:
        prompts = [one.prompt or render_prompt(tokenizer, one.messages, one.settings) for one in requests]
        engine.sync_weights()  # type: ignore[no-untyped-call] # TRL gives it no types
        # One row an answer, so equal prompts are neighbours: TRL takes every n-th and asks for n answers.
        _, written, _, _ = engine.generate(
            prompts=[prompt_ids(tokenizer, prompt) for prompt in prompts],
            images=None,
            num_generations=config.num_generations,
        )
        return [
            read_tokens(tokenizer, tokens, prompt.shown, request.settings, ends)
            for tokens, prompt, request in zip(written, prompts, requests, strict=True)
        ]

    return answers
