from hypothesis import given
from hypothesis import strategies as st

from harness.engines.decode import pack_batches

lengths = st.lists(st.tuples(st.integers(1, 300), st.integers(1, 300)), max_size=60)


@given(lengths, st.integers(1, 2000))
def test_every_row_is_in_exactly_one_batch_within_the_budget(rows, budget):
    """Padded size is rows x (longest prompt + longest answer); only a single row may exceed the budget."""
    prompts, answers = [p for p, _ in rows], [a for _, a in rows]
    batches = pack_batches(prompts, answers, budget)
    assert sorted(row for batch in batches for row in batch) == list(range(len(rows)))
    for batch in batches:
        size = len(batch) * (max(prompts[r] for r in batch) + max(answers[r] for r in batch))
        assert size <= budget or len(batch) == 1


def test_like_lengths_share_a_batch():
    """Long rows stand first, so that memory runs out at the start or not at all."""
    assert pack_batches([10, 100, 11, 101], [5, 5, 5, 5], 220) == [[3, 1], [2, 0]]


def test_no_rows_make_no_batches():
    assert pack_batches([], [], 100) == []
