"""The kinds of adapters that people bring, each as PEFT (or a trainer) saves it."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.conformance.tiny import Family, tokenizer_of


@dataclass(frozen=True)
class Kind:
    """A kind of adapter.

    Attributes:
        config: Builds PEFT's configuration for a loaded base.
        peft_type: PEFT's name of it.
        noise: How much is added to each trained number.
        prepare: Changes the base before the adapter is put on.
        tokenizer: Makes the tokenizer that is saved beside it.
        save: Further arguments of ``save_pretrained``.
        edit: Changes adapter_config.json.
    """

    name: str
    config: Callable[[Any], Any]
    peft_type: str = "LORA"
    noise: float = 0.3
    prepare: Callable[[Any], None] | None = None
    tokenizer: Callable[[Family], Any] | None = None
    save: dict = field(default_factory=dict)
    edit: Callable[[dict], None] | None = None


def linear_names(model) -> list[str]:
    """The last parts of the names of all linear layers of the text model but the output layer."""
    import torch

    output = model.get_output_embeddings()
    # PEFT refuses what Mamba's own kernels read.
    left_out = (
        {"out_proj"} if any("mamba" in type(part).__name__.lower() for part in model.modules()) else set()
    )
    return sorted(
        {
            name.rpartition(".")[2]
            for name, module in model.named_modules()
            if (isinstance(module, torch.nn.Linear) or type(module).__name__ == "Conv1D")
            and module is not output
            and "vision" not in name
            and name.rpartition(".")[2] not in left_out
        }
    )


def _peft(name: str, **values):
    """Builds a configuration of PEFT's on all linear layers."""

    def build(model):
        import peft

        return getattr(peft, name)(task_type="CAUSAL_LM", **{"target_modules": linear_names(model), **values})

    return build


def _virtual(name: str, **values):
    def build(model):
        import peft

        return getattr(peft, name)(task_type="CAUSAL_LM", **values)

    return build


def _lora(**values):
    return _peft("LoraConfig", **{"r": 4, "lora_alpha": 8, **values})


def _with_output(model):
    return _lora(target_modules=[*linear_names(model), _leaf(model, model.get_output_embeddings())])(model)


def _with_embeddings(model):
    return _lora(target_modules=[*linear_names(model)[:1], _leaf(model, model.get_input_embeddings())])(model)


def _saved(*parts):
    """A LoRA that trains whole layers too: ``embeddings``, ``output``, ``norm``."""

    def build(model):
        found = {"embeddings": model.get_input_embeddings(), "output": model.get_output_embeddings()}
        names = [_leaf(model, found[part]) if part in found else _norm(model) for part in parts]
        return _lora(modules_to_save=names)(model)

    return build


def _leaf(model, wanted) -> str:
    return next(name for name, module in model.named_modules() if module is wanted).rpartition(".")[2]


def _norm(model) -> str:
    """The last norm of the text model."""
    norms = [name for name, module in model.named_modules() if "norm" in type(module).__name__.lower()]
    return [name for name in norms if "vision" not in name][-1].rpartition(".")[2]


def _experts(model):
    names = [name for name, _ in model.named_parameters() if name.endswith("experts.gate_up_proj")]
    if not names:
        raise ValueError("no fused experts")
    return _lora(target_modules=[], target_parameters=["experts.gate_up_proj", "experts.down_proj"])(model)


def _tokens(model):
    return _peft(
        "TrainableTokensConfig",
        token_indices=[5, 6, 7],
        target_modules=[_leaf(model, model.get_input_embeddings())],
    )(model)


def _lora_and_tokens(model):
    return _lora(trainable_token_indices={_leaf(model, model.get_input_embeddings()): [5, 6, 7]})(model)


def _new_tokens(model):
    return _lora(trainable_token_indices={_leaf(model, model.get_input_embeddings()): [5, 128, 129]})(model)


def _some_layers(model):
    """Only the second layer of those with a number."""
    numbered = [name.split(".") for name, _ in model.named_modules() if ".1." in f"{name}."]
    names = [parts for parts in numbered if parts[-1] in linear_names(model) and "vision" not in parts]
    if not names:
        raise ValueError("its linear layers are in no second layer")
    pattern = names[0][names[0].index("1") - 1]
    targets = sorted({parts[-1] for parts in names})
    return _lora(target_modules=targets, layers_to_transform=[1], layers_pattern=pattern)(model)


def _wider(family: Family):
    return tokenizer_of(family, added=("<tool-a>", "<tool-b>"))


KINDS = (
    Kind("lora", _lora()),
    Kind("lora, one layer's queries", lambda model: _lora(target_modules=linear_names(model)[-1:])(model)),
    Kind("rslora", _lora(use_rslora=True)),
    Kind("dora", _lora(use_dora=True)),
    Kind("dora and biases", _lora(use_dora=True, bias="all")),
    Kind("lora on some layers", _some_layers),
    Kind("lora with rank pattern", lambda model: _lora(rank_pattern={linear_names(model)[0]: 2})(model)),
    Kind("lora on the output layer", _with_output),
    Kind("lora on the embeddings", _with_embeddings),
    Kind("lora and biases", _lora(bias="all")),
    Kind("lora with lora_bias", _lora(lora_bias=True)),
    Kind("lora and a norm", _saved("norm")),
    Kind("lora and the output layer", _saved("output")),
    Kind("lora and all embeddings", _saved("embeddings", "output")),
    Kind("lora and saved embeddings", _lora(), save={"save_embedding_layers": True}),
    Kind(
        "lora and new tokens",
        _saved("embeddings", "output"),
        prepare=lambda model: model.resize_token_embeddings(130),
        tokenizer=_wider,
    ),
    Kind("lora and chosen tokens", _lora_and_tokens),
    Kind(
        "lora and chosen new tokens",
        _new_tokens,
        prepare=lambda model: model.resize_token_embeddings(130),
        tokenizer=_wider,
    ),
    Kind("lora on fused experts", _experts),
    Kind("lora from pissa", _lora(init_lora_weights="pissa")),
    Kind("lora from fast pissa", _lora(init_lora_weights="pissa_niter_2")),
    Kind("lora from olora", _lora(init_lora_weights="olora")),
    Kind("lora from gaussian", _lora(init_lora_weights="gaussian")),
    Kind("lora from orthogonal", _lora(init_lora_weights="orthogonal")),
    Kind("lora from mica", _lora(init_lora_weights="mica")),
    Kind("lora on repeated layers", _lora(layer_replication=[[0, 2], [1, 2]])),
    Kind("alora", _lora(alora_invocation_tokens=[1])),
    Kind("lora with its own end token", _lora(), tokenizer=lambda family: tokenizer_of(family, eos="w17")),
    Kind("adalora", _peft("AdaLoraConfig", init_r=6, target_r=4, total_step=10), peft_type="ADALORA"),
    Kind("ia3", _peft("IA3Config", feedforward_modules=[]), peft_type="IA3"),
    Kind("loha", _peft("LoHaConfig", r=4, alpha=8), peft_type="LOHA"),
    Kind("lokr", _peft("LoKrConfig", r=4, alpha=8), peft_type="LOKR"),
    Kind("oft", _peft("OFTConfig", r=0, oft_block_size=8), peft_type="OFT"),
    Kind("boft", _peft("BOFTConfig", boft_block_size=4), peft_type="BOFT"),
    Kind("hra", _peft("HRAConfig", r=4), peft_type="HRA"),
    Kind("vera", _peft("VeraConfig", r=4), peft_type="VERA"),
    Kind("vera without its projection", _peft("VeraConfig", r=4, save_projection=False), peft_type="VERA"),
    Kind("randlora", _peft("RandLoraConfig", r=4), peft_type="RANDLORA"),
    Kind("fourierft", _peft("FourierFTConfig", n_frequency=20), noise=20.0, peft_type="FOURIERFT"),
    Kind("miss", _peft("MissConfig", r=4), peft_type="MISS"),
    Kind("shira", _peft("ShiraConfig", r=4), peft_type="SHIRA"),
    Kind("c3a", _peft("C3AConfig", block_size=16), peft_type="C3A"),
    Kind("road", _peft("RoadConfig", group_size=16), peft_type="ROAD"),
    Kind("waveft", _peft("WaveFTConfig", n_frequency=20), noise=3.0, peft_type="WAVEFT"),
    Kind("delora", _peft("DeloraConfig", r=4), peft_type="DELORA"),
    Kind("gralora", _peft("GraloraConfig", r=4, gralora_k=2, alpha=8), peft_type="GRALORA"),
    Kind("vblora", _peft("VBLoRAConfig", r=2, num_vectors=16, vector_length=16), peft_type="VBLORA"),
    Kind(
        "layer norms",
        lambda model: _peft("LNTuningConfig", target_modules=[_norm(model)])(model),
        peft_type="LN_TUNING",
    ),
    Kind("chosen tokens", _tokens, noise=1.0, peft_type="TRAINABLE_TOKENS"),
    Kind(
        "prefix tuning",
        _virtual("PrefixTuningConfig", num_virtual_tokens=4),
        noise=1.0,
        peft_type="PREFIX_TUNING",
    ),
    Kind(
        "prompt tuning",
        _virtual("PromptTuningConfig", num_virtual_tokens=4),
        noise=1.0,
        peft_type="PROMPT_TUNING",
    ),
    Kind(
        "p-tuning",
        _virtual("PromptEncoderConfig", num_virtual_tokens=4, encoder_hidden_size=16),
        noise=1.0,
        peft_type="P_TUNING",
    ),
    Kind(
        "multitask prompts",
        _virtual("MultitaskPromptTuningConfig", num_virtual_tokens=4, num_tasks=2),
        noise=1.0,
        peft_type="MULTITASK_PROMPT_TUNING",
    ),
    Kind(
        "cpt",
        _virtual("CPTConfig", cpt_token_ids=[5, 6, 7], cpt_mask=[1, 1, 1], cpt_tokens_type_mask=[1, 2, 2]),
        noise=1.0,
        peft_type="CPT",
    ),
    Kind(
        "llama adapters",
        _virtual("AdaptionPromptConfig", adapter_len=4, adapter_layers=2),
        noise=1.0,
        peft_type="ADAPTION_PROMPT",
    ),
    Kind("adamss", _peft("AdamssConfig", num_subspaces=2, subspace_rank=2, r=8), peft_type="ADAMSS"),
    Kind("beft", _peft("BeftConfig"), peft_type="BEFT"),
    Kind("cartridge", _virtual("CartridgeConfig", num_virtual_tokens=4), noise=1.0, peft_type="CARTRIDGE"),
    Kind("deft", _peft("DeftConfig", r=4), peft_type="DEFT"),
    Kind("frod", _peft("FrodConfig"), peft_type="FROD"),
    Kind("glora", _peft("GloraConfig", r=4), peft_type="GLORA"),
    Kind("hira", _peft("HiraConfig", r=4), peft_type="HIRA"),
    Kind("lily", _peft("LilyConfig", r=4), peft_type="LILY"),
    Kind("osf", _peft("OSFConfig"), peft_type="OSF"),
    Kind("peanut", _peft("PeanutConfig", r=4), peft_type="PEANUT"),
    Kind("psoft", _peft("PsoftConfig", r=4), peft_type="PSOFT"),
    Kind("pvera", _peft("PveraConfig", r=4), peft_type="PVERA"),
    Kind("shadow", _virtual("ShadowConfig"), peft_type="SHADOW"),
    Kind("supertuning", _peft("SupertuningConfig"), peft_type="SUPERTUNING"),
    Kind("tinylora", _peft("TinyLoraConfig", r=2), peft_type="TINYLORA"),
    Kind("unilora", _peft("UniLoraConfig", r=4, theta_d_length=64), peft_type="UNILORA"),
    Kind("poly", _peft("PolyConfig", r=4, n_tasks=2, n_skills=2), peft_type="POLY"),
)
BY_NAME = {kind.name: kind for kind in KINDS}


def save_adapter(kind: Kind, family: Family, base: Path, directory: Path, *, seed: int = 1) -> Path:
    """Make an adapter of the kind, with noise for training, and save it.

    Raises:
        Exception: PEFT can't make it for this family.
    """
    import torch
    from peft import get_peft_model

    from tests.conformance.bare import load_model

    torch.manual_seed(seed)
    model = load_model(base)
    if kind.prepare is not None:
        kind.prepare(model)
    model = get_peft_model(model, kind.config(model))
    for _, parameter in model.named_parameters():
        if parameter.requires_grad and parameter.is_floating_point():
            parameter.data.add_(torch.randn_like(parameter) * kind.noise)
    model.save_pretrained(directory, **kind.save)
    path = directory / "adapter_config.json"
    config = json.loads(path.read_text())
    config["base_model_name_or_path"] = str(base)
    path.write_text(json.dumps(config))
    if kind.tokenizer is not None:
        kind.tokenizer(family).save_pretrained(directory)
    return directory
