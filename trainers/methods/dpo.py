"""Direct preference optimisation: raise the chosen answer above the rejected one, near a reference model.

    python -m trainers.methods.dpo CONFIG.yaml [--output DIR] [--resume]

The reference needs no second model: it is the base with the adapter switched off, or, when training starts
from an adapter, a frozen copy of that adapter.

Rafailov et al. (2023), Direct Preference Optimization, arXiv:2305.18290; label smoothing:
Mitchell (2023), A note on DPO with noisy preferences.
"""

import sys
from typing import Annotated, Any

from pydantic import Field

from trainers.config import PreferenceConfig
from trainers.data.leakage import without_leaks
from trainers.data.preferences import load_pairs
from trainers.run.entry import run_module
from trainers.run.training_run import TrainingRun
from trainers.shared.preference_run import train_preferences


class DpoConfig(PreferenceConfig):
    """Direct preference optimisation."""

    beta: Annotated[float, Field(gt=0, description="Strength of the pull towards the reference.")] = 0.1
    label_smoothing: Annotated[
        float,
        Field(ge=0, lt=0.5, description="Share of pairs that are assumed to be labelled the wrong way."),
    ] = 0.0


def train(config: DpoConfig, *, resume: bool = False) -> int:
    """Train as configured.

    Args:
        config: The run's configuration.
        resume: Continue from the last checkpoint.

    Returns:
        0, or 2 after Ctrl-C.

    Raises:
        InputError: Data, base model or settings can't be used.
    """
    pairs = without_leaks(load_pairs(config.data, config.max_rows), config)
    return train_preferences("dpo", config, pairs, ("chosen", "rejected"), _trainer, resume=resume)


def _trainer(run: TrainingRun[DpoConfig], **parts: Any) -> Any:
    from trl import DPOConfig as TrlConfig
    from trl import DPOTrainer

    from trainers.run.arguments import trl_arguments

    config = run.config
    return DPOTrainer(
        args=trl_arguments(
            TrlConfig,
            run,
            max_length=config.max_length,
            beta=config.beta,
            label_smoothing=config.label_smoothing,
        ),
        **parts,
    )


if __name__ == "__main__":
    sys.exit(run_module("trainers.methods.dpo", DpoConfig, train))
