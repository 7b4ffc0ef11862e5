"""Draws the next token of many rows at once, each by a random stream of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


class OwnRandom:
    """The random numbers of one row: a token that is drawn a second time gets the same ones.

    Where memory runs out while tokens are chosen, some rows have drawn theirs, and all draw again.
    """

    def __init__(self, seed: int, device: Any = "cpu") -> None:
        """Begin.

        Args:
            seed: The row's own.
            device: Where numbers are drawn.
        """
        import torch

        self._stream = torch.Generator(device=device).manual_seed(seed)
        self._place, self._before = -1, self._stream.get_state()

    def at(self, place: int) -> torch.Generator:
        """The stream as it is for the answer's token at a place, which is the last one or the next one."""
        if place == self._place:
            self._stream.set_state(self._before)
        else:
            self._place, self._before = place, self._stream.get_state()
        return self._stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """How a row's tokens are drawn, together with those of other rows.

    Attributes:
        random: Gives each token one number; on the CPU, so that the device is never waited for.
    """

    temperature: float
    top_p: float
    random: OwnRandom


def draw_together(logits: torch.Tensor, draws: Sequence[Draw], places: Sequence[int]) -> torch.Tensor:
    """One token of each row by nucleus sampling (Holtzman et al. 2020, arXiv:1904.09751).

    A row's token is where its number falls in the summed probabilities.

    Args:
        logits: (rows, vocabulary).
        draws: Of each row.
        places: How many tokens each row's answer has before this one.

    Returns:
        Token ids, (rows,).
    """
    import torch

    def of_rows(values: Sequence[float]) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float64, device=logits.device)[:, None]

    scaled = logits.double() / of_rows([draw.temperature for draw in draws])
    probabilities = torch.softmax(scaled, dim=-1)
    numbers = of_rows(
        [
            float(torch.rand((), generator=draw.random.at(place)))
            for draw, place in zip(draws, places, strict=True)
        ]
    )
    if all(draw.top_p >= 1 for draw in draws):
        return _fallen(probabilities, numbers)
    ordered, tokens = probabilities.sort(descending=True)
    # The smallest set whose mass reaches top-p: a token stays while the mass before it is still below.
    ordered[(ordered.cumsum(-1) - ordered) >= of_rows([draw.top_p for draw in draws])] = 0
    return tokens.gather(-1, _fallen(ordered, numbers)[:, None])[:, 0]


def _fallen(shares: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """Where numbers from 0 to 1 fall in the rows' shares, (rows,); never on a share of 0."""
    import torch

    sums = shares.cumsum(-1)
    places = torch.searchsorted(sums, numbers * sums[:, -1:], right=True)[:, 0]
    return places.clamp(max=shares.shape[-1] - 1)
