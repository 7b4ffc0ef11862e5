"""Direct preference optimisation: raise the chosen answer above the rejected one, near a reference model.

    python -m trainers.methods.dpo CONFIG.yaml [--output DIR] [--resume]

The loss of a pair, chosen y⁺ and rejected y⁻ (Rafailov et al. 2023, Direct Preference Optimization,
arXiv:2305.18290, equation 7):

    L = - log σ(β d),   d = log π(y⁺|x) / π_ref(y⁺|x) - log π(y⁻|x) / π_ref(y⁻|x)

With label smoothing e it is -(1-e) log σ(β d) - e log σ(-β d): Mitchell (2023), A note on DPO with noisy
preferences, equation 3. TRL: ``DPOTrainer``, with the loss ``sigmoid``.

The reference needs no second model: it is the base with the adapter switched off, or, when training starts
from an adapter, a frozen copy of that adapter.
"""

import sys
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, model_validator

from trainers.config import PreferenceConfig, refuse
from trainers.data.leakage import without_leaks
from trainers.data.preferences import load_pairs
from trainers.run.entry import run_module
from trainers.run.training_run import TrainingRun
from trainers.shared.preference_run import train_preferences


class DpoConfig(PreferenceConfig):
    """Direct preference optimisation."""

    reference: ClassVar[bool] = True

    beta: Annotated[float, Field(gt=0, description="Strength of the pull towards the reference.")] = 0.1
    label_smoothing: Annotated[
        float,
        Field(ge=0, lt=0.5, description="Share of pairs that are assumed to be labelled the wrong way."),
    ] = 0.0

    @model_validator(mode="after")
    def _smooths_its_loss(self) -> Self:
        refuse(smoothing_problem(self.label_smoothing, self.trl))
        return self


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
            **smoothed(config.label_smoothing, config.trl),
        ),
        **parts,
    )


# TRL's losses that read label_smoothing, each in its own sense; its DPO loss, sigmoid, doesn't.
_SMOOTHED = frozenset({"aot", "aot_unpaired", "exo_pair", "robust"})


def smoothing_problem(label_smoothing: float, trl: Mapping[str, Any]) -> str | None:
    """What is wrong with ``label_smoothing`` and the loss that ``trl`` chooses, if something is.

    Args:
        label_smoothing: The assumed share of wrong labels.
        trl: Further keys of TRL's configuration.
    """
    chosen = trl.get("loss_type")
    names = chosen if isinstance(chosen, list) else [] if chosen is None else [chosen]
    losses = {str(name) for name in names}
    if "exo_pair" in losses and not label_smoothing:
        return "label_smoothing: the loss exo_pair needs one above 0"
    if not label_smoothing or losses & _SMOOTHED:
        return None
    if losses:
        readers = ", ".join(sorted(_SMOOTHED))
        return (
            f"label_smoothing: not read by trl.loss_type: {', '.join(sorted(losses))} (allowed: {readers}; "
            "for DPO's own loss leave trl.loss_type out)"
        )
    return "trl.loss_weights: label_smoothing sets them; leave it out" if "loss_weights" in trl else None


def smoothed(label_smoothing: float, trl: Mapping[str, Any]) -> dict[str, Any]:
    """TRL's keys of DPO's own loss with label smoothing; none where TRL's keys are enough.

    With a pair's loss l(d) the smoothed one is (1-e) l(d) + e l(-d), and TRL's *robust* loss is r(d) =
    ((1-e) l(d) - e l(-d)) / (1-2e). So the smoothed one is (2-2e) l(d) - (1-2e) r(d).

    Args:
        label_smoothing: The assumed share e of wrong labels.
        trl: Further keys of TRL's configuration.

    Returns:
        ``loss_type`` and ``loss_weights``, or nothing.
    """
    if not label_smoothing or "loss_type" in trl:
        return {}
    return {
        "loss_type": ["sigmoid", "robust"],
        "loss_weights": [2 - 2 * label_smoothing, 2 * label_smoothing - 1],
    }


if __name__ == "__main__":
    sys.exit(run_module("trainers.methods.dpo", DpoConfig, train))
