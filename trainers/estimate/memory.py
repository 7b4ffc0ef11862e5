"""Memory that training takes, from a model's dimensions.

Weights: 16- or 32-bit floats, or NF4 with double quantisation: 4 bits a parameter, and 0.127 bits for the
constants: 8 bits for each block of 64 weights, 32 bits for each 256 of these blocks (Dettmers et al. 2023,
QLoRA, arXiv:2305.14314, section 3). Optimizer: mixed precision with Adam takes 16 bytes a trained parameter:
2 for the weight, 2 for the gradient, 12 for the 32-bit copy and both moments (Rajbhandari et al. 2020, ZeRO,
arXiv:1910.02054, section 3.1); its sharding divides weights, gradients and states by the number of devices
(section 5). Activations are counted as in Korthikanti et al. 2022, Reducing Activation Recomputation in Large
Transformer Models, arXiv:2205.05198, section 4: every tensor that is kept for the backward pass, here for
layers without dropout, with gated feed-forward and grouped queries, and for attention that keeps no matrix
of weights (Dao et al. 2022, FlashAttention, arXiv:2205.14135). With checkpointing only each layer's input is
kept, and one layer's activations (section 5).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from trainers.estimate.shape import Shape

GIB = 2**30
NF4_BITS = 4 + 8 / 64 + 32 / (64 * 256)  # 4.127
FLOAT_BYTES = {"float32": 4, "bfloat16": 2}
# TRL's fused output head computes logits in tiles of this many tokens and entries of the vocabulary.
_TILE_TOKENS, _TILE_ENTRIES = 4096, 32_768
# Measured: a process that has imported torch, transformers, PEFT and TRL.
PROCESS_BYTES_CPU = 0.5 * GIB
# On a CPU, glibc's allocator keeps freed memory between pieces that are still in use: resident memory is #
# this many times the need of activations, measured with the settings of benchmarks/memory.py.
_SCATTERED = {"qlora": 2.5, "lora": 2.5, "full": 1.4}
# The usual device memory of CUDA's context and its libraries' workspaces; not measured here.
PROCESS_BYTES_CUDA = 0.6 * GIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """The memory use of one training step of a method.

    Attributes:
        answers: Sequences with gradients for each example of a batch.
        samples: Answers are sampled first: the cache of keys and values takes memory.
        fused: The output head is computed in tiles instead of for all tokens at once.
        head: The model predicts tokens, not one number.
        judged: A reward model on the same base is in memory too, stored as the base.
    """

    answers: int = 1
    samples: bool = False
    fused: bool = True
    head: bool = True
    judged: bool = False


OBJECTIVES: Mapping[str, Objective] = {
    "sft": Objective(),
    "continual": Objective(),
    "rft": Objective(samples=True),
    "dpo": Objective(answers=2),
    "orpo": Objective(answers=2, fused=False),
    "kto": Objective(),
    "reward": Objective(answers=2, head=False),
    "grpo": Objective(samples=True),
    "rloo": Objective(samples=True, judged=True),
    "ppo": Objective(samples=True, judged=True, fused=False),
    "rlhf": Objective(samples=True, judged=True),
}
Weights: TypeAlias = Literal["qlora", "lora", "full"]
WEIGHTS: tuple[Weights, ...] = get_args(Weights)
Optimizer: TypeAlias = Literal["adamw", "adamw-pure", "adamw-8bit"]
OPTIMIZERS: tuple[Optimizer, ...] = get_args(Optimizer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """The setup of a training.

    Attributes:
        weights: ``qlora`` (base in NF4), ``lora`` (base in ``dtype``) or ``full`` (all weights are trained).
        batch_size: Examples of one forward pass on one device.
        length: Tokens of an example, including padding.
        r: LoRA rank on every linear layer.
        dtype: Of the computation.
        optimizer: ``adamw`` holds both moments in 32 bits and, where weights of 16 bits are trained, their
            32-bit copy; ``adamw-pure`` holds moments of the trained weights' own type, as PyTorch's does;
            ``adamw-8bit`` (Dettmers et al. 2022, arXiv:2110.02861) holds moments of 8 bits only.
        checkpointing: Recompute activations in the backward pass.
        shards: Devices that weights, gradients and states are divided among.
    """

    weights: Weights = "qlora"
    objective: str = "sft"
    batch_size: int = 8
    length: int = 512
    r: int = 16
    dtype: Literal["float32", "bfloat16"] = "bfloat16"
    optimizer: Optimizer = "adamw-8bit"
    checkpointing: bool = True
    device: Literal["cpu", "cuda"] = "cuda"
    shards: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One use of memory on one device, with how it was computed."""

    name: str
    size_bytes: float
    formula: str


def lora_parameters(shape: Shape, r: int) -> int:
    """Parameters of LoRA on every linear layer: r × (inputs + outputs) (Hu et al. 2021, arXiv:2106.09685).

    Args:
        shape: The base's dimensions.
        r: LoRA rank.
    """
    if shape.counts is not None:
        return shape.counts.lora_a_rank * r
    if shape.experts == 1:
        return shape.layers * sum(r * (inputs + outputs) for inputs, outputs in shape.linears)
    # PEFT adapts a mixture's two matrices into the middle as one, with twice the rank, and the router.
    hidden, middle = shape.hidden, shape.intermediate
    attention = sum(inputs + outputs for inputs, outputs in (*shape.attention, *shape.shared_expert))
    expert = 2 * (hidden + 2 * middle) + (middle + hidden)
    return shape.layers * r * (attention + shape.experts * expert + hidden + shape.experts)


def estimate(shape: Shape, setup: Setup) -> tuple[Part, ...]:
    """The memory of training on one device, part by part.

    Args:
        shape: The base's dimensions.
        setup: The setup of a training.
    """
    return (
        *_states(shape, setup),
        _activations(shape, setup),
        *_head(shape, setup),
        *_sampling(shape, setup),
        _workspace(shape, setup),
        _process(setup),
    )


def total_bytes(parts: tuple[Part, ...]) -> float:
    """All parts together."""
    return sum(part.size_bytes for part in parts)


def _states(shape: Shape, setup: Setup) -> tuple[Part, ...]:
    """Weights, gradients, and states of the optimizer."""
    width = FLOAT_BYTES[setup.dtype]
    over = f" / {setup.shards} devices" if setup.shards > 1 else ""
    base = _billions(shape.parameters)
    if setup.weights == "qlora":
        whole = shape.parameters - shape.quantised_parameters
        weights = shape.quantised_parameters * NF4_BITS / 8 + whole * width
        formula = f"{_billions(shape.quantised_parameters)} × {NF4_BITS:.3f} bits"
        formula += f" + {_billions(whole)} × {width} bytes"
        if shape.experts > 1:
            formula += " (experts are not quantised)"
    else:
        weights, formula = float(shape.parameters * width), f"{base} × {width} bytes"
    parts = [Part(name="weights", size_bytes=weights / setup.shards, formula=formula + over)]
    if OBJECTIVES[setup.objective].judged:
        parts.append(_reward_model(shape, setup, over))
    trained, trained_width = shape.parameters, width
    if setup.weights != "full":
        # On a base in 4 bits TRL stores the adapter in bfloat16, else PEFT stores it in 32 bits.
        trained, trained_width = lora_parameters(shape, setup.r), 4 if setup.weights == "lora" else width
        formula = f"{_billions(trained)} × {trained_width} bytes (LoRA r={setup.r} on all linear layers)"
        size = trained * trained_width / setup.shards
        parts.append(Part(name="adapter", size_bytes=size, formula=formula + over))
    state_bytes, states = _state_bytes(setup.optimizer, trained_width)
    return (
        *parts,
        Part(
            name="gradients",
            size_bytes=trained * trained_width / setup.shards,
            formula=f"{_billions(trained)} × {trained_width} bytes" + over,
        ),
        Part(
            name="optimizer states",
            size_bytes=trained * state_bytes / setup.shards,
            formula=f"{_billions(trained)} × {state_bytes} bytes ({states})" + over,
        ),
    )


def _state_bytes(optimizer: Optimizer, trained_width: int) -> tuple[int, str]:
    """Bytes of the optimizer's states for each trained number, and what they are."""
    match optimizer:
        case "adamw-8bit":
            return 2, "two moments of 8 bits"
        case "adamw-pure":
            return 2 * trained_width, f"two moments of {8 * trained_width} bits"
        case "adamw":
            copied = trained_width == 2
            return 12 if copied else 8, f"{'32-bit copy and ' if copied else ''}two moments of 32 bits"


def _reward_model(shape: Shape, setup: Setup, over: str) -> Part:
    """Its base as it was trained, without the output head, and its adapter in 32 bits."""
    width = FLOAT_BYTES[setup.dtype]
    small = shape.quantised_parameters if setup.weights == "qlora" else 0
    whole = shape.parameters - small - (0 if shape.tied else shape.vocabulary * shape.hidden)
    adapter = lora_parameters(shape, setup.r)
    formula = f"{_billions(small)} × {NF4_BITS:.4g} bits + " if small else ""
    return Part(
        name="reward model",
        size_bytes=(small * NF4_BITS / 8 + whole * width + adapter * 4) / setup.shards,
        formula=f"{formula}{_billions(whole)} × {width} bytes + {_billions(adapter)} × 4 bytes{over}",
    )


def kept_per_token(shape: Shape, setup: Setup) -> float:
    """Bytes per token that one decoder layer keeps for the backward pass.

    In elements of the computation's type: the residual stream and its norm, twice (4 h); queries, and keys
    and values repeated for every head (3 a d), attention's result as it is made and as it is passed on
    (2 a d); gate, its activation, the other projection and their product (4 f; 2 f without a gate); LoRA's
    inner results (r each). Norms compute in 32 bits: in half precision a copy of each input (2 h × 4 bytes);
    where their weights are trained, also their result.

    Args:
        shape: The base's dimensions.
        setup: The setup of a training.
    """
    width = FLOAT_BYTES[setup.dtype]
    attention = 5 * shape.heads * shape.head_dim
    wide = shape.intermediate * shape.active_experts + shape.shared
    feed_forward = (4 if shape.gated else 2) * wide
    inner = 0 if setup.weights == "full" else setup.r * shape.passed_linears
    norms = 2 * shape.hidden * 4 if width == 2 else 0
    if setup.weights == "full":
        norms += 2 * shape.hidden * width
    return (4 * shape.hidden + attention + feed_forward + inner) * width + norms


def _tokens(setup: Setup) -> int:
    return setup.batch_size * OBJECTIVES[setup.objective].answers * setup.length


def _activations(shape: Shape, setup: Setup) -> Part:
    tokens, a_layer = _tokens(setup), kept_per_token(shape, setup)
    if setup.checkpointing:
        inputs = shape.hidden * FLOAT_BYTES[setup.dtype]
        size = tokens * (shape.layers * inputs + a_layer)
        said = f"{tokens} tokens × ({shape.layers} layers × {inputs} + {a_layer:.0f} bytes), recomputed"
    else:
        size = tokens * shape.layers * a_layer
        said = f"{tokens} tokens × {shape.layers} layers × {a_layer:.0f} bytes"
    if setup.device == "cpu":
        size *= _SCATTERED[setup.weights]
        said += f" × {_SCATTERED[setup.weights]} (scattered on a CPU, as measured)"
    return Part(name="activations", size_bytes=size, formula=said)


def _head(shape: Shape, setup: Setup) -> tuple[Part, ...]:
    """All logits with the memory of softmax and gradient, or a tile that a kernel uses in place."""
    objective = OBJECTIVES[setup.objective]
    if not objective.head:
        return ()
    tokens, entries, width, said = _tokens(setup), shape.vocabulary, 12, "3 × 4 bytes"
    if objective.fused:
        tokens, entries = min(tokens, _TILE_TOKENS), min(entries, _TILE_ENTRIES)
        if setup.device == "cuda":
            width = FLOAT_BYTES[setup.dtype]
            said = f"{width} bytes"
        said += " (a tile)"
    size = tokens * entries * width
    return (Part(name="logits", size_bytes=size, formula=f"{tokens} tokens × {entries} × {said}"),)


def _sampling(shape: Shape, setup: Setup) -> tuple[Part, ...]:
    """Keys and values of the answers during sampling."""
    if not OBJECTIVES[setup.objective].samples:
        return ()
    width, tokens = FLOAT_BYTES[setup.dtype], setup.batch_size * setup.length
    keys = 2 * shape.layers * shape.kv_heads * shape.head_dim
    formula = f"{tokens} tokens × {keys} × {width} bytes"
    return (Part(name="keys and values", size_bytes=tokens * keys * width, formula=formula),)


def _workspace(shape: Shape, setup: Setup) -> Part:
    """The largest matrix in the computation's type: dequantised for QLoRA, or a gradient."""
    width = FLOAT_BYTES[setup.dtype]
    largest = max(inputs * outputs for inputs, outputs in shape.linears)
    if setup.weights == "full":
        largest = max(largest, shape.vocabulary * shape.hidden)
    return Part(
        name="workspace", size_bytes=2 * largest * width, formula=f"2 × {_billions(largest)} × {width} bytes"
    )


def _process(setup: Setup) -> Part:
    if setup.device == "cpu":
        said = "Python with torch, transformers, PEFT and TRL, as measured"
        return Part(name="process", size_bytes=PROCESS_BYTES_CPU, formula=said)
    return Part(name="process", size_bytes=PROCESS_BYTES_CUDA, formula="CUDA's context, by rule of thumb")


def _billions(count: int) -> str:
    return f"{count / 1e9:.2f}B" if count >= 1e8 else f"{count / 1e6:.1f}M"
