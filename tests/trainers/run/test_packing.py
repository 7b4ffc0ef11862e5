"""Packed rows don't see each other; where a model lets them, packing is refused."""

from types import SimpleNamespace

import pytest
import torch
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from harness.errors import SettingsError
from tests.conformance.families import FAMILIES
from tests.conformance.tiny import save_base
from trainers.run.base_model import load_base
from trainers.run.packing import refuse_mixed_rows

ROWS = [
    {"prompt": f"what is w{i} w{i + 1}", "completion": "the cat " * (1 + i % 3) + f"w{i}"} for i in range(8)
]


def losses(project, **changes):
    assert project.train(max_steps=2, batch_size=8, learning_rate=1e-3, **changes) == 0
    return [entry["loss"] for entry in project.manifest["losses"]]


def test_the_loss_is_that_of_the_same_rows_unpacked(make_project):
    project = make_project("sft", ROWS, quantization="none")
    unpacked = losses(project)
    # All rows are in the packs of one batch, so each step learns the same tokens.
    assert losses(project, packing=True, max_length=40) == pytest.approx(unpacked, rel=1e-3)
    assert losses(project, packing=True, max_length=1024) == pytest.approx(unpacked, rel=1e-3)


# Of every way to read positions: whether rows stay apart, or why not.
KINDS = {
    "llama": None,
    "gemma2": None,
    "mixtral": None,
    "gpt2": None,
    "opt": "packing: opt models let packed rows see each other; leave it out",
    "bloom": "packing: bloom models let packed rows see each other",
    "mamba": "packing: mamba models let packed rows see each other",
    "lfm2": "packing: lfm2 models can't do it",
}


@pytest.mark.parametrize("name", KINDS)
def test_models_keep_packed_rows_apart_or_are_refused(name, tmp_path):
    family = next(family for family in FAMILIES if family.name == name)
    save_base(family, tmp_path)
    model = load_base(tmp_path, "none", torch.float32)
    collate = DataCollatorForLanguageModeling(pad_token_id=0, padding_free=True)
    trainer = SimpleNamespace(model=model, data_collator=collate)
    if KINDS[name] is None:
        refuse_mixed_rows(trainer)
    else:
        with pytest.raises(SettingsError, match=KINDS[name]):
            refuse_mixed_rows(trainer)


def test_a_refusal_is_one_line_before_the_first_step(make_project, capsys, monkeypatch):
    from trainers.run import packing

    monkeypatch.setattr(packing, "_ROUNDING", -1.0)
    assert make_project("sft", ROWS, quantization="none", packing=True).train() == 4
    assert "packing: llama models let packed rows see each other" in capsys.readouterr().err


def test_virtual_tokens_come_before_one_row_only():
    model = SimpleNamespace(active_peft_config=SimpleNamespace(is_prompt_learning=True))
    with pytest.raises(
        SettingsError, match="packing: virtual tokens come before a sequence, not before each"
    ):
        refuse_mixed_rows(SimpleNamespace(model=model, data_collator=None))
