"""Names of models for people, and identifiers of weights."""

from pathlib import PurePath

from harness.types import ModelRef
from reports.html.text import one_line

_SHA_DIGITS = 10


def short_label(model: ModelRef) -> str:
    """A model's short name; for an absolute path the last part (the manifest has the whole path)."""
    return _last_part(model.label)


def _last_part(label: str) -> str:
    return one_line(PurePath(label).name if PurePath(label).is_absolute() else label) or one_line(label)


def model_detail(model: ModelRef) -> str:
    """The shortened hashes of a model's weights."""
    if model.adapter_sha256 is None:
        return f"sha256 {model.base_sha256[:_SHA_DIGITS]}"
    return f"adapter sha256 {model.adapter_sha256[:_SHA_DIGITS]} on {_last_part(model.base_model)}"
