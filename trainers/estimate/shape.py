"""The size of a causal language model, from its config.json only.

Its dimensions tell what a token keeps in memory; parameters are counted on the model's own class, where
transformers has it, and computed from the dimensions otherwise.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from harness.errors import ModelError, SettingsError
from harness.models.catalogue import CATALOGUE
from harness.models.home import model_directory
from harness.types.storage import parse_json
from trainers.estimate.counts import Counts, counted
from trainers.run.base_model import stored_problem, whole_problem
from tunegate.project import user_path

# Families whose feed-forward layer has two matrices; the others have a gate as the third.
_WITHOUT_GATE = {"gpt2", "gpt_neo", "gpt_neox", "gptj", "opt", "bloom", "falcon", "phi", "starcoder2", "mpt"}
_TIED_BY_DEFAULT = {"gpt2", "gpt_neo", "opt", "bloom", "falcon", "gemma", "gemma2", "gemma3_text"}
_ENCODERS = {
    "bert",
    "roberta",
    "xlm-roberta",
    "distilbert",
    "mpnet",
    "deberta",
    "deberta-v2",
    "electra",
    "albert",
}
_LARGEST, _MOST_PARAMETERS = 10**9, 1e15
_UNITS = {"M": 1e6, "B": 1e9, "T": 1e12}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A decoder's dimensions.

    Attributes:
        hidden: Width of the residual stream.
        intermediate: Width of the feed-forward layer (of one expert).
        head_dim: Width of one attention head.
        tied: Whether input embeddings and output head are the same weights.
        gated: Whether the feed-forward layer has a gate (three matrices instead of two).
        experts: Parallel feed-forward layers; 1 in a dense model.
        active_experts: The number of experts per token.
        shared: Width of the feed-forward layer that all tokens share beside the experts; 0 without one.
        counts: The parameters, counted; None: computed from the dimensions.
        whole_problem: Why the base can't be trained whole, as it is stored in 4 bits; or None.
    """

    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    tied: bool
    gated: bool = True
    experts: int = 1
    active_experts: int = 1
    shared: int = 0
    counts: Counts | None = None
    whole_problem: str | None = None

    @property
    def attention(self) -> tuple[tuple[int, int], ...]:
        """Inputs and outputs of every linear layer of one decoder layer's attention."""
        queries, keys = self.heads * self.head_dim, self.kv_heads * self.head_dim
        return ((self.hidden, queries), (self.hidden, keys), (self.hidden, keys), (queries, self.hidden))

    @property
    def shared_expert(self) -> tuple[tuple[int, int], ...]:
        """Inputs and outputs of the linear layers that all tokens share beside the experts."""
        return self._feed_forward(self.shared) if self.shared else ()

    @property
    def linears(self) -> tuple[tuple[int, int], ...]:
        """Inputs and outputs of every linear layer in one decoder layer."""
        return (*self.attention, *self.shared_expert, *(self._feed_forward(self.intermediate) * self.experts))

    @property
    def passed_linears(self) -> int:
        """The number of linear layers of one decoder layer that a token passes."""
        return len(self.linears) - len(self._feed_forward(1)) * (self.experts - self.active_experts)

    def _feed_forward(self, width: int) -> tuple[tuple[int, int], ...]:
        return (*((self.hidden, width),) * (2 if self.gated else 1), (width, self.hidden))

    @property
    def linear_parameters(self) -> int:
        """Parameters of the decoder layers' matrices, which LoRA adapts."""
        return self.layers * sum(inputs * outputs for inputs, outputs in self.linears)

    @property
    def quantised_parameters(self) -> int:
        """Parameters that QLoRA stores in 4 bits.

        A mixture's experts are one tensor of three dimensions each, which bitsandbytes leaves as it is.
        """
        if self.counts is not None:
            return self.counts.in_4_bits
        stored = self.linears if self.experts == 1 else (*self.attention, *self.shared_expert)
        return self.layers * sum(inputs * outputs for inputs, outputs in stored)

    @property
    def other_parameters(self) -> int:
        """Embeddings, output head and norms; biases are left out: they are a thousandth of the rest."""
        embeddings = self.vocabulary * self.hidden * (1 if self.tied else 2)
        return embeddings + (2 * self.layers + 1) * self.hidden

    @property
    def parameters(self) -> int:
        """All parameters."""
        if self.counts is not None:
            return self.counts.parameters
        return self.linear_parameters + self.other_parameters


def _typical(sizes: tuple[int, int, int, int, int, int], *, tied: bool, head_dim: int = 128) -> Shape:
    layers, hidden, intermediate, heads, kv_heads, vocabulary = sizes
    return Shape(
        layers=layers,
        hidden=hidden,
        intermediate=intermediate,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        vocabulary=vocabulary,
        tied=tied,
    )


# The dimensions of well-known open models, for sizes that are given only as a figure.
TYPICAL: Mapping[str, Shape] = {
    "SmolLM2 135M": _typical((30, 576, 1536, 9, 3, 49_152), tied=True, head_dim=64),
    "Qwen2.5 0.5B": _typical((24, 896, 4864, 14, 2, 151_936), tied=True, head_dim=64),
    "Llama 3.2 1B": _typical((16, 2048, 8192, 32, 8, 128_256), tied=True, head_dim=64),
    "Llama 3.2 3B": _typical((28, 3072, 8192, 24, 8, 128_256), tied=True),
    "Mistral 7B": _typical((32, 4096, 14_336, 32, 8, 32_768), tied=False),
    "Llama 3.1 8B": _typical((32, 4096, 14_336, 32, 8, 128_256), tied=False),
    "Qwen2.5 14B": _typical((48, 5120, 13_824, 40, 8, 152_064), tied=False),
    "Qwen2.5 32B": _typical((64, 5120, 27_648, 40, 8, 152_064), tied=False),
    "Llama 3.1 70B": _typical((80, 8192, 28_672, 64, 8, 128_256), tied=False),
}


def shape_of_size(text: str) -> tuple[Shape, str]:
    """A typical shape of this size: the nearest well-known model's, with more or fewer layers.

    Args:
        text: A figure with its unit, such as ``8B`` or ``360M``.

    Returns:
        The shape, and the name of that model.

    Raises:
        SettingsError: The figure can't be read.
    """
    try:
        wanted = float(text[:-1]) * _UNITS[text[-1:].upper()]
    except (ValueError, KeyError):
        raise SettingsError(f"--params: found {text!r} (allowed: a figure with M, B or T, as 8B)") from None
    if not 1e6 <= wanted <= _MOST_PARAMETERS:
        raise SettingsError(f"--params: found {text!r} (allowed: 1M to 1000T)")
    name = min(TYPICAL, key=lambda one: abs(math.log(TYPICAL[one].parameters / wanted)))
    shape = TYPICAL[name]
    a_layer = shape.linear_parameters / shape.layers + 2 * shape.hidden
    layers = max(1, round(shape.layers + (wanted - shape.parameters) / a_layer))
    return replace(shape, layers=layers), name


def shape_of_model(reference: str) -> Shape:
    """The shape of a model: a directory with config.json, a catalogue name or a hub id.

    Raises:
        ModelError: There is no config.json, or it isn't that of a causal language model.
    """
    path = user_path(reference) / "config.json"
    if not path.is_file() and reference in CATALOGUE:
        path = model_directory(reference) / "config.json"
        if not path.is_file():
            raise ModelError(f"{reference} isn't fetched yet: run tunegate model fetch {reference}")
    if not path.is_file():
        path = _from_hub(reference.removeprefix("hf:"))
    try:
        config = parse_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{path}: not JSON: {error}") from error
    shape = read_shape(config, str(path))
    return replace(shape, counts=counted(path.parent), whole_problem=whole_problem(config, str(path)))


def read_shape(config: Mapping[str, Any], path: str) -> Shape:
    """A shape from a config.json's content; for a multimodal model that of its text part.

    Args:
        config: Content of a ``config.json``.
        path: Its file, for messages.

    Raises:
        ModelError: A dimension is missing, and the message says which; or the weights are stored in numbers
            that can't be trained on.
    """
    if isinstance(config, dict) and (problem := stored_problem(config, path)):
        raise ModelError(problem)
    config = config.get("text_config", config) if isinstance(config, dict) else config
    if not isinstance(config, dict):
        raise ModelError(f"{path}: not a model's configuration (expected a JSON object)")
    kind = config.get("model_type", "")
    _refuse_other_models(config, path)

    dimension = partial(_dimension, config, path)
    hidden = dimension("hidden_size", "n_embd", "d_model")
    heads = dimension("num_attention_heads", "n_head", "n_heads", "num_heads", "attention_heads")
    experts = max(dimension("num_local_experts", "num_experts", "n_routed_experts", default=1, least=0), 1)
    intermediate = dimension(
        *(("moe_intermediate_size",) if experts > 1 else ()),
        *("intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size"),
        default=4 * hidden,
    )
    # Falcon's older files also give a number of heads of keys, which is not read then.
    one_key = bool(config.get("multi_query")) and not config.get("new_decoder_architecture")
    return Shape(
        layers=dimension("num_hidden_layers", "n_layer", "n_layers", "num_layers"),
        hidden=hidden,
        intermediate=intermediate,
        heads=heads,
        kv_heads=1 if one_key else dimension("num_key_value_heads", "num_kv_heads", default=heads),
        head_dim=dimension("head_dim", default=max(hidden // heads, 1)),
        vocabulary=dimension("vocab_size"),
        tied=bool(config.get("tie_word_embeddings", kind in _TIED_BY_DEFAULT)),
        gated=kind not in _WITHOUT_GATE,
        experts=experts,
        active_experts=min(max(dimension("num_experts_per_tok", default=1, least=0), 1), experts),
        shared=dimension(
            *("shared_expert_intermediate_size", "shared_intermediate_size"),
            default=intermediate * dimension("n_shared_experts", "num_shared_experts", default=0, least=0),
            least=0,
        ),
    )


def _dimension(
    config: Mapping[str, Any], path: str, *names: str, default: int | None = None, least: int = 1
) -> int:
    name = next((name for name in names if config.get(name) is not None), names[0])
    found = default if config.get(name) is None else config[name]
    if found is None:
        raise ModelError(
            f"{path}: {name} is missing: the estimate is for causal language models with attention"
        )
    if type(found) is not int or not least <= found <= _LARGEST:
        raise ModelError(f"{path}: {name}: found {found!r} (allowed: a whole number from {least})")
    return found


def _refuse_other_models(config: Mapping[str, Any], path: str) -> None:
    """Refuse encoders, whose dimensions have the same names.

    Raises:
        ModelError: It is the configuration of one.
    """
    named = config.get("architectures") or []
    made = [str(each) for each in named] if isinstance(named, list) else []
    causal = any(each.endswith(("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")) for each in made)
    if config.get("is_encoder_decoder") or (made and not causal and config.get("model_type") in _ENCODERS):
        name = made[0] if made else config.get("model_type")
        raise ModelError(f"{path}: {name} is no causal language model, and the estimate is for these")


def _from_hub(reference: str) -> Path:
    if reference.count("/") != 1 or reference.startswith((".", "/")):
        raise ModelError(
            f"no model {reference!r}: neither a directory with config.json, nor a name of the catalogue "
            f"({', '.join(CATALOGUE)}), nor a hub id (org/name); a figure such as --params 8B needs none"
        )
    try:
        from huggingface_hub import hf_hub_download
    except ImportError as error:
        raise ModelError(f"{reference}: hub ids need more: pip install 'tunegate[local]'") from error
    try:
        return Path(hf_hub_download(reference, "config.json"))
    except (
        Exception
    ) as error:  # the client's own errors, its HTTP library's and the disk's have no common base
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise ModelError(f"{reference}: the hub did not return its config.json: {reason.strip()}") from error
