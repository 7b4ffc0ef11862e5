"""Reads files of other tools, and single values in them, with the place in each message."""

import gzip
import json
import math
import zlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.errors import DataError
from harness.types import LARGEST_VALUE
from harness.types.storage import parse_json

_LONGEST_SHOWN = 40
# More than any answer takes, in seconds or tokens.
_MOST = 1e12
# By the first two bytes of a file.
_REMEDIES = {
    **dict.fromkeys((b"\xff\xfe", b"\xfe\xff"), "convert it, as by iconv -f utf-16 -t utf-8"),
    b"\x1f\x8b": "it is compressed: give its name the ending .gz",
}


def plain_suffix(path: Path) -> str:
    """A name's ending in small letters; of a compressed file, the one before."""
    name = path.with_suffix("") if path.suffix == ".gz" else path
    return name.suffix.lower()


def head_of(path: Path, size: int = 4000) -> str:
    """How a file begins, unpacked and without a byte order mark.

    Args:
        path: The file.
        size: How many bytes.

    Returns:
        The text; empty for what is no file or can't be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(size)
        if path.suffix == ".gz":
            # Also of a file that is cut off.
            head = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(head)
    except (OSError, zlib.error):
        return ""
    is_wide = head[:2] in {b"\xff\xfe", b"\xfe\xff"}
    return head.decode("utf-16" if is_wide else "utf-8-sig", errors="ignore")


def read_text(path: Path) -> str:
    """A file's text; a file whose name ends in .gz is unpacked.

    Raises:
        DataError: It can't be read, is cut, or is not UTF-8.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        return content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(path, None, f"cut off, or not gzip: {error}") from error
    except OSError as error:
        raise DataError(path, None, f"can't be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        problem = f"not UTF-8 text: {error.reason} at byte {error.start}"
        if remedy := _REMEDIES.get(content[:2]):
            raise DataError(path, None, f"{problem}: {remedy}") from error
        raise DataError(path, content[: error.start].count(b"\n") + 1, problem) from error


def read_json(path: Path, text: str | bytes | None = None, name: str = "") -> Any:
    """A JSON file's value.

    Args:
        path: The file.
        text: Its content, if it was read before.
        name: A part of the file, such as a member of an archive.

    Raises:
        DataError: It is cut or not JSON; the message names the line.
    """
    try:
        return parse_json(read_text(path) if text is None else text)
    except json.JSONDecodeError as error:
        where = f"{name}: " if name else ""
        raise DataError(path, error.lineno, f"{where}{_broken(error)}") from error
    except ValueError as error:
        raise DataError(path, None, f"{name}: not JSON: {error}" if name else f"not JSON: {error}") from error


def read_json_lines(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The objects of a JSON Lines file, each with its 1-based line.

    Raises:
        DataError: A line is cut, not JSON, or no object; or the file is empty.
    """
    count = 0
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        count += 1
        yield number, json_object(path, number, line)
    if not count:
        raise DataError(path, None, "it is empty: log again")


def json_object(path: Path, number: int, line: str) -> Mapping[str, Any]:
    """The object in one line of a file.

    Args:
        path: The file.
        number: The line's number, for the message.
        line: Its text.

    Returns:
        The object, by key.

    Raises:
        DataError: The line is cut, not JSON, or no object.
    """
    try:
        value = parse_json(line, once=True)
    except json.JSONDecodeError as error:
        raise DataError(path, number, _broken(error)) from error
    except ValueError as error:
        raise DataError(path, number, f"not JSON: {error}") from error
    if not isinstance(value, dict):
        raise DataError(path, number, f"not an object: {shown(value)}")
    return value


def _broken(error: json.JSONDecodeError) -> str:
    end = error.pos >= len(error.doc.rstrip()) or error.msg.startswith("Unterminated string")
    return f"cut off in the middle: log again ({error.msg})" if end else f"not JSON: {error.msg}"


def number_of(value: object, place: tuple[Path, int | None], what: str) -> float:
    """A finite number that is not too large to be compared.

    Args:
        value: What the log has; true is 1 and false 0.
        place: File and line, for the message.
        what: Its name in the message.

    Raises:
        DataError: It is something else.
    """
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise DataError(*place, f"{what}: {shown(value)} is not a number") from None
    if not isinstance(value, int | float):
        raise DataError(*place, f"{what}: {shown(value)} is not a number")
    if LARGEST_VALUE < abs(value) < math.inf:
        raise DataError(*place, f"{what}: a number beyond {LARGEST_VALUE:g}, the largest that is compared")
    if not math.isfinite(value):
        raise DataError(*place, f"{what}: {value} is not a number: leave it out, with the reason in 'error'")
    return float(value)


def count_of(value: object, place: tuple[Path, int | None], what: str) -> float:
    """A finite number of at least 0, such as a time.

    Args:
        value: What the log has; nothing is 0.
        place: File and line, for the message.
        what: Its name in the message.

    Raises:
        DataError: It is something else.
    """
    found = 0.0 if value is None else number_of(value, place, what)
    if found < 0:
        raise DataError(*place, f"{what}: {shown(value)} is below 0: leave it out if it is unknown")
    if found > _MOST:
        raise DataError(*place, f"{what}: {shown(value)} is too much: leave it out if it is unknown")
    return found


def truth_of(value: object, place: tuple[Path, int | None], what: str) -> bool:
    """True or false, also as 0, 1 or a word.

    Args:
        value: What the log has.
        place: File and line, for the message.
        what: Its name in the message.

    Raises:
        DataError: It is something else.
    """
    words = {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}
    found = words.get(str(value).strip().lower())
    if found is None:
        raise DataError(*place, f"{what}: {shown(value)} is neither true nor false")
    return found


def entry(facts: object, key: str, kind: type | tuple[type, ...], place: tuple[Path, int | None]) -> Any:
    """A required entry of a mapping.

    Args:
        facts: The mapping.
        key: The entry's name.
        kind: Its allowed types.
        place: File and line, for the message.

    Raises:
        DataError: It is missing or of another type: the log is of another version.
    """
    if not isinstance(facts, Mapping) or key not in facts:
        raise DataError(*place, f"{key!r} is missing: cut, or written by a version that is not read")
    kinds = kind if isinstance(kind, tuple) else (kind,)
    is_truth = isinstance(facts[key], bool) and bool not in kinds  # which Python takes for a number
    if is_truth or not isinstance(facts[key], kinds):
        raise DataError(*place, f"{key}: {shown(facts[key])} is of another type: a version that is not read")
    return facts[key]


def objects_of(
    facts: object, key: str, place: tuple[Path, int | None], what: str = ""
) -> list[Mapping[str, Any]]:
    """A required list of objects.

    Args:
        facts: The mapping that has it.
        key: Its name.
        place: File and line, for the message.
        what: The tool's word for one of them; empty: the key.

    Raises:
        DataError: It is missing, or one of them is something else.
    """
    found = entry(facts, key, list, place)
    for number, each in enumerate(found, start=1):
        if not isinstance(each, dict):
            raise DataError(*place, f"{what or key} {number}: not an object: {shown(each)}; log again")
    return list(found)


def shown(value: object) -> str:
    """A value for a message, not too long."""
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 1]}…"


def iso_of(seconds: float) -> str:
    """Seconds since 1970 as ISO 8601 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def changed_at(path: Path) -> str:
    """When a file was last changed, for a log without a time."""
    return iso_of(path.stat().st_mtime)
