"""Stores weights that are equal in several copies of a base once, so that many copies fit into memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.engines.fingerprints import bare_name

if TYPE_CHECKING:
    import torch

# The different values of each weight, by the base's hash and the weight's name in the bare base.
Known = dict[tuple[str, str], "list[torch.Tensor]"]


def share_equal_weights(base_sha256: str, model: Any, known: Known) -> None:
    """Let a model use the memory of weights that are equal in other copies of its base.

    An adapter changes few weights of its copy. Nothing may be attached to the model or merged into it
    afterwards: that could write into the other copies.

    Args:
        base_sha256: The base's content hash.
        model: The copy, or PEFT's model around it; it is changed.
        known: The weights of the other copies; those of this one are added.
    """
    import torch

    for name, parameter in model.named_parameters():
        # Weights in 4 bits have a type and a state of their own.
        if type(parameter) is not torch.nn.Parameter:
            continue
        others = known.setdefault((base_sha256, bare_name(name)), [])
        for other in others:
            if (
                other.shape == parameter.shape
                and other.dtype == parameter.dtype
                and other.device == parameter.device
                and torch.equal(other, parameter.data)
            ):
                parameter.data = other
                break
        else:
            others.append(parameter.data)
