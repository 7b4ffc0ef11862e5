"""Fields of training rows that say something about what is learnt, and that no method here reads.

Other programs read them. Were they dropped, a model would learn something else than its data says: they are
refused. Fields without such a meaning (a source, a topic, what rewards read) are left alone, and so are empty
ones.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from harness.errors import DataError

_TURNS = "write it into messages, or into a list of turns under prompt"
_REMOVE = "not read here; remove it"
# Parts of a conversation that are not in its prompt or answer.
CONVERSATION = {
    "system": _TURNS,
    "system_prompt": _TURNS,
    "history": _TURNS,
    "context": "write it into the prompt",
    "tools": _REMOVE,
    "functions": _REMOVE,
    "tool_calls": _REMOVE,
    "function_call": _REMOVE,
    "images": _REMOVE,
    "image": _REMOVE,
    "audio": _REMOVE,
    "video": _REMOVE,
    "videos": _REMOVE,
    "reasoning": _REMOVE,
    "reasoning_content": _REMOVE,
    "thinking": _REMOVE,
    "chat_template_kwargs": "give it once for all rows, in the configuration",
}
# What other programs weigh or mask the loss by.
_LOSS = dict.fromkeys(
    ("weight", "weights", "sample_weight", "loss_weight", "loss_mask", "train_mask", "margin"), _REMOVE
)
# The fields of each form of a row.
_FORMS = frozenset(
    {
        "prompt",
        "completion",
        "instruction",
        "input",
        "output",
        "messages",
        "conversations",
        "chosen",
        "rejected",
    }
)


def refuse_fields(path: Path, line: int, row: dict[str, Any], read: Collection[str]) -> None:
    """Refuse a row with a field that would be dropped although it says what to learn.

    Args:
        path: The row's file.
        line: Its line, from 1.
        row: The row.
        read: The fields of the row's form.

    Raises:
        DataError: With the first such field.
    """
    for field, value in row.items():
        if field in read or value in (None, "", [], {}):
            continue
        if field in CONVERSATION or (field in _LOSS and value != 1):
            raise DataError(path, line, f"{field}: {(CONVERSATION | _LOSS)[field]}")
        if field in _FORMS or (field == "label" and isinstance(value, bool)):
            allowed = ", ".join(sorted(read))
            raise DataError(path, line, f"{field}: a field of another form of rows (this one: {allowed})")
