"""Rotary positions whose angles depend on the longest text of a batch."""

from collections.abc import Iterator, Mapping
from typing import Any

# Their angles change once a text is longer than those of the training, for all rows of its batch; generate
# then also reads a text again from its start. Test prompts are too short to show it.
_BY_LENGTH = ("longrope", "dynamic")


def turns_with_length(config: Any) -> bool:
    """Whether a model's angles depend on the length, so that each text must be answered alone by the library.

    Args:
        config: The model's configuration.
    """
    text = config.get_text_config(decoder=True)
    given = getattr(text, "rope_parameters", None) or getattr(text, "rope_scaling", None)
    return any(kind in str(name) for name in _rope_types(given) for kind in _BY_LENGTH)


def _rope_types(given: Any) -> Iterator[Any]:
    """The types, of all layers or of each kind of layer."""
    if isinstance(given, Mapping):
        yield given.get("rope_type", given.get("type"))
        for value in given.values():
            yield from _rope_types(value)
