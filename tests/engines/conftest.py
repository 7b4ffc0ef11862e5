"""Adapters of every make on a tiny model, and the bare script that the engine's texts are compared with."""

import json

import pytest

PROMPTS = ("what is one", "the cat sat on the mat", "w1 w2 w3 w4 w5 w6", "two", "w9 w8 the w7")


@pytest.fixture
def bare_texts():
    """The texts of a bare script: one prompt at a time, greedy, float32, freshly loaded."""

    def answer(base, adapter=None, tokenizer=None, max_new_tokens=12, **generation):
        import torch
        from peft import PeftModel
        from transformers import AutoModelForCausalLM, AutoTokenizer

        model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
        if adapter is not None:
            model = PeftModel.from_pretrained(model, adapter)
        tokenizer = AutoTokenizer.from_pretrained(tokenizer or base)
        texts = []
        for prompt in PROMPTS:
            text = tokenizer.apply_chat_template(
                [{"role": "user", "content": prompt}], add_generation_prompt=True, tokenize=False
            )
            ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
            with torch.no_grad():
                written = model.eval().generate(
                    input_ids=ids,
                    attention_mask=torch.ones_like(ids),
                    max_new_tokens=max_new_tokens,
                    do_sample=False,
                    **generation,
                )
            texts.append(tokenizer.decode(written[0, ids.shape[1] :], skip_special_tokens=True))
        return texts

    return answer


@pytest.fixture
def engine_texts():
    """The engine's texts by side, and how each side was placed."""

    def answer(*references, max_new_tokens=12, check=True, **settings):
        from harness.engines.base import GenerationRequest
        from harness.engines.open import base_of, check_alive, choose_plan, describe_model, open_sides
        from harness.types import GenerationSettings, Message

        sides = {f"candidate-{n}": describe_model(str(each)) for n, each in enumerate(references)}
        if (base := base_of(sides["candidate-0"])) is not None:
            sides["baseline"] = base
        engine = open_sides(sides, choose_plan("float32", "cpu", 4096, list(sides.values())))
        for side, model in sides.items() if check else ():
            check_alive(engine, side, model)
        asked = [
            GenerationRequest(
                key=f"{side}/{n}",
                side=side,
                messages=(Message(role="user", content=prompt),),
                settings=GenerationSettings(max_new_tokens=max_new_tokens, **settings),
            )
            for side in sides
            for n, prompt in enumerate(PROMPTS)
        ]
        found = {}
        engine.generate(asked, found.update)
        texts = {side: [] for side in sides}
        for place, request in enumerate(asked):
            texts[request.side].append(found[place].text)
        return texts, {placement.side: placement for placement in engine.plan.placements}

    return answer


@pytest.fixture
def make_adapter(tiny_model_dir, tmp_path):
    """Saves an adapter of the tiny model as PEFT does, its B matrices (or what ``fill`` changes) random."""

    def make(
        config, name="adapter", *, base=tiny_model_dir, fill=None, edit=None, tokenizer=None, seed=1, **save
    ):
        import torch
        from peft import get_peft_model
        from transformers import AutoModelForCausalLM

        torch.manual_seed(seed)
        model = get_peft_model(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), config)
        for parameter_name, parameter in model.named_parameters():
            if "lora_B" in parameter_name and fill is None:
                parameter.data.normal_(0, 0.5)
        if fill is not None:
            fill(model)
        directory = tmp_path / name
        model.save_pretrained(directory, **save)
        written = json.loads((directory / "adapter_config.json").read_text())
        written["base_model_name_or_path"] = str(base)
        if edit is not None:
            edit(written)
        (directory / "adapter_config.json").write_text(json.dumps(written))
        if tokenizer is not None:
            tokenizer.save_pretrained(directory)
        return directory

    return make


@pytest.fixture
def lora():
    """A LoRA configuration on all linear layers, with what a test adds."""

    def build(**rest):
        from peft import LoraConfig

        return LoraConfig(
            **{"r": 4, "lora_alpha": 8, "target_modules": "all-linear", "task_type": "CAUSAL_LM", **rest}
        )

    return build


@pytest.fixture
def tied_model_dir(tmp_path, tiny_model_dir):
    """A tiny model whose output head is its input embeddings, as SmolLM2's is."""
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    config = LlamaConfig.from_pretrained(tiny_model_dir)
    config.tie_word_embeddings = True
    LlamaForCausalLM(config).save_pretrained(tmp_path / "tied")
    AutoTokenizer.from_pretrained(tiny_model_dir).save_pretrained(tmp_path / "tied")
    return tmp_path / "tied"
