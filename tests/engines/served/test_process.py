"""A server is started for one base, and says why it ends."""

import shutil

import pytest

from harness.engines.open import describe_model
from harness.engines.served import process
from harness.errors import ModelError


def test_a_base_that_was_written_anew_gets_a_server_of_its_own(vllm_command, tiny_model_dir, tmp_path):
    """The first one has the weights of then, which would answer under the hash of the new ones."""
    from safetensors.torch import load_file, save_file

    base = shutil.copytree(tiny_model_dir, tmp_path / "base")
    before = describe_model(str(base))
    url = process.start_server(before, [], "")
    (known,) = process._STARTED.values()
    assert known.log.exists()
    assert process.start_server(before, [], "") == url
    weights = load_file(base / "model.safetensors")
    save_file(
        {name: 2 * tensor for name, tensor in weights.items()}, base / "model.safetensors", {"format": "pt"}
    )
    after = describe_model(str(base))
    assert after.base_sha256 != before.base_sha256
    assert process.start_server(after, [], "") != url
    assert len(process._STARTED) == 1
    assert not known.log.parent.exists()  # a server that was ended leaves nothing behind


def test_a_base_that_changes_while_its_server_starts_is_refused(
    vllm_command, tiny_model_dir, tmp_path, monkeypatch
):
    """It is not known which files the server has read; its answers are stored under those of before."""
    base = shutil.copytree(tiny_model_dir, tmp_path / "base")
    model, wait, started = describe_model(str(base)), process._wait_for, []

    def rewritten(port, server, log):
        wait(port, server, log)
        started.append(server)
        (base / "generation_config.json").write_text('{"eos_token_id": 5}')

    monkeypatch.setattr(process, "_wait_for", rewritten)
    with pytest.raises(ModelError, match="base: its files changed before they were loaded"):
        process.start_server(model, [], "")
    assert not process._STARTED
    assert started[0].poll() is not None


def test_why_a_server_ended_is_its_first_error():
    """As vLLM 0.25.1 writes it: the process that serves only says that its engine failed."""
    log = """(APIServer pid=761) INFO 11-27 12:26:12 [api_utils.py:339] version 0.25.1
(EngineCore pid=1297) ERROR 11-27 12:26:55 [core.py:1231] ModuleNotFoundError: No module named 'flashinfer'
(EngineCore pid=1297) Traceback (most recent call last):
(EngineCore pid=1297)     raise RuntimeError("not this line")
(EngineCore pid=1297) ModuleNotFoundError: No module named 'flashinfer'
(APIServer pid=761) Traceback (most recent call last):
(APIServer pid=761) RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}
"""
    assert process._cause(log) == "ModuleNotFoundError: No module named 'flashinfer'"
    assert process._cause("vllm: error: unrecognized arguments: --x\n\n") == (
        "vllm: error: unrecognized arguments: --x"
    )
    assert process._cause("torch.OutOfMemoryError: CUDA out of memory\nbye") == (
        "torch.OutOfMemoryError: CUDA out of memory"
    )
    assert process._cause("(Worker_TP0 pid=3) AssertionError\n") == "AssertionError"
    assert process._cause(" \n") == "it said nothing"
