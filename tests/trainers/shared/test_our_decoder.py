"""GRPO and RLOO sample with the gate's decoder: the same distribution as TRL's loop, whose place it takes."""

import pytest
import torch
from scipy.stats import chisquare
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig
from transformers.generation import GenerationMixin

from harness.errors import SettingsError
from harness.types import GenerationSettings
from trainers.measure.sampling import answering, sample_tokens

PROMPTS = [{"prompt": f"what is w{i}"} for i in range(4)]
SHORT = {
    "quantization": "none",
    "rewards": [{"type": "regex", "pattern": "w4[0-9]", "full": False}],
    "num_generations": 4,
    "max_completion_length": 6,
    "max_steps": 2,
    "save_steps": 1,
}
ANSWERS = 3000


@pytest.fixture(scope="module")
def model_and_tokenizer(tiny_model_dir):
    tokenizer = AutoTokenizer.from_pretrained(tiny_model_dir)
    return AutoModelForCausalLM.from_pretrained(tiny_model_dir).eval(), tokenizer


def nucleus(logits, temperature, top_p):
    """The distribution that both loops should draw from."""
    probabilities = torch.softmax(logits.double() / temperature, -1)
    ordered, tokens = probabilities.sort(descending=True)
    ordered[(ordered.cumsum(-1) - ordered) >= top_p] = 0
    return torch.zeros_like(probabilities).scatter(0, tokens, ordered / ordered.sum())


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (2.0, 0.8)])
def test_tokens_are_drawn_from_the_distribution_of_generate(model_and_tokenizer, temperature, top_p):
    model, tokenizer = model_and_tokenizer
    prompt = tokenizer("what is w1")["input_ids"]
    expected = nucleus(model(torch.tensor([prompt])).logits[0, -1].detach(), temperature, top_p)
    settings = GenerationSettings(max_new_tokens=1, temperature=temperature, top_p=top_p)
    ours = sample_tokens(model, tokenizer, [prompt] * ANSWERS, settings, "0")
    torch.manual_seed(0)
    theirs = model.generate(
        input_ids=torch.tensor([prompt] * ANSWERS),
        attention_mask=torch.ones(ANSWERS, len(prompt), dtype=torch.long),
        generation_config=GenerationConfig(
            max_new_tokens=1, do_sample=True, temperature=temperature, top_p=top_p, top_k=0, pad_token_id=0
        ),
    )[:, -1].tolist()
    for drawn in ([tokens[0] for tokens in ours], theirs):
        counts = torch.bincount(torch.tensor(drawn), minlength=len(expected))
        assert counts[expected == 0].sum() == 0
        often = expected * ANSWERS >= 5
        rest = [counts[~often].sum().item()] if (expected[~often].sum() * ANSWERS) > 1 else []
        rest_expected = [expected[~often].sum().item() * ANSWERS] if rest else []
        observed = counts[often].tolist() + rest
        wanted = (expected[often] * ANSWERS).tolist() + rest_expected
        scale = sum(observed) / sum(wanted)
        assert chisquare(observed, [each * scale for each in wanted]).pvalue > 1e-3


def test_answers_depend_on_their_key_alone(model_and_tokenizer):
    model, tokenizer = model_and_tokenizer
    prompts = [tokenizer(f"what is w{i}")["input_ids"] for i in range(3)]
    settings = GenerationSettings(max_new_tokens=8, temperature=1.0)
    first = sample_tokens(model, tokenizer, prompts, settings, "1/0/0")
    assert sample_tokens(model, tokenizer, prompts[:2], settings, "1/0/0") == first[:2]
    assert sample_tokens(model, tokenizer, prompts, settings, "2/0/0") != first


@pytest.fixture
def asked(monkeypatch):
    """How often transformers' generate was called."""
    calls = []
    plain = GenerationMixin.generate
    monkeypatch.setattr(
        GenerationMixin, "generate", lambda self, *a, **k: (calls.append(1), plain(self, *a, **k))[1]
    )
    return calls


@pytest.mark.parametrize("method", ["grpo", "rloo"])
def test_the_gates_decoder_answers_in_training(make_project, pairs, asked, method):
    """And generate only where a key of TRL asks for what it alone does."""
    others = {}
    if method == "rloo":
        assert make_project("reward", pairs, max_steps=1, output="judge", quantization="none").train() == 0
        others = {"reward_model": "judge"}
    project = make_project(method, PROMPTS, **SHORT, **others)
    assert project.train() == 0
    assert not asked
    assert project.train(trl={"top_k": 5}) == 0
    assert len(asked) == 2


def test_a_resumed_training_samples_what_it_would_have_sampled(make_project, tmp_path):
    project = make_project("grpo", PROMPTS, **{**SHORT, "max_steps": 3})
    assert project.train() == 0
    samples = tmp_path / "out.work" / "samples.jsonl"
    whole = samples.read_text()
    for number in (2, 3):
        for file in (tmp_path / "out.work" / "checkpoints" / f"checkpoint-{number}").iterdir():
            file.unlink()
    assert project.train("--resume") == 0
    assert samples.read_text() == whole


def test_logits_that_are_no_numbers_are_one_line(model_and_tokenizer):
    model, _ = model_and_tokenizer
    model.train()
    with pytest.raises(SettingsError, match="learning_rate: the model's logits became NaN"), answering(model):
        raise ArithmeticError
    assert model.training
    model.eval()
