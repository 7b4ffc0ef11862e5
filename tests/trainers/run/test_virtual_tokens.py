"""Virtual tokens begin as the values of a text: the base with them is the base behind that text."""

import pytest

from harness.errors import SettingsError
from trainers.config import PeftSettings
from trainers.run.adapters import adapter_config
from trainers.run.virtual_tokens import begin_as_text

TEXT, ROW = "w1 w2", "w3 w4 w5 w6"


@pytest.fixture
def started(tiny_model_dir):
    """A base with new virtual tokens that begin as TEXT, its tokenizer, and the bare base."""
    import peft
    from transformers import AutoModelForCausalLM, AutoTokenizer

    def start(kind, number=4, text=TEXT):
        tokenizer = AutoTokenizer.from_pretrained(tiny_model_dir)
        model, base = (AutoModelForCausalLM.from_pretrained(tiny_model_dir) for _ in range(2))
        wanted = adapter_config(PeftSettings(method=kind, virtual_tokens=number))
        model = peft.get_peft_model(model, wanted)
        begin_as_text(model, tokenizer, text)
        return model.eval(), tokenizer, base.eval()

    return start


@pytest.mark.parametrize("kind", ["prefix", "prompt"])
def test_the_first_step_is_the_base_behind_the_text(started, kind):
    """The text has two tokens, so four virtual tokens repeat it."""
    import torch

    model, tokenizer, base = started(kind)
    row = tokenizer(ROW, add_special_tokens=False, return_tensors="pt")["input_ids"]
    words = tokenizer(f"{TEXT} {TEXT}", add_special_tokens=False, return_tensors="pt")["input_ids"]
    assert words.shape[1] == 4
    with torch.no_grad():
        said = model(input_ids=row, attention_mask=torch.ones_like(row)).logits[:, -row.shape[1] :]
        expected = base(input_ids=torch.cat([words, row], dim=1)).logits[:, words.shape[1] :]
    torch.testing.assert_close(said, expected, atol=1e-4, rtol=1e-4)


def test_a_text_without_tokens_is_refused(started, monkeypatch):
    """Nothing could be repeated."""
    with pytest.raises(SettingsError, match="init_text: '' has no tokens"):
        started("prompt", text="")
