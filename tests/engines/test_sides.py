"""Every side answers as a bare script does, whatever its adapter does to the base that others use."""

import shutil

import pytest

from harness.errors import AdapterError, ModelError
from harness.run.cache import Cache
from harness.run.generation import answer_cases


def add_noise(*names, spread=0.3):
    """Fills an adapter: adds noise to each trained weight whose name holds one of the parts."""

    def fill(model):
        import torch

        for name, parameter in model.named_parameters():
            if any(part in name for part in names):
                parameter.data.add_(torch.randn_like(parameter) * spread)

    return fill


def fill_biases(model):
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and name.endswith(".bias"):
            parameter.data.normal_(0, 1)


@pytest.fixture(scope="module")
def biased_model_dir(tiny_model_dir, tmp_path_factory):
    """The tiny model with biases in all layers."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    directory = tmp_path_factory.mktemp("biased")
    config = LlamaConfig.from_pretrained(tiny_model_dir, attention_bias=True, mlp_bias=True)
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(directory)
    AutoTokenizer.from_pretrained(tiny_model_dir).save_pretrained(directory)
    return directory


@pytest.fixture
def biased_adapter(biased_model_dir, make_adapter, lora):
    return make_adapter(lora(bias="all"), "biased", base=biased_model_dir, fill=fill_biases)


@pytest.mark.parametrize("initialisation", ["pissa", "olora"])
def test_an_initialisation_that_subtracts_from_the_base_leaves_the_baseline_alone(
    initialisation, make_adapter, lora, tiny_model_dir, bare_texts, engine_texts
):
    adapter = make_adapter(lora(init_lora_weights=initialisation), fill=add_noise("lora_B"))
    texts, placed = engine_texts(adapter)
    assert texts["candidate-0"] == bare_texts(tiny_model_dir, adapter)
    assert texts["baseline"] == bare_texts(tiny_model_dir)
    assert placed["baseline"].weights == "own"


def test_trained_biases_leave_the_baseline_alone(biased_adapter, biased_model_dir, bare_texts, engine_texts):
    texts, placed = engine_texts(biased_adapter)
    assert texts["candidate-0"] == bare_texts(biased_model_dir, biased_adapter)
    assert texts["baseline"] == bare_texts(biased_model_dir)
    assert texts["candidate-0"] != texts["baseline"]
    assert placed["baseline"].weights == "own"


def test_saved_embeddings_leave_the_baseline_alone(
    make_adapter, lora, tiny_model_dir, bare_texts, engine_texts
):
    def move_embeddings(model):
        import torch

        torch.manual_seed(3)
        weight = model.get_input_embeddings().weight
        weight.data.add_(0.5 * torch.randn_like(weight))

    adapter = make_adapter(lora(), fill=move_embeddings, save_embedding_layers=True)
    texts, _ = engine_texts(adapter)
    assert texts["candidate-0"] == bare_texts(tiny_model_dir, adapter)
    assert texts["baseline"] == bare_texts(tiny_model_dir)


def test_a_healthy_adapter_beside_one_that_changes_the_base(
    biased_adapter, biased_model_dir, make_adapter, lora, bare_texts, engine_texts
):
    healthy = make_adapter(lora(), "healthy", base=biased_model_dir)
    for order in ((biased_adapter, healthy), (healthy, biased_adapter)):
        texts, _ = engine_texts(*order)
        for place, adapter in enumerate(order):
            assert texts[f"candidate-{place}"] == bare_texts(biased_model_dir, adapter)
        assert texts["baseline"] == bare_texts(biased_model_dir)


def test_plain_adapters_of_one_base_share_its_weights_and_batches(
    make_adapter, lora, tiny_model_dir, bare_texts, engine_texts
):
    adapters = [
        make_adapter(lora(), "one"),
        make_adapter(lora(r=2, target_modules=["q_proj"]), "two", seed=2),
    ]
    texts, placed = engine_texts(*adapters)
    for place, adapter in enumerate(adapters):
        assert texts[f"candidate-{place}"] == bare_texts(tiny_model_dir, adapter)
    assert texts["baseline"] == bare_texts(tiny_model_dir)
    assert {(each.weights, each.batches) for each in placed.values()} == {("shared", "mixed")}


def test_copies_of_a_base_store_equal_weights_once(make_adapter, lora, biased_model_dir, bare_texts):
    """Three adapters with trained biases and their base: four copies that differ in their biases alone."""
    from harness.engines.open import base_of, choose_plan, describe_model, open_sides

    def noise(model):
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data.normal_(0, 0.5)

    made = [
        make_adapter(lora(bias="all"), f"biased-{seed}", base=biased_model_dir, fill=noise, seed=seed)
        for seed in (1, 2, 3)
    ]
    sides = {f"candidate-{place}": describe_model(str(each)) for place, each in enumerate(made)}
    sides["baseline"] = base_of(sides["candidate-0"])
    engine = open_sides(sides, choose_plan("float32", "cpu", 4096, list(sides.values())))
    assert {placement.weights for placement in engine.plan.placements} == {"own"}
    places = {}
    for side in sides:
        for name, parameter in engine.sides[side].model.named_parameters():
            if name.endswith(
                ("q_proj.base_layer.weight", "q_proj.weight", "q_proj.base_layer.bias", "q_proj.bias")
            ):
                layer = name.replace("base_layer.", "").removeprefix("base_model.model.")
                places.setdefault(layer, set()).add(parameter.data_ptr())
    assert {len(found) for layer, found in places.items() if layer.endswith("weight")} == {1}
    assert {len(found) for layer, found in places.items() if layer.endswith("bias")} == {4}


def test_an_adapter_that_puts_on_a_whole_layer_is_not_mixed(
    make_adapter, lora, tiny_model_dir, bare_texts, engine_texts
):
    adapter = make_adapter(lora(modules_to_save=["norm"]), fill=add_noise("lora_B", "norm"))
    texts, placed = engine_texts(adapter)
    assert texts["candidate-0"] == bare_texts(tiny_model_dir, adapter)
    assert texts["baseline"] == bare_texts(tiny_model_dir)
    assert placed["candidate-0"].batches == "separate"


def test_an_end_token_of_its_own_ends_its_own_answers_only(
    make_adapter, lora, tiny_model_dir, bare_texts, engine_texts
):
    """Trainers save a tokenizer beside the adapter, often with another end token."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model_dir, eos_token="w17")
    adapter = make_adapter(lora(), tokenizer=tokenizer)
    texts, placed = engine_texts(adapter, max_new_tokens=24)
    both = [3, tokenizer.convert_tokens_to_ids("w17")]
    own = bare_texts(tiny_model_dir, adapter, adapter, max_new_tokens=24, eos_token_id=both)
    assert texts["candidate-0"] == own
    assert own != bare_texts(tiny_model_dir, adapter, max_new_tokens=24)
    assert texts["baseline"] == bare_texts(tiny_model_dir, max_new_tokens=24)
    assert placed["baseline"].batches == "mixed"


def test_an_answer_behind_a_spoiling_adapter_is_not_stored_as_the_bases(
    biased_adapter, biased_model_dir, make_adapter, lora, bare_texts
):
    """The same cache serves a later gate of a healthy adapter."""
    from harness.engines.open import base_of, choose_plan, describe_model
    from harness.types import GenerationSettings, GoldenCase, Message

    healthy = make_adapter(lora(), "healthy", base=biased_model_dir)
    case = GoldenCase(
        id="c",
        set_name="s",
        messages=(Message(role="user", content="what is one"),),
        generation=GenerationSettings(max_new_tokens=12),
    )
    with Cache(None) as cache:
        for adapter in (biased_adapter, healthy):
            model = describe_model(str(adapter))
            sides = {"candidate": model, "baseline": base_of(model)}
            plan = choose_plan("float32", "cpu", 4096, list(sides.values()))
            answers = answer_cases(sides, plan, [case], cache, lambda *_: None)
            assert answers["baseline"].completions["s/c"].text == bare_texts(biased_model_dir)[0]


def test_a_vocabulary_of_its_own(save_resized_adapter, tiny_model_dir, engine_texts, bare_texts, tmp_path):
    """Trained with new tokens: the base is resized for this adapter, and for nobody else."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model_dir)
    tokenizer.add_tokens(["<think>", "<tool>"])
    adapter = save_resized_adapter(tiny_model_dir, tmp_path / "resized", tokenizer)
    texts, placed = engine_texts(adapter)
    assert texts["baseline"] == bare_texts(tiny_model_dir)
    assert placed["candidate-0"].weights == "own"
    base = AutoModelForCausalLM.from_pretrained(tiny_model_dir, dtype=torch.float32)
    base.resize_token_embeddings(len(tokenizer))
    bare = PeftModel.from_pretrained(base, adapter).eval()
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": "what is one"}], add_generation_prompt=True, tokenize=False
    )
    ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
    written = bare.generate(input_ids=ids, max_new_tokens=12, do_sample=False)
    assert texts["candidate-0"][0] == tokenizer.decode(written[0, ids.shape[1] :], skip_special_tokens=True)


def test_what_is_random_at_load_is_refused(make_adapter, lora, engine_texts):
    adapter = make_adapter(lora(init_lora_weights="pissa_niter_2"), fill=add_noise("lora_B"))
    with pytest.raises(AdapterError, match=r"random at load: .*init_lora_weights: pissa_niter_2"):
        engine_texts(adapter)


def test_an_adapter_that_changes_rare_tokens_only_is_alive(make_adapter, lora, tiny_model_dir, tmp_path):
    """Not one probed token is among those that it changes."""
    from peft import TrainableTokensConfig

    from harness.engines.open import choose_plan, describe_model, open_sides

    def move(model):
        for name, parameter in model.named_parameters():
            if "trainable_tokens_delta" in name:
                parameter.data.add_(1.0)

    config = TrainableTokensConfig(token_indices=[4], target_modules=["embed_tokens"], task_type="CAUSAL_LM")
    model = describe_model(str(make_adapter(config, fill=move)))
    engine = open_sides({"candidate": model}, choose_plan("float32", "cpu", 4096, [model]))
    assert engine.largest_logit_change("candidate") > 0


def test_zero_b_matrices_beside_a_trained_layer_are_no_dead_adapter(
    make_adapter, lora, tiny_model_dir, bare_texts, engine_texts
):
    adapter = make_adapter(lora(modules_to_save=["lm_head"]), fill=add_noise("lm_head"))
    texts, _ = engine_texts(adapter)
    assert texts["candidate-0"] == bare_texts(tiny_model_dir, adapter)
    assert texts["candidate-0"] != texts["baseline"]


def test_a_model_beside_itself(tiny_model_dir, tmp_path, bare_texts, engine_texts):
    shutil.copytree(tiny_model_dir, tmp_path / "copy")
    texts, _ = engine_texts(tmp_path / "copy")
    assert texts["candidate-0"] == bare_texts(tiny_model_dir)


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused(
    make_adapter, lora, tiny_model_dir, engine_texts
):
    """Its adapter was trained on a larger vocabulary and saved without it."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model_dir)
    tokenizer.add_tokens(["<|ask|>"], special_tokens=True)
    tokenizer.chat_template = "<|ask|> " + tokenizer.chat_template
    with pytest.raises(
        ModelError, match=r"the prompt contains <\|ask\|>, and the model has embeddings for 68 of"
    ):
        engine_texts(make_adapter(lora(), tokenizer=tokenizer))


def test_an_adapter_that_changes_little_is_still_told_from_its_base(
    make_adapter, lora, tiny_model_dir, engine_texts
):
    """Rows of a small change and of none in one batch: each is nearer to its own than to the other."""
    import torch

    from harness.engines.weights import same_logits

    base = torch.tensor([[10.0, 1.0]])
    small = base + 1e-4
    assert same_logits(small + 1e-6, small, "float32", [base])
    assert not same_logits(base, small, "float32", [base])
    assert same_logits(base, small, "float32")
    assert not same_logits(base + float("nan"), base, "float32")
    rerouted = torch.cat([base, base, -base])
    assert same_logits(rerouted, torch.cat([base] * 3), "bfloat16")
    assert not same_logits(rerouted, torch.cat([base] * 3), "float32")
    assert not same_logits(-rerouted, torch.cat([base] * 3), "bfloat16")
    adapter = make_adapter(lora(), fill=add_noise("lora_B", spread=1e-4))
    _, placed = engine_texts(adapter)
    assert placed["candidate-0"].batches == "mixed"
