"""Labels on disk: a file that only grows, one line per label, written before the next question."""

import json
import os
import re
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeAlias

from harness.errors import DataError
from harness.labelling.items import LabelItem
from harness.types.storage import DamagedFactsError, decode, encode, parse_json

# In the origins of stored labels that have no runs.
_RUN = re.compile(r"(?:^|, )(?:candidate|baseline) of run ([^ ,]+)(?=, |$)")

Preference: TypeAlias = Literal["a", "b", "tie"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelValue:
    """A person's judgement of an item; at least one of the first three is set.

    Attributes:
        passed: Thumb up or down, of one answer.
        grade: 1 (worst) to 5, of one answer.
        preference: The better one of a pair as it was shown.
    """

    passed: bool | None = None
    grade: int | None = None
    preference: Preference | None = None
    comment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A judgement with its item, person and time.

    Attributes:
        said: None if an earlier label is removed.
        at: ISO 8601 in UTC.
    """

    id: str
    item: LabelItem
    said: LabelValue | None
    who: str
    at: str


class Journal:
    """An open file of labels."""

    def __init__(self, path: Path, file_number: int, labels: Sequence[Label]) -> None:
        """Continue after the labels in the file."""
        self.path = path
        self._file_number = file_number
        self._labels = list(labels)

    def current(self, who: str) -> dict[str, Label]:
        """A person's current labels, by item, in the order in which they were given."""
        return {label.item.id: label for label in current_labels(self._labels) if label.who == who}

    def add(self, item: LabelItem, said: LabelValue | None, who: str) -> Label:
        """Store a label; it is on the disk when this returns.

        Args:
            item: The shown item.
            said: The person's answer; None where it was skipped.
            who: The person's name.

        Raises:
            DataError: It can't be written.
        """
        at = datetime.now(UTC).isoformat(timespec="seconds")
        label = Label(id=uuid.uuid4().hex, item=item, said=said, who=who, at=at)
        line = (encode(label) + "\n").encode("ascii")
        try:
            # One write, so that a line is complete even if two people label into one file.
            written = os.write(self._file_number, line)
            os.fsync(self._file_number)
        except OSError as error:
            raise DataError(self.path, None, f"can't be written: {error.strerror}") from error
        if written < len(line):
            raise DataError(self.path, None, "can't be written: the disk is full")
        self._labels.append(label)
        return label


@contextmanager
def open_journal(path: Path) -> Iterator[Journal]:
    """Open or create a file of labels; a last line that was cut by a crash is ended.

    Raises:
        DataError: The file can't be opened, or contains something else.
    """
    labels = read_labels([path]) if path.exists() else []
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file_number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    except OSError as error:
        raise DataError(path, None, f"can't be written: {error.strerror}") from error
    try:
        if path.stat().st_size and not path.read_bytes().endswith(b"\n"):
            os.write(file_number, b"\n")
        yield Journal(path, file_number, labels)
    finally:
        os.close(file_number)


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


def current_labels(labels: Sequence[Label]) -> list[Label]:
    """The current labels: the last one of each person and item, unless it was removed."""
    last: dict[tuple[str, str], Label] = {}
    for label in labels:
        last.pop((label.who, label.item.id), None)
        last[label.who, label.item.id] = label
    return [label for label in last.values() if label.said is not None]
