"""Where sampled answers come from: transformers, or vLLM through TRL's own classes.

Without vLLM all methods answer with the gate's batched decoder; ``grpo`` and ``rloo`` in TRL's loop where
a ``trl:`` key asks for something that only transformers' ``generate`` does.
"""

from dataclasses import replace
from importlib.util import find_spec
from typing import Any

from harness.errors import SettingsError
from trainers.measure.sampling import sample_tokens
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
