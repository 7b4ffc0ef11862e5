"""Labels on disk: a file that only grows, one line per label, written before the next question."""

import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from harness.errors import DataError
from harness.labelling.items import LabelItem
from harness.labelling.label import Label, LabelValue, current_labels
from harness.labelling.stored_labels import read_labels
from harness.types.storage import encode


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
