"""The loop over a batch that becomes smaller writes what the loop that refills writes."""

import pytest
import torch
from transformers import AutoModelForCausalLM, DynamicCache, FalconH1Config, FalconH1ForCausalLM
from transformers.cache_utils import DYNAMIC_LAYER_TYPE_MAPPING, DynamicLayer, DynamicSlidingWindowLayer

from harness.engines.batch_decoder import decode_batch
from harness.engines.decode import Row, StreamRow, pad_rows
from harness.engines.side import can_lose_rows
from harness.engines.stream import Stream


class TokenCount:
    """Ends after a number of tokens."""

    def __init__(self, limit):
        self.tokens, self.end, self.limit = [], None, limit

    def take(self, token):
        self.tokens.append(token)
        return "length" if len(self.tokens) == self.limit else ""


def test_both_loops_write_the_same_tokens(tiny_model_dir):
    model = AutoModelForCausalLM.from_pretrained(tiny_model_dir, dtype=torch.float32).eval()
    prompts, limits = [[5, 6, 7, 8, 9], [5], [5, 6, 7], [9, 5]], [3, 12, 7, 1]
    first = [TokenCount(limit) for limit in limits]
    kept = []
    with torch.inference_mode():
        decode_batch(
            model,
            DynamicCache(config=model.config),
            *pad_rows(prompts, 0, "cpu"),
            [Row(watch=watch) for watch in first],
            select_rows=kept.append,
        )
    assert [len(each) for each in kept] == [3, 2, 1]  # ended rows leave the batch
    second = [TokenCount(limit) for limit in limits]
    stream = Stream(
        model,
        [None],
        lambda: DynamicCache(config=model.config),
        None,
        device="cpu",
        budget=20,
        kept={},
    )
    stream.add(
        [
            StreamRow(
                index=place,
                prompt=prompt,
                limit=limits[place],
                adapter=None,
                shared=0,
                begin=lambda _clock, watch=second[place]: Row(watch=watch),
            )
            for place, prompt in enumerate(prompts)
        ]
    )
    with torch.inference_mode():
        stream.write(lambda _row, _reason: None)
    assert [each.tokens for each in first] == [each.tokens for each in second]


class HoldsMore(DynamicSlidingWindowLayer):
    """As some models' own layers: one more state, and rows are reordered in it too, but not removed."""

    def reorder_cache(self, beam_idx):
        super().reorder_cache(beam_idx)


class RemovesToo(HoldsMore):
    def batch_select_indices(self, indices):
        super().batch_select_indices(indices)


KINDS = {
    **{name: kind for name, kind in DYNAMIC_LAYER_TYPE_MAPPING.items() if "compress" not in name},
    "own": HoldsMore,
    "own, whole": RemovesToo,
}
PARTLY = {"conv", "linear_attention", "hybrid", "hybrid_sliding", "own"}


@pytest.mark.parametrize("name", KINDS)
def test_rows_leave_only_a_cache_that_can_remove_them_from_all_it_holds(name):
    """A layer that attends and remembers inherits the function of its keys and values alone."""
    cache = DynamicCache()
    assert can_lose_rows(cache)
    cache.layers = [DynamicLayer(), KINDS[name](sliding_window=4)]
    assert can_lose_rows(cache) is (name not in PARTLY)
    assert not can_lose_rows(object())


def test_rows_of_a_model_that_attends_and_remembers_stay_until_the_batch_ends():
    """The step after the first row had left failed, and the batch was halved down to single rows."""
    torch.manual_seed(3)
    config = FalconH1Config(
        vocab_size=40,
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        mamba_d_ssm=32,
        mamba_n_heads=2,
        mamba_d_head=16,
        mamba_d_state=8,
        mamba_n_groups=1,
        max_position_embeddings=64,
        initializer_range=0.5,
    )
    model = FalconH1ForCausalLM(config).eval()

    def written(prompts, limits):
        kept, watches = [], [TokenCount(limit) for limit in limits]
        with torch.inference_mode():
            decode_batch(
                model,
                DynamicCache(config=config),
                *pad_rows(prompts, 0, "cpu"),
                [Row(watch=watch) for watch in watches],
                select_rows=kept.append,
            )
        assert kept == []
        return [watch.tokens for watch in watches]

    prompts, limits = [[5, 6, 7, 8, 9], [5], [5, 6, 7], [9, 5]], [3, 12, 7, 1]
    alone = [written([prompt], [limit])[0] for prompt, limit in zip(prompts, limits, strict=True)]
    assert written(prompts, limits) == alone
