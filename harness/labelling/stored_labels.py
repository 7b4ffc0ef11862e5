"""Labels of earlier sessions, read from their file."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

from harness.errors import DataError
from harness.labelling.label import Label
from harness.types.storage import DamagedFactsError, decode, parse_json

# In the origins of stored labels that have no runs.
_RUN = re.compile(r"(?:^|, )(?:candidate|baseline) of run ([^ ,]+)(?=, |$)")


def read_labels(paths: Sequence[Path]) -> list[Label]:
    """All lines of files of labels, including replaced and removed ones.

    Raises:
        DataError: A file can't be read, or a line of it is not a label. A line that was cut short is ignored.
    """
    labels: list[Label] = []
    for path in paths:
        try:
            lines = path.read_bytes().decode("ascii").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not a file of labels"
            raise DataError(path, None, f"can't be read: {reason}") from error
        for number, line in enumerate(lines, start=1):
            try:
                if line:
                    labels.append(decode(Label, _with_runs(line)))
            except DamagedFactsError as error:
                # Its end is missing: the machine stopped while it was written, before it counted as saved.
                if _cut_short(line):
                    continue
                raise DataError(path, number, f"not a label: {error}") from error
    return labels


def _with_runs(line: str) -> str:
    """A stored line with the ids of the runs: old labels have them only in the texts for people."""
    if '"runs":' in line:
        return line
    try:
        label = parse_json(line)
        label["item"]["runs"] = [_RUN.findall(origin) for origin in label["item"]["origins"]]
    except (ValueError, LookupError, TypeError):
        # Whoever decodes the line says what is wrong with it.
        return line
    return json.dumps(label)


def _cut_short(line: str) -> bool:
    if not '{"id"'.startswith(line[:5]):
        return False
    try:
        parse_json(line)
    except ValueError:
        return True
    return False
