"""The loop over a batch that becomes smaller writes what the loop that refills writes."""

import torch
from transformers import AutoModelForCausalLM, DynamicCache

from harness.engines.batch_decoder import decode_batch
from harness.engines.decode import Row, StreamRow, pad_rows
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
