"""The keys and values of the rows under way take the memory of these rows."""

import torch
from transformers import DynamicCache, LlamaConfig

from harness.engines.stream import _Store


def test_long_rows_that_stay_of_many_take_the_memory_of_few():
    store = _Store(DynamicCache(config=LlamaConfig(num_hidden_layers=1)))
    pasts = [[(torch.full((1, 1, 4, 2), row),) * 2] for row in range(1, 21)]
    store.reserve(len(pasts), 4, pasts[0])
    for past in pasts:
        store.put(past, 4)
    for _ in range(18):
        store.remove(0, 4)
    for _ in range(200):
        store.begin_step()
        store.end_step()
    (layer,) = store.layers
    assert (layer.keys.shape[0], store.rows, store.span) == (2, 2, 204)
    held = layer.keys[:, 0, store.end - 204 : store.end - 200, 0].tolist()
    assert sorted(held) == [[2.0] * 4, [3.0] * 4]
    assert store.mask().sum().item() == 2 * 204
