"""The weights to train: a new adapter, an adapter that is trained further, or all weights."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.engines.adapter import check_base, read_adapter, read_json
from harness.engines.loading import attach
from harness.errors import SettingsError
from harness.models.resolve import adapter_sha256, model_sha256
from harness.types.training import StartingAdapter
from trainers.config import PeftSettings, TrainingConfig
from trainers.run.adapter_check import fitting_adapter
from trainers.run.base_model import load_base

if TYPE_CHECKING:
    import torch


def load_trainable(config: TrainingConfig, base_dir: Path, dtype: "torch.dtype") -> tuple[Any, Any]:
    """The model to train, and the configuration of a new adapter for it.

    Args:
        config: The run's configuration.
        base_dir: The base's directory on this machine.
        dtype: Type of numbers of the computation.

    Returns:
        The model and a PEFT configuration for TRL's ``peft_config``. The latter is None if the model is
        complete: it has the adapter that training starts from, or all its weights are trained.

    Raises:
        InputError: A new adapter doesn't fit the base, or the one to start from is no adapter, has another
            base, or can't be trained further by this method.
    """
    fresh = config.peft.method != "full" and config.adapter is None
    new = fitting_adapter(adapter_config(config.peft), base_dir) if fresh else None
    model = load_base(base_dir, config.quantization, dtype)
    if config.peft.method == "full":
        model.requires_grad_(True)
    if config.adapter is None:
        return model, new
    adapter = read_adapter(config.adapter)
    check_base(adapter, base_dir, model_sha256(base_dir))
    _refuse_second_biases(config)
    model = attach(model, "default", str(config.adapter), trainable=True)
    _refuse_adapted_output(model, config.adapter)
    return model, None


def _refuse_second_biases(config: TrainingConfig) -> None:
    """Refuse an adapter with biases where the losses compare with a copy of it: PEFT has one at a time.

    Raises:
        SettingsError: It has trained biases.
    """
    if not config.reference or config.adapter is None:
        return
    if read_json(config.adapter / "adapter_config.json").get("bias", "none") != "none":
        raise SettingsError(
            f"adapter: {config.adapter} has biases, of which PEFT allows no second copy to compare with; "
            "merge it into its base and train from that, or start from an adapter with bias: none"
        )


def _refuse_adapted_output(model: Any, adapter_dir: Path) -> None:
    """Refuse an adapter that changes the output layer by its own computation: the losses read its weights.

    A layer that the adapter holds whole (``modules_to_save``) has weights of its own, and is trained.

    Raises:
        SettingsError: It does.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils.other import TrainableTokensWrapper

    if isinstance(model.get_output_embeddings(), BaseTunerLayer | TrainableTokensWrapper):
        raise SettingsError(
            f"adapter: {adapter_dir} adapts the output layer, whose weights the losses read directly, so "
            "that it would not be trained; merge it into its base and train from that, or start from another"
        )


def starting_adapter(config: TrainingConfig) -> StartingAdapter | None:
    """Path and content hash of the adapter that training starts from; None without one."""
    if config.adapter is None:
        return None
    return StartingAdapter(path=str(config.adapter), sha256=adapter_sha256(config.adapter))


def adapter_config(settings: PeftSettings, task_type: str = "CAUSAL_LM") -> Any:
    """PEFT's configuration of a new adapter.

    LoRA: Hu et al. (2021), arXiv:2106.09685; rsLoRA: Kalajdzievski (2023), arXiv:2312.03732; DoRA: Liu et al.
    (2024), arXiv:2402.09353; LoHa: Hyeon-Woo et al. (2022), FedPara, arXiv:2108.06098; LoKr: Edalati et al.
    (2022), KronA, arXiv:2212.10650; VeRA: Kopiczko et al. (2024), arXiv:2310.11454; OFT: Qiu et al. (2023),
    arXiv:2306.07280; IA3: Liu et al. (2022), arXiv:2205.05638; prefix tuning: Li and Liang (2021),
    arXiv:2101.00190; prompt tuning: Lester et al. (2021), arXiv:2104.08691.

    Args:
        settings: The trained weights.
        task_type: PEFT's name of the task, such as ``CAUSAL_LM`` or ``SEQ_CLS``.

    Returns:
        An instance of one of PEFT's configuration classes.

    Raises:
        SettingsError: The method trains no adapter.
    """
    import peft

    targets = (
        settings.target_modules if settings.target_modules == "all-linear" else list(settings.target_modules)
    )
    kind: Any
    of_kind: dict[str, Any] = {}
    match settings.method:
        case "lora":
            kind, of_kind = (
                peft.LoraConfig,
                {
                    "r": settings.r,
                    "lora_alpha": settings.alpha,
                    "lora_dropout": settings.dropout,
                    "use_rslora": settings.rslora,
                    "use_dora": settings.dora,
                    "init_lora_weights": True if settings.init == "default" else settings.init,
                },
            )
        case "loha" | "lokr":
            kind = peft.LoHaConfig if settings.method == "loha" else peft.LoKrConfig
            of_kind = {"r": settings.r, "alpha": settings.alpha}
        case "vera":
            kind, of_kind = peft.VeraConfig, {"r": settings.r}
        case "oft":
            # PEFT takes either the number of blocks, r, or their size.
            kind, of_kind = peft.OFTConfig, {"r": 0, "oft_block_size": settings.block_size}
        case "ia3":
            kind = peft.IA3Config
        case "prefix" | "prompt":
            kind = peft.PrefixTuningConfig if settings.method == "prefix" else peft.PromptTuningConfig
            return kind(task_type=task_type, num_virtual_tokens=settings.virtual_tokens)
        case _:
            raise SettingsError(f"peft.method: {settings.method} has no adapter")
    if settings.method != "ia3" or targets != "all-linear":
        # Without names IA3 takes its paper's layers: keys, values, the feed-forward's output.
        of_kind["target_modules"] = targets
    return kind(task_type=task_type, **of_kind)
