"""What a server that was started says when it ends."""

from harness.engines.served import process


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
