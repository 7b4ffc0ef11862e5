"""Models are loaded one at a time, whatever thread asks for them."""

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.engines.open import choose_plan, describe_model, open_sides


@pytest.fixture
def tied_model_dir(tmp_path, tiny_model_dir):
    """A tiny model whose output head is its input embeddings, as SmolLM2's is."""
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    config = LlamaConfig.from_pretrained(tiny_model_dir)
    config.tie_word_embeddings = True
    LlamaForCausalLM(config).save_pretrained(tmp_path / "tied")
    AutoTokenizer.from_pretrained(tiny_model_dir).save_pretrained(tmp_path / "tied")
    return tmp_path / "tied"


def test_threads_that_load_at_once_get_whole_models(tied_model_dir):
    """Transformers switches the tying of weights off for the whole class while it loads one model."""
    from transformers import PreTrainedModel

    model = describe_model(str(tied_model_dir))
    plan = choose_plan("float32", "cpu", 512, [model])
    tie = PreTrainedModel.tie_weights
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(4) as pool:
            loaded = list(pool.map(lambda _: open_sides({"candidate": model}, plan), range(24)))
    finally:
        sys.setswitchinterval(interval)
        left, PreTrainedModel.tie_weights = PreTrainedModel.tie_weights, tie
    assert left is tie
    for engine in loaded:
        weights = engine._sides["candidate"].model
        assert weights.get_output_embeddings().weight is weights.get_input_embeddings().weight
