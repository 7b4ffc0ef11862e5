"""Sampled answers from vLLM, by TRL's own classes."""

from collections.abc import Callable, Sequence
from typing import Any

from harness.engines.base import GenerationRequest
from harness.prompts.rendering import prompt_ids, render_prompt
from trainers.measure.sampling import (
    SampledAnswer,
    end_tokens,
    read_tokens,
    sample_answers,
)
from trainers.run.training_run import TrainingRun
from trainers.shared.policy_config import SamplingConfig


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
