"""Kahneman-Tversky optimisation: learn from single answers with a thumb up or down.

    python -m trainers.methods.kto CONFIG.yaml [--output DIR] [--resume]

The loss of an answer, with λ its thumb's weight (Ethayarajh et al. 2024, KTO: Model Alignment as Prospect
Theoretic Optimization, arXiv:2402.01306, the loss of its section 4, equation 7 as TRL counts):

    L = λ (1 - σ(±β (log π(y|x) / π_ref(y|x) - z)))       + for a thumb up, - for a thumb down

z estimates KL(π ‖ π_ref) from answers paired with other prompts of the batch. TRL: ``KTOTrainer``, with the
loss ``kto``.
"""

import sys
from typing import Annotated, Any, ClassVar

from pydantic import Field

from trainers.config import PreferenceConfig
from trainers.data.leakage import without_leaks
from trainers.data.preferences import load_thumbs
from trainers.run.entry import run_module
from trainers.run.training_run import TrainingRun
from trainers.shared.preference_run import train_preferences


class KtoConfig(PreferenceConfig):
    """Kahneman-Tversky optimisation."""

    reference: ClassVar[bool] = True

    batch_size: Annotated[
        int, Field(ge=2, description="Examples of one forward pass; the KL term needs two.")
    ] = 4
    beta: Annotated[float, Field(gt=0, description="Strength of the pull towards the reference.")] = 0.1
    desirable_weight: Annotated[float, Field(gt=0, description="Weight of answers with a thumb up.")] = 1.0
    undesirable_weight: Annotated[float, Field(gt=0, description="Weight of answers with a thumb down.")] = (
        1.0
    )


def train(config: KtoConfig, *, resume: bool = False) -> int:
    """Train as configured.

    Args:
        config: The run's configuration.
        resume: Continue from the last checkpoint.

    Returns:
        0, or 2 after Ctrl-C.

    Raises:
        InputError: Data, base model or settings can't be used.
    """
    thumbs = without_leaks(load_thumbs(config.data, config.max_rows), config)
    return train_preferences("kto", config, thumbs, ("completion",), _trainer, resume=resume)


def _trainer(run: TrainingRun[KtoConfig], train_dataset: Any, **parts: Any) -> Any:
    from trl import KTOConfig as TrlConfig
    from trl import KTOTrainer

    from trainers.run.arguments import trl_arguments

    config = run.config
    return KTOTrainer(
        args=trl_arguments(
            TrlConfig,
            run,
            max_length=config.max_length,
            beta=config.beta,
            desirable_weight=config.desirable_weight,
            undesirable_weight=config.undesirable_weight,
        ),
        # TRL estimates the KL term from neighbours in file order and therefore never shuffles.
        train_dataset=train_dataset.shuffle(seed=config.seed),
        **parts,
    )


if __name__ == "__main__":
    sys.exit(run_module("trainers.methods.kto", KtoConfig, train))
