"""Fixtures that several packages' tests share."""

import json
from pathlib import Path

import pytest
from hypothesis import settings

# How long an example takes says something of the machine, not of the code.
settings.register_profile("tunegate", deadline=None)
settings.load_profile("tunegate")

CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|> {{ message['content'] }} <|end|> {% endfor %}"
    "{% if add_generation_prompt %}<|assistant|> {% endif %}"
)


@pytest.fixture(scope="session")
def tiny_model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random two-layer Llama with a word tokenizer and a chat template: a real model, small and useless."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    directory = tmp_path_factory.mktemp("tiny_model")
    words = [f"w{i}" for i in range(50)] + [
        "the",
        "a",
        "cat",
        "sat",
        "on",
        "mat",
        "what",
        "is",
        "one",
        "two",
        "three",
    ]
    special = ["<pad>", "<unk>", "<bos>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>"]
    vocabulary = {word: index for index, word in enumerate(special + words)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        unk_token="<unk>",
        bos_token="<bos>",
        eos_token="<|end|>",
        model_max_length=512,
    )
    fast.chat_template = CHAT_TEMPLATE
    fast.save_pretrained(directory)
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(vocabulary),
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=512,
            pad_token_id=0,
            bos_token_id=2,
            eos_token_id=3,
            # Large weights make random logits differ clearly, so that greedy text varies with the prompt.
            initializer_range=0.5,
        )
    )
    model.save_pretrained(directory)
    return directory


@pytest.fixture(scope="session")
def tiny_adapter_dir(tiny_model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA adapter of the tiny model whose B matrices are random, so that it changes answers."""
    return make_tiny_adapter(tiny_model_dir, tmp_path_factory.mktemp("tiny_adapter"), spread=0.5)


def make_tiny_adapter(base: Path, directory: Path, *, spread: float, seed: int = 1) -> Path:
    """Save a LoRA adapter of ``base`` with B drawn from a normal of the given spread; 0 leaves it dead."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base),
        LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"),
    )
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(0, spread) if spread else parameter.data.zero_()
    model.save_pretrained(directory)
    config = json.loads((directory / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = str(base)
    (directory / "adapter_config.json").write_text(json.dumps(config))
    return directory


@pytest.fixture(name="make_tiny_adapter", scope="session")
def make_tiny_adapter_fixture():
    """The function that saves adapters of the tiny model."""
    return make_tiny_adapter


def make_result(key, outcome=True, *, scores=(), tags=(), cluster=None, prompt="Say yes."):
    """One scored case, ``set/id``; the outcome may be a plain True (passed) or False (failed)."""
    from harness.types import CaseResult, Completion, GoldenCase, Message, Outcome, Score

    set_name, _, case_id = key.partition("/")
    plain = {True: Outcome.PASSED, False: Outcome.FAILED}
    return CaseResult(
        case=GoldenCase(
            id=case_id,
            set_name=set_name,
            messages=(Message(role="user", content=prompt),),
            tags=tuple(tags),
            cluster=cluster,
        ),
        completion=Completion(
            text="yes", stop_reason="stop", prompt_tokens=3, completion_tokens=1, latency_s=0.1
        ),
        scores=tuple(Score(metric=metric, value=value) for metric, value in scores),
        outcome=plain[outcome] if isinstance(outcome, bool) else outcome,
    )


def make_run(results, *, gates=None, probes=(), collected=None, losses=(), dtype="float32", run_id="now"):
    """A run of scored cases.

    ``gates`` maps a set's name to its GateSettings, ``probes`` names the sets that probe forgetting, and
    ``losses`` maps a passage to its nats per token.
    """
    from harness.types import Environment, ExecutionPlan, GateSettings, GoldenSet, ModelRef, Run, TextLoss

    gates = gates or {}
    names = dict.fromkeys([*(result.case.set_name for result in results), *gates])
    return Run(
        id=run_id,
        started_at="2026-01-31T12:00:00+00:00",
        duration_s=1.0,
        model=ModelRef(label="adapter", base_model="tiny", base_sha256="0" * 64),
        plan=ExecutionPlan(engine="transformers", dtype=dtype, device="cpu", batch_tokens=2048),
        environment=Environment(python="3.11", platform="Linux", packages={}),
        golden_sets=tuple(
            GoldenSet(
                name=name,
                path=f"{name}.yaml",
                gate=gates.get(name, GateSettings()),
                probes_forgetting=name in probes,
            )
            for name in names
        ),
        collected=len(results) if collected is None else collected,
        results=tuple(results),
        text_losses=tuple(
            TextLoss(passage=passage, nats_per_token=nats, tokens=100)
            for passage, nats in dict(losses).items()
        ),
    )


@pytest.fixture(name="make_result", scope="session")
def make_result_fixture():
    """The function that makes a scored case."""
    return make_result


@pytest.fixture(name="make_run", scope="session")
def make_run_fixture():
    """The function that makes a run of scored cases."""
    return make_run
