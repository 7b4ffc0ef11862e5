"""TRL's configuration of a trainer that samples."""

from typing import Any

from trainers.run.arguments import trl_arguments
from trainers.run.training_run import TrainingRun
from trainers.shared.policy_config import PolicyConfig
from trainers.shared.vllm_rollouts import vllm_arguments


def policy_arguments(kind: Any, run: TrainingRun[PolicyConfig]) -> Any:
    """An instance of TRL's GRPOConfig or RLOOConfig.

    Args:
        kind: TRL's class.
        run: The run, whose configuration is used.

    Raises:
        SettingsError: A ``trl:`` key is unknown, or its value refused.
    """
    config = run.config
    return trl_arguments(
        kind,
        run,
        beta=config.beta,
        num_generations=config.num_generations,
        max_completion_length=config.max_completion_length,
        temperature=config.temperature,
        top_p=config.top_p,
        **vllm_arguments(config),
    )
