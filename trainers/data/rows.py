"""Training rows; an invalid one is reported with file and line."""

import hashlib
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from harness.errors import DataError
from harness.types.training import DataNotes
from trainers.data.sources import read_source
from tunegate.printable import shown_value

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Examples:
    """The training files' usable content.

    Attributes:
        rows: The rows in the form of TRL's trainer of the method.
        places: File and line of each row.
        sha256: Hash of all files' bytes, one after the other.
        leakage: The result of the search for golden cases in the rows; None before the search.
        overlong: How many rows were longer than ``max_length`` and ``dropped``, or ``cut`` to it.
        repeated: Fields that were left out, as they say once more what the row says, and of how many rows.
    """

    rows: list[Row]
    places: list[tuple[Path, int]]
    sha256: str
    leakage: Mapping[str, Any] | None = None
    overlong: Mapping[str, int] = field(default_factory=dict)
    repeated: Mapping[str, int] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The number of rows and the files, for the terminal."""
        rows = f"{len(self.rows)} rows of {', '.join(dict.fromkeys(str(path) for path, _ in self.places))}"
        rows += "".join(f", {count} too long and {what}" for what, count in self.overlong.items())
        if self.repeated:
            rows += f", {repeated_title(self.repeated)}"
        if not self.leakage or not self.leakage["cases"]:
            return f"{rows}; no golden set to look for in them" if self.leakage else rows
        found = {leak["case"] for leak in self.leakage["found"]}
        skipped = self.leakage["embedding_skipped"]
        note = f" (embeddings skipped: {skipped})" if skipped else ""
        return f"{rows}; {len(found) or 'none'} of {self.leakage['cases']} golden cases among them{note}"

    @property
    def notes(self) -> DataNotes:
        """The manifest's notes on the data."""
        return DataNotes(
            paths=tuple(dict.fromkeys(str(path) for path, _ in self.places)),
            sha256=self.sha256,
            rows=len(self.rows),
            leakage=self.leakage,
            overlong=self.overlong,
        )


# The key under which a row that is made tells the fields that say once more what it says.
REPEATED = "repeated fields"


def repeated_title(repeated: Mapping[str, int]) -> str:
    """What was left out of rows as it says once more what they say.

    Args:
        repeated: How many rows have each field.
    """
    fields = ", ".join(f"{name} ({count})" for name, count in repeated.items())
    return f"left out as said twice: {fields}"


def read_rows(
    paths: Sequence[Path],
    convert: Callable[[Path, int, Row], Row],
    formats: str,
    max_rows: int | None = None,
) -> Examples:
    """Read rows, each an object.

    Args:
        paths: The files, or data sets of the hub.
        convert: Makes the trainer's row from a file's row; called with path, line and object.
        formats: The allowed keys, for messages.
        max_rows: Stop after so many.

    Raises:
        DataError: A file can't be read or has no row, a row is not an object, or ``convert`` refuses it.
    """
    rows: list[Row] = []
    places: list[tuple[Path, int]] = []
    digest = hashlib.sha256()
    repeated: Counter[str] = Counter()
    for path in paths:
        source = read_source(path)
        digest.update(source.content)
        before = len(rows)
        left = None if max_rows is None else max_rows - len(rows)
        for number, row in islice(source.rows, None if left is None else min(left, sys.maxsize)):
            if not isinstance(row, dict):
                problem = f"found a {type(row).__name__} (allowed: an object with {formats})"
                raise DataError(path, number, problem)
            made = convert(path, number, row)
            repeated.update(made.pop(REPEATED, ()))
            rows.append(made)
            places.append((path, number))
        if len(rows) == before and (max_rows is None or len(rows) < max_rows):
            raise DataError(path, None, f"contains no row (allowed: rows with {formats})")
    return Examples(rows=rows, places=places, sha256=digest.hexdigest(), repeated=dict(repeated))


def text_of(path: Path, line: int, row: Row, key: str) -> str:
    """A text that isn't empty.

    Args:
        path: The row's file, for messages.
        line: Its line, from 1.
        row: The row.
        key: Where the text is.

    Raises:
        DataError: It is missing, empty or not a text.
    """
    value = row.get(key)
    if not isinstance(value, str) or not value.strip():
        raise DataError(path, line, f"{key}: found {shown_value(value)} (allowed: a text that isn't empty)")
    return value
