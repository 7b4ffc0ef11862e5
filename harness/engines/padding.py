"""Rows of tokens as one tensor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def pad_rows(
    rows: Sequence[Sequence[int]], pad: int, device: Any, *, left: bool = True
) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask, both (rows, longest).

    Args:
        rows: Tokens of each row.
        pad: The id that fills shorter rows.
        device: The tensors' device.
        left: Whether rows are padded before their first token, or after their last.

    Returns:
        The token ids, then the mask: 1 for a row's own tokens.
    """
    import torch

    longest = max(len(row) for row in rows)
    ids, mask = [], []
    for row in rows:
        fill, zeros, ones = [pad] * (longest - len(row)), [0] * (longest - len(row)), [1] * len(row)
        ids.append([*fill, *row] if left else [*row, *fill])
        mask.append([*zeros, *ones] if left else [*ones, *zeros])
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)
