"""A base that is split among devices gives the texts and losses of one that is on one device.

Without a GPU what has no room in memory is read from the disk, by the hooks that move inputs among GPUs.
"""

import warnings

import pytest
from transformers import AutoModelForCausalLM

from harness.engines.base import GenerationRequest, LossRequest
from harness.engines.open import base_of, choose_plan, describe_model, open_sides
from harness.engines.split import SPREAD, load_split
from harness.errors import AdapterError, ModelError
from harness.types import GenerationSettings, Message

PROMPTS = ("what is one", "the cat sat on the mat", "w1 w2 w3 w4 w5 w6", "two", "w9 w8 the w7")
# The tiny models have 333 kB: their embeddings and a layer find room.
ROOM = "split:cpu=230KB"
SHARED = " ".join(f"w{place % 50}" for place in range(70))


def opened(device, references, dtype="float32"):
    sides = {f"candidate-{n}": describe_model(str(each)) for n, each in enumerate(references)}
    sides["baseline"] = base_of(sides["candidate-0"])
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        engine = open_sides(sides, choose_plan(dtype, device, 4096, list(sides.values())))
    return engine, sides, [str(each.message) for each in told]


def answers(engine, sides, prefix=""):
    asked = [
        GenerationRequest(
            key=f"{side}/{n}",
            side=side,
            messages=(Message(role="user", content=f"{prefix} {prompt}"),),
            settings=GenerationSettings(max_new_tokens=12),
        )
        for side in sides
        for n, prompt in enumerate(PROMPTS)
    ]
    found = {}
    engine.generate(asked, found.update)
    return [found[place].text for place in range(len(asked))]


def losses(engine, sides):
    options = ("one", "two w1 w2")
    asked = [
        LossRequest(key=f"{side}/{n}", side=side, messages=(Message(role="user", content=prompt),), text=text)
        for side in sides
        for n, prompt in enumerate(PROMPTS)
        for text in options
    ]
    asked += [
        LossRequest(key=f"{side}/plain", side=side, messages=(), text="the cat w1 w2 w3") for side in sides
    ]
    found = {}
    engine.losses(asked, found.update)
    return [found[place].nats_per_token for place in range(len(asked))]


@pytest.fixture
def adapters(make_adapter, lora):
    return [make_adapter(lora(r=rank), f"adapter-{rank}", seed=rank) for rank in (4, 8)]


def test_texts_and_losses_are_those_of_one_device(adapters):
    whole, sides, told = opened("cpu", adapters)
    assert told == []
    split, _, told = opened(ROOM, adapters)
    away = [each for each in split.sides["baseline"].model.parameters() if each.device.type == "meta"]
    assert hasattr(split.sides["baseline"].model, SPREAD)
    assert away
    assert [each for each in told if "have no room on the devices that compute" in each]
    assert {each.batches for each in split.plan.placements} == {"mixed"}
    assert split.plan.placements == whole.plan.placements
    wanted = answers(whole, sides)
    assert answers(split, sides) == wanted
    assert len(set(wanted)) == len(wanted)
    assert answers(split, sides, SHARED) == answers(whole, sides, SHARED)
    assert losses(split, sides) == pytest.approx(losses(whole, sides), rel=1e-6)


def test_a_step_of_lower_precision_too(adapters):
    """There PEFT's own layers compute, on what the hooks give them."""

    def logits(device):
        sides = {"candidate": describe_model(str(adapters[0]))}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            engine = open_sides(sides, choose_plan("bfloat16", device, 4096, list(sides.values())))
        asked = GenerationRequest(
            key="one",
            side="candidate",
            messages=(Message(role="user", content=SHARED),),
            settings=GenerationSettings(),
        )
        return engine.next_token_logits([asked])[0]

    assert logits(ROOM).tolist() == logits("cpu").tolist()


def test_embeddings_that_are_the_output_layer_too(tied_model_dir, make_adapter, lora):
    adapter = [make_adapter(lora(target_modules=["q_proj", "v_proj"]), base=tied_model_dir)]
    whole, sides, _ = opened("cpu", adapter)
    split, _, _ = opened(ROOM, adapter)
    assert any(each.device.type == "meta" for each in split.sides["baseline"].model.parameters())
    assert answers(split, sides) == answers(whole, sides)


def test_a_model_with_room_on_one_device_is_not_split(adapters):
    split, _, told = opened("split", adapters)
    assert not hasattr(split.sides["baseline"].model, SPREAD)
    assert split.plan.device == "cpu:split"
    assert told == []


def test_without_room_for_the_embeddings_it_is_refused(adapters):
    with pytest.raises(
        ModelError, match=r"tiny_model\d+: has no room on these devices: .*--gate-device split:"
    ):
        opened("split:cpu=1KB", adapters)


def test_a_plan_of_gpus_is_not_computed_by_the_processor(tiny_model_dir):
    """As where other programs hold the GPUs' memory: accelerate puts all layers in the machine's."""
    load = AutoModelForCausalLM.from_pretrained
    load_split(load, "cpu:split", tiny_model_dir, output_loading_info=True)
    for device in ("cuda:split", "cuda:split:0=1KB,cpu=1GiB"):
        with pytest.raises(ModelError, match=r"has no room on the GPUs.*--gate-device split:cpu="):
            load_split(load, device, tiny_model_dir, output_loading_info=True)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"modules_to_save": ["lm_head"]}, "more than matrices of a plain LoRA"),
        ({"use_dora": True}, "more than matrices of a plain LoRA"),
        ({"init_lora_weights": "pissa"}, "more than matrices of a plain LoRA"),
        ("virtual tokens", "virtual tokens"),
    ],
)
def test_adapters_that_need_the_weights_themselves_are_refused(make_adapter, lora, config, said):
    if config == "virtual tokens":
        from peft import PrefixTuningConfig

        made = make_adapter(
            PrefixTuningConfig(num_virtual_tokens=3, task_type="CAUSAL_LM"), fill=lambda _: None
        )
    else:
        made = make_adapter(lora(**config))
    with pytest.raises(AdapterError, match=f"--gate-device split doesn't take .*{said}"):
        opened(ROOM, [made])


def test_an_adapter_with_another_number_of_tokens_is_refused(tiny_model_dir, make_adapter, lora, tmp_path):
    larger = AutoModelForCausalLM.from_pretrained(tiny_model_dir)
    larger.resize_token_embeddings(80, mean_resizing=False)
    larger.save_pretrained(tmp_path / "larger")

    def name_the_base(config):
        config["base_model_name_or_path"] = str(tiny_model_dir)

    config = lora(modules_to_save=["embed_tokens", "lm_head"])
    made = make_adapter(config, base=tmp_path / "larger", edit=name_the_base)
    with pytest.raises(AdapterError, match="another number of tokens than its base"):
        opened(ROOM, [made])


def compare_on_two_devices(dispatched, adapters):
    whole, sides, _ = opened("cpu", adapters)
    with dispatched():
        split, _, _ = opened("spare:split", adapters)
        devices = {str(each.device) for each in split.sides["baseline"].model.parameters()}
        assert devices == {"spare:0", "spare:1"}
        found = answers(split, sides), answers(split, sides, SHARED), losses(split, sides)
    assert split.plan.placements == whole.plan.placements
    assert found[0] == answers(whole, sides)
    assert found[1] == answers(whole, sides, SHARED)
    assert found[2] == pytest.approx(losses(whole, sides), rel=1e-5)
    return split


def test_layers_on_two_devices_answer_as_on_one(adapters, dispatched):
    split = compare_on_two_devices(dispatched, adapters)
    assert {each.batches for each in split.plan.placements} == {"mixed"}


def test_in_lower_precision_too_batches_become_smaller(adapters, dispatched):
    """Spare devices attend by other operations, which round otherwise: the texts may be others."""
    with dispatched():
        split, sides, _ = opened("spare:split", adapters[:1], "bfloat16")
        assert all(answers(split, sides))
    assert {(each.decoder, each.batches) for each in split.plan.placements} == {("batched", "separate")}


def test_an_adapter_of_the_output_layer_reads_what_another_device_computed(
    tied_model_dir, make_adapter, lora, dispatched
):
    config = lora(target_modules=["q_proj", "lm_head"])
    compare_on_two_devices(dispatched, [make_adapter(config, base=tied_model_dir)])
