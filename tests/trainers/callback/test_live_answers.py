"""How many tokens the model in training answers at a time."""

from types import SimpleNamespace

import pytest

from trainers.callback import live_answers

LLAMA_8B = {"num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "hidden_size": 4096}
GIB = 1024**3


class InTraining:
    """A model as the callback sees it."""

    def __init__(self, device="cuda", config=LLAMA_8B):
        self.device = SimpleNamespace(type=device)
        self.config = SimpleNamespace(to_dict=lambda: config)


@pytest.fixture
def leave_free(monkeypatch):
    def leave(size):
        monkeypatch.setattr(live_answers, "_free_bytes", lambda _: size)

    return leave


@pytest.mark.parametrize(
    ("free", "tokens"),
    [
        (70 * GIB, 16_384),  # as a gate: 2 GiB of keys and values
        (4 * GIB, 16_384),
        (3 * GIB, 8192),  # half of it is for keys and values, 131 072 bytes a token
        (2 * GIB, 8192),
        (1 * GIB, 4096),
        (GIB // 100, 4096),  # never fewer than on a processor
    ],
)
def test_on_a_gpu_it_is_a_gate_s_number_as_far_as_training_leaves_room(leave_free, free, tokens):
    leave_free(free)
    assert live_answers._batch_tokens(InTraining(), "bfloat16") == tokens


def test_both_sides_and_all_looks_have_one_number(leave_free):
    """The optimiser's memory comes after the base's answers."""
    leave_free(70 * GIB)
    model = InTraining()
    before = live_answers._batch_tokens(model, "bfloat16")
    leave_free(GIB)
    assert live_answers._batch_tokens(model, "bfloat16") == before
    assert live_answers._batch_tokens(InTraining(), "bfloat16") < before


def test_a_processor_has_its_own_number(leave_free):
    leave_free(70 * GIB)
    assert live_answers._batch_tokens(InTraining(device="cpu"), "float32") == 4096
