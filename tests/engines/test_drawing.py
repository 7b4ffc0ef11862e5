"""Tokens of many rows drawn at once."""

import pytest
import torch

from harness.engines.drawing import Draw, OwnRandom, draw_together

SHARES = torch.tensor([0.1, 0.0, 0.6, 0.3])


def draws(seeds, temperature=1.0, top_p=1.0):
    return [Draw(temperature=temperature, top_p=top_p, random=OwnRandom(seed)) for seed in seeds]


def shares_of(tokens):
    return torch.bincount(tokens, minlength=4) / len(tokens)


@pytest.mark.parametrize(
    ("temperature", "top_p", "expected"),
    [
        (1.0, 1.0, SHARES),
        (1.0, 0.7, torch.tensor([0, 0, 2 / 3, 1 / 3])),  # 0.6 is below 0.7, so the next token stays as well
        (1.0, 0.5, torch.tensor([0, 0, 1.0, 0])),
        (0.5, 1.0, SHARES**2 / (SHARES**2).sum()),
    ],
)
def test_each_token_has_its_share(temperature, top_p, expected):
    found = draw_together(SHARES.log().expand(4000, 4), draws(range(4000), temperature, top_p), [0] * 4000)
    assert shares_of(found) == pytest.approx(expected, abs=0.03)
    assert not (found == 1).any()


def test_a_row_has_its_own_settings_and_its_own_stream():
    greedy = draws([0], top_p=0.01)
    alone = [int(draw_together(SHARES.log()[None], draws([7]), [0])[0]) for _ in range(3)]
    assert len(set(alone)) == 1
    together = draw_together(SHARES.log().expand(2, 4), [*greedy, *draws([7])], [0, 0])
    assert together.tolist() == [2, alone[0]]


def test_a_token_that_is_drawn_again_gets_the_same_number():
    """Memory may run out after some rows have drawn their tokens."""
    random, once = OwnRandom(5), torch.Generator().manual_seed(5)
    numbers = [float(torch.rand((), generator=once)) for _ in range(3)]
    found = [float(torch.rand((), generator=random.at(place))) for place in (0, 0, 1, 2, 2, 2)]
    assert found == [numbers[place] for place in (0, 0, 1, 2, 2, 2)]
