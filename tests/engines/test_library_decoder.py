"""Models that can't be batched answer by the library's own generate, under the same rules."""

import pytest

from harness.engines.base import GenerationRequest, LossRequest
from harness.engines.open import choose_plan, describe_model, open_sides
from harness.types import GenerationSettings, Message


@pytest.fixture(scope="module")
def mamba_dir(tiny_model_dir, tmp_path_factory):
    """A tiny Mamba: its state has no place for padding, and its cache another name."""
    import torch
    from transformers import AutoTokenizer, MambaConfig, MambaForCausalLM

    directory = tmp_path_factory.mktemp("mamba")
    tokenizer = AutoTokenizer.from_pretrained(tiny_model_dir)
    torch.manual_seed(0)
    MambaForCausalLM(
        MambaConfig(
            vocab_size=len(tokenizer),
            hidden_size=64,
            num_hidden_layers=2,
            state_size=8,
            initializer_range=0.5,
            pad_token_id=0,
            bos_token_id=2,
            eos_token_id=3,
        )
    ).save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


@pytest.fixture(scope="module")
def engine(mamba_dir):
    model = describe_model(str(mamba_dir))
    return open_sides({"candidate": model}, choose_plan("float32", "cpu", 4096, [model]))


def ask(engine, *prompts, on_text=None, **settings):
    asked = [
        GenerationRequest(
            key=f"s/{place}",
            side="candidate",
            messages=(Message(role="user", content=prompt),),
            settings=GenerationSettings(**{"max_new_tokens": 12, **settings}),
        )
        for place, prompt in enumerate(prompts)
    ]
    found = {}
    engine.generate(asked, found.update, on_text)
    return [found[place] for place in range(len(asked))]


def test_a_recurrent_model_answers_as_the_bare_script(mamba_dir, engine, bare_texts, engine_texts):
    texts, placed = engine_texts(mamba_dir)
    assert texts["candidate-0"] == bare_texts(mamba_dir)
    assert (placed["candidate-0"].decoder, placed["candidate-0"].batches) == ("library", "single")


def test_limits_stops_and_streams_are_the_same(engine):
    (full,) = ask(engine, "what is one")
    words = full.text.split()
    assert len(words) > 3
    (short,) = ask(engine, "what is one", max_new_tokens=2)
    assert (short.text.split(), short.stop_reason, short.completion_tokens) == (words[:2], "length", 2)
    (stopped,) = ask(engine, "what is one", stop=(words[3],))
    assert (stopped.text.split(), stopped.stop_reason) == (words[: words.index(words[3])], "stop")
    seen = []
    (streamed,) = ask(engine, "what is one", on_text=lambda _, text: seen.append(text))
    assert streamed.text == full.text
    assert seen[0].split() == words[:1]
    assert seen[-1] == full.text


def test_a_sample_is_drawn_from_its_own_stream(engine):
    first = ask(engine, "what is one", temperature=1.5, seed=3)
    assert first[0].text == ask(engine, "what is one", temperature=1.5, seed=3)[0].text
    assert first[0].text != ask(engine, "what is one", temperature=1.5, seed=4)[0].text


def test_losses_equal_the_models_own(mamba_dir, engine):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    text = "the cat sat on the mat"
    found = {}
    engine.losses([LossRequest(key="p", side="candidate", text=text)], found.update)
    model = AutoModelForCausalLM.from_pretrained(mamba_dir).eval()
    ids = torch.tensor(
        [[2, *AutoTokenizer.from_pretrained(mamba_dir)(text, add_special_tokens=False)["input_ids"]]]
    )
    with torch.no_grad():
        expected = float(model(input_ids=ids, labels=ids).loss)
    assert found[0].nats_per_token == pytest.approx(expected, rel=1e-5)
    assert found[0].tokens == 6
