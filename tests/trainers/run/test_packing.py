"""Packed rows don't see each other; where a model lets them, packing is refused."""

import pytest

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


def test_models_that_would_mix_them_are_refused(make_project, tmp_path, tiny_model_dir, capsys):
    import shutil

    from transformers import MambaConfig, MambaForCausalLM

    base = shutil.copytree(tiny_model_dir, tmp_path / "mamba")
    shape = {"vocab_size": 68, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 4}
    MambaForCausalLM(MambaConfig(**shape, pad_token_id=0, eos_token_id=3)).save_pretrained(base)
    project = make_project("sft", ROWS, base=str(base), quantization="none", packing=True)
    assert project.train() == 4
    assert "packing: mamba models let packed rows see each other; leave it out" in capsys.readouterr().err
