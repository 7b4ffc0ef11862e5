"""Loading a base model for training: in 4 bits (QLoRA) or whole, with correct gradients on every CPU."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from harness.engines.adapter import read_json
from harness.engines.library_faults import loading_failures, refuse_incomplete_model
from harness.engines.precision import gpu_dtype
from harness.engines.weights import refuse_damaged_files
from harness.errors import ModelError, SettingsError
from trainers.config import DtypeName
from trainers.run.processes import training_device

if TYPE_CHECKING:
    import torch

# Names of heads: for one number of a conversation, and for the next token.
_HEADS = ("score.", "lm_head.", "embed_out.", "output.")


def compute_dtype(wanted: DtypeName = "auto") -> "torch.dtype":
    """The torch dtype of that name; for ``auto`` bfloat16 where the device has it natively, else float32.

    Emulated bfloat16 is several times slower than float32.
    """
    import torch

    named = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}
    if wanted != "auto":
        return named[wanted]
    if torch.cuda.is_available():
        return named[gpu_dtype()]
    native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if native else torch.float32


def dtype_name(dtype: "torch.dtype") -> str:
    """The name of a dtype in a configuration."""
    return str(dtype).removeprefix("torch.")


# Mamba's and Jamba's step sizes, on machines without their kernels and with them.
_READ_AS_IT_IS = ".dt_proj"


def load_base(
    directory: Path,
    quantization: Literal["nf4", "none"],
    dtype: "torch.dtype",
    *,
    head: Literal["text", "reward"] = "text",
) -> Any:
    """A base model with frozen weights, ready for an adapter.

    Args:
        directory: The model's directory.
        quantization: ``nf4``: 4-bit NormalFloat with double quantisation (Dettmers et al. 2023,
            arXiv:2305.14314); ``none``: weights in ``dtype``.
        dtype: Type of numbers of the computation.
        head: ``text``: the next token's; ``reward``: a new one that gives a conversation one number.

    Raises:
        SettingsError: bitsandbytes is missing, or the base is stored in 4 bits and is to be trained whole.
        ModelError: It can't be loaded, a weight is missing or unknown, or it is stored in numbers that can't
            be trained on.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    refuse_stored_quantization(directory, quantization)
    config = _nf4(dtype, head) if quantization == "nf4" else None
    kind: Any = AutoModelForCausalLM if head == "text" else AutoModelForSequenceClassification
    refuse_damaged_files(directory)
    refuse_other_models(directory)
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    with loading_failures(str(directory), ModelError):
        model, report = kind.from_pretrained(
            directory,
            dtype=dtype,
            device_map={"": training_device(gpus)},
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            # Given as None it would undo the quantisation of a base that is stored in 4 bits.
            **({} if config is None else {"quantization_config": config}),
            **({"num_labels": 1} if head == "reward" else {}),
        )
    refuse_incomplete_model(directory, report if head == "text" else _without_heads(report))
    for module in model.modules():
        if type(module).__name__ == "Linear4bit":
            # A base that is stored in 4 bits has a type of its own.
            module.compute_dtype = dtype
    _refuse_packed_weights(model, directory)
    model.config.use_cache = False
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    keep_gradients_right(model)
    return model


def _nf4(dtype: "torch.dtype", head: str) -> Any:
    """The quantisation of a base that is stored in 4 bits.

    Raises:
        SettingsError: bitsandbytes is missing.
    """
    from transformers import BitsAndBytesConfig

    try:
        import bitsandbytes  # noqa: F401 # transformers would fail later and less clearly
    except ImportError as error:
        raise SettingsError("quantization: nf4 needs bitsandbytes: pip install 'tunegate[train]'") from error
    return BitsAndBytesConfig(  # type: ignore[no-untyped-call] # transformers gives it no types
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        # The new head is fully trained; the text head would stay in full precision anyway.
        llm_int8_skip_modules=["score"] if head == "reward" else None,
    )


# bitsandbytes' own 4 bits, in which a base may be stored already.
_FOUR_BITS = "bitsandbytes in 4 bits"


def stored_in(config: Mapping[str, Any]) -> str | None:
    """The numbers that a model's weights are stored in, such as ``gptq``, by its config.json.

    Args:
        config: Content of the file.

    Returns:
        The name that the file gives; None for weights that are stored as they are.
    """
    text = config.get("text_config")
    inner = text.get("quantization_config") if isinstance(text, dict) else None
    found = config.get("quantization_config") or config.get("compression_config") or inner
    if not found:
        return None
    if not isinstance(found, dict):
        return "an unknown form"
    if found.get("load_in_4bit"):
        return _FOUR_BITS
    bits = found.get("load_in_8bit") is True
    return f"{found.get('quant_method') or 'an unknown form'}{' in 8 bits' if bits else ''}"


def stored_problem(config: Mapping[str, Any], path: str) -> str | None:
    """Why a base can't be trained as it is stored; None if it can.

    A library that packs weights in another way has to be there, and what it computes by is not tested here;
    some are turned into plain numbers where there is no GPU, without a word.

    Args:
        config: Content of its config.json.
        path: The model, for the message.
    """
    found = stored_in(config)
    if found in {None, _FOUR_BITS}:
        return None
    return (
        f"{path}: its weights are stored in {found} (quantization_config), and a base is trained that is "
        f"stored whole, or in {_FOUR_BITS}; give the model that it was made from"
    )


def whole_problem(config: Mapping[str, Any], path: str) -> str | None:
    """Why a base can't be trained with whole weights; None if it can.

    Args:
        config: Content of its config.json.
        path: The model, for the message.
    """
    if stored_in(config) != _FOUR_BITS:
        return None
    return f"{path} is stored in 4 bits; give quantization: nf4, or the model that it was made from"


def refuse_stored_quantization(directory: Path, quantization: str) -> None:
    """Refuse a base whose stored weights aren't those that the configuration asks for.

    Args:
        directory: The model's directory; only its config.json is read.
        quantization: ``nf4`` or ``none``.

    Raises:
        ModelError: They are stored in numbers that can't be trained on.
        SettingsError: They are stored in 4 bits, and are asked for whole.
    """
    config = read_json(directory / "config.json")
    if problem := stored_problem(config, f"base: {directory}"):
        raise ModelError(problem)
    if quantization == "none" and (problem := whole_problem(config, str(directory))):
        raise SettingsError(f"quantization: none: {problem}")


def _refuse_packed_weights(model: Any, directory: Path) -> None:
    """Refuse 4 bits where layers read the packed weights themselves.

    Raises:
        SettingsError: Some do.
    """
    in_4_bits = [name for name, module in model.named_modules() if type(module).__name__ == "Linear4bit"]
    if any(name.endswith(_READ_AS_IT_IS) for name in in_4_bits):
        raise SettingsError(
            f"quantization: nf4: layers of {directory} read weights themselves ({_READ_AS_IT_IS[1:]}), which "
            "isn't possible in 4 bits; give quantization: none"
        )


def refuse_other_models(directory: Path) -> None:
    """Refuse encoders and encoder-decoders by their config.json.

    Raises:
        ModelError: It is no causal language model, or the file can't be read.
    """
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoConfig

    with loading_failures(str(directory), ModelError):
        config = AutoConfig.from_pretrained(directory, trust_remote_code=False, local_files_only=True)
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING or getattr(config, "is_encoder_decoder", False):
        raise ModelError(
            f"base: {directory}: models of the kind {config.model_type} are no causal language models, and "
            "the trainers train these; give another"
        )


def _without_heads(report: Mapping[str, Any]) -> dict[str, list[Any]]:
    """A load's report without the new head, which isn't stored yet, and the text head that it replaces."""
    return {
        key: [
            name
            for name in report[key]
            if not str(name if isinstance(name, str) else name[0]).startswith(_HEADS)
        ]
        for key in ("missing_keys", "unexpected_keys", "mismatched_keys")
    }


def keep_gradients_right(model: Any) -> int:
    """Keep bitsandbytes from repacking 4-bit weights for AVX512-BF16; call before any forward.

    On CPUs with AVX512-BF16 the first forward in eval mode repacks a layer's weight, and after that backprop
    through it is silently wrong. Every program that generates and then trains has this problem.

    Returns:
        How many layers were set.
    """
    from bitsandbytes.nn.modules import Linear4bit

    layers = [module for module in model.modules() if isinstance(module, Linear4bit)]
    for layer in layers:
        layer.support_avx512bf16_for_cpu = False
    return len(layers)
