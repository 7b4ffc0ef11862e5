"""The bundled passages of general text, on which cross-entropy is compared with the baseline's."""

from collections.abc import Mapping
from pathlib import Path

_TITLE = "# "


def load_passages() -> Mapping[str, str]:
    """Each passage by its title; line breaks inside a paragraph are removed."""
    passages: dict[str, str] = {}
    title = ""
    for line in Path(__file__).with_name("general_text.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith(_TITLE):
            title = line.removeprefix(_TITLE).strip()
            passages[title] = ""
        elif title:
            passages[title] = f"{passages[title]} {line.strip()}".strip()
    return passages
