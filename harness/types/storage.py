"""Stored files: frozen dataclasses as JSON and back, exactly; files that are written whole or not at all.

Everything except ASCII is escaped, so that text that UTF-8 can't represent (a lone surrogate in an answer, a
non-text byte of a path) is kept. Numbers that are not finite are written as Python reads them. JSON of others
may be wrong in many ways: each is one kind of error, in one line. A file has one writer at a time.
"""

import contextlib
import errno
import json
import math
import os
import re
import secrets
import shutil
import stat
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

if sys.platform != "win32":
    import fcntl

_PART = re.compile(r"\.tunegate-[0-9a-f]{16}\.part")
_LEFT_AFTER_S = 3600


def parse_json(
    text: str | bytes, *, parse_constant: Callable[[str], Any] | None = None, once: bool = False
) -> Any:
    """The value of a JSON text.

    Args:
        text: The text.
        parse_constant: Called with NaN or an infinity, which may be refused by a ValueError.
        once: No key may occur twice in an object.

    Raises:
        ValueError: It is not JSON, too deep, not UTF-8, or has a number with thousands of digits.
    """
    try:
        return json.loads(text, parse_constant=parse_constant, object_pairs_hook=_each_once if once else None)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except json.JSONDecodeError:
        raise
    except ValueError as error:
        if "digits" in str(error):
            raise ValueError("a number has thousands of digits") from error
        raise


def numbers_in(value: object, key: str = "") -> Iterator[tuple[str, float]]:
    """All numbers of a JSON value, each with its key, such as ``layers[2].size``.

    Args:
        value: The value.
        key: Its own key; empty for a whole text's.
    """
    if isinstance(value, dict):
        for name, each in value.items():
            yield from numbers_in(each, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list):
        for place, each in enumerate(value):
            yield from numbers_in(each, f"{key}[{place}]")
    elif isinstance(value, int | float):
        yield key, value


_KINDS = (
    (stat.S_ISDIR, "is a directory"),
    (stat.S_ISFIFO, "is a named pipe, not a file"),
    (stat.S_ISSOCK, "is a socket, not a file"),
    (stat.S_ISREG, ""),
)


def why_no_file(path: Path) -> str | None:
    """What is at a path, or on the way to it, that is no file; None for a file, and where nothing is.

    Nothing is opened: a pipe that nobody writes to would be waited for.

    Raises:
        OSError: It can't even be looked at.
    """
    for each in (path, *path.absolute().parents):
        try:
            mode = each.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            if each.is_symlink():
                where = "is" if each == path else f"is below {each},"
                return f"{where} a link to {each.readlink()}, which does not exist"
            continue
        except OSError as error:
            if error.errno == errno.ELOOP:
                return "leads to itself: it is, or is below, a link to itself"
            raise
        if each == path:
            kind = next((text for is_kind, text in _KINDS if is_kind(mode)), "is a device, not a file")
            return kind or None
        return None if stat.S_ISDIR(mode) else f"is below {each}, which is not a directory"
    return None


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(each for each in names if names.count(each) > 1)!r} occurs twice")
    return found


def why_unwritable(path: Path) -> str | None:
    """Why a path can't become a file, found by writing beside it; None if it can.

    Raises:
        OSError: It can't even be looked at.
    """
    # A file is made where a link leads.
    if (problem := why_no_file(Path(os.path.realpath(path)))) is not None:
        return problem
    above = next(parent for parent in path.absolute().parents if parent.exists())
    # Permissions are not all: a file system may be read-only, full, or take no files at all (/proc).
    probe = above / f".tunegate-{secrets.token_hex(8)}.part"
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        reason = "no permission" if isinstance(error, PermissionError) else error.strerror or str(error)
        return f"can't be written: {reason} in {above}"
    return None


def write_whole(path: Path, content: str | bytes | Iterable[str]) -> Path:
    """Put a content into a file so that no reader, crash or full disk ever leaves half of it.

    It is written to a neighbour, forced to the disk and renamed. A link stays a link, and a file keeps its
    permissions.

    Args:
        path: Its directory is made when it is missing.
        content: The content, or the parts of a text; a text is written as UTF-8, with unchanged line ends.

    Raises:
        OSError: It can't be written; what the file held before is unchanged.
    """
    target = Path(os.path.realpath(path))
    if (problem := why_no_file(target)) is not None:
        # Renaming would put a file in the place of a device.
        raise OSError(errno.EEXIST, problem, str(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(target.parent)
    neighbour = target.with_name(f".tunegate-{secrets.token_hex(8)}.part")
    try:
        with neighbour.open("xb") as file:
            if isinstance(content, bytes):
                file.write(content)
            else:
                file.writelines(
                    part.encode() for part in ([content] if isinstance(content, str) else content)
                )
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, neighbour)
        neighbour.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            neighbour.unlink(missing_ok=True)
        raise
    _force_directory(target.parent)
    return path


@cache
def _remove_leftovers(directory: Path) -> None:
    """Remove what killed processes left of files that they wrote here; looked for once by a process."""
    with contextlib.suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            if _PART.fullmatch(entry.name) and time.time() - entry.stat().st_mtime > _LEFT_AFTER_S:
                Path(entry.path).unlink()


@contextlib.contextmanager
def one_writer(path: Path) -> Iterator[None]:
    """Wait until no other process is between reading and writing a file in the same directory.

    Args:
        path: The file; its directory is made when it is missing.

    Raises:
        OSError: The directory can't be made or read.
    """
    directory = path.resolve().parent
    directory.mkdir(parents=True, exist_ok=True)
    if sys.platform == "win32":
        # Files are still written whole there; two writers don't wait for each other.
        yield
        return
    # The directory itself is locked: the file is replaced while it is waited for, and nothing is left behind.
    handle = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _force_directory(directory: Path) -> None:
    """Make the renaming last through a power cut, where the system can."""
    with contextlib.suppress(OSError):
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


_ANY: TypeAdapter[Any] = TypeAdapter(Any)
# A list of so many entries is written at once.
_SHORT = 256


_T = TypeVar("_T")


class DamagedFactsError(Exception):
    """A stored text is damaged."""


class LaterFactsError(DamagedFactsError):
    """A stored text has a kind that only a later version knows."""


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    # It takes about 0.1 s for a whole run's type, so it is done only when one is read.
    return TypeAdapter(kind)


def encode(value: object) -> str:
    """A dataclass as JSON text."""
    return json.dumps(facts_of(value))


def encode_by_parts(value: object) -> Iterator[str]:
    """What :func:`encode` writes, part by part: a run of many cases is not in memory a second time."""
    if isinstance(value, tuple | list) and len(value) > _SHORT:
        for place, entry in enumerate(value):
            yield f"{', ' if place else '['}{encode(entry)}"
        yield "]"
    elif (
        is_dataclass(value)
        and not isinstance(value, type)
        and (names := [each.name for each in fields(value)])
    ):
        for place, name in enumerate(names):
            yield f"{', ' if place else '{'}{json.dumps(name)}: "
            yield from encode_by_parts(getattr(value, name))
        yield "}"
    else:
        yield encode(value)


def decode(kind: type[_T], text: str) -> _T:
    """The dataclass that :func:`encode` wrote.

    Args:
        kind: The class.
        text: JSON text.

    Raises:
        LaterFactsError: A part of it is of a kind that this version doesn't know.
        DamagedFactsError: The text is not JSON, or not of this type.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DamagedFactsError(str(error).splitlines()[0]) from error
    return decode_value(kind, found)


def decode_value(kind: type[_T], found: object) -> _T:
    """The dataclass that :func:`facts_of` took apart.

    Args:
        kind: The class.
        found: The value of a JSON text.

    Raises:
        LaterFactsError: A part of it is of a kind that this version doesn't know.
        DamagedFactsError: It is not of this type.
    """
    try:
        # pydantic's own reading of JSON refuses lone surrogates.
        # For mypy a class of unknown type is not hashable, as the cache's arguments must be.
        value: _T = _adapter(cast("Any", kind)).validate_python(found)
    except ValidationError as error:
        faults = error.errors(include_url=False)
        if tags := [each["ctx"]["tag"] for each in faults if each["type"] == "union_tag_invalid"]:
            raise LaterFactsError(f"{tags[0]!r} is unknown to this version of tunegate") from error
        place = ".".join(map(str, faults[0]["loc"]))
        told = f"{place}: {faults[0]['msg']}" if place else faults[0]["msg"]
        raise DamagedFactsError(told.splitlines()[0]) from error
    except (ValueError, RecursionError) as error:
        raise DamagedFactsError(str(error).splitlines()[0]) from error
    return value


def to_json(value: object) -> str:
    """Indented JSON for other programs; a number that is not finite is null."""
    return json.dumps(finite_facts(value), indent=2, allow_nan=False)


def finite_facts(value: object) -> Any:
    """Dataclasses as mappings for JSON; a number that is not finite is None."""
    return _finite(facts_of(value))


def plain(value: object) -> Any:
    """Dataclasses and models of files as mappings, tuples as lists: what :func:`encode` writes, as values."""
    return json.loads(encode(value))


def facts_of(value: object) -> Any:
    """Dataclasses as mappings; a file's model as its file holds it, without the keys that it leaves out."""
    # In JSON mode pydantic refuses lone surrogates in a mapping's keys.
    return _ANY.dump_python(value, exclude_unset=True)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


# Facts as earlier versions wrote them, so that what repeats in each row takes no space. Never changed: texts
# that were packed with it need it. Another one gets another first byte.
_FORM = b"\x01"
_DICTIONARY = (
    b'"<|im_end|>\\n<|im_start|>assistant\\n","prompt_sha256":"{"type":"json-equals","threshold":null,"value":'
    b'"max_new_tokens":128,"temperature":0.0,"top_p":1.0,"seed":0,"stop":[],"task":null,'
    b'"chat_template_kwargs":{},"date":"2024-07-26","max_reasoning_tokens":null,"score_reasoning":false,'
    b'"use_model_settings":false,"tools":[]},"must_pass":false,"repeat":1,"skip":null,"xfail":null,"line":0,'
    b'"file":"","turns":[],"timeout_s":null,"description":""}{"id":"case-","set_name":"orders",'
    b'"messages":[{"role":"user","content":"","tool_calls":[],"name":null}],"references":[""],'
    b'"checks":[{"type":"contains","threshold":null,"value":"","options":{},"line":0,"file":null,"weight":1.0,'
    b'"transform":[],"transform_files":[],"checks":[],"turn":null}],"tags":[""],"cluster":null,'
    b'"retrieved_context":[],"metadata":{},"generation":{{"completion":{"stop_reason":"stop",'
    b'"prompt_tokens":80,"completion_tokens":110,"latency_s":0.,"reasoning":null,"earlier":[]},"scores":'
    b'[{"metric":"contains","value":1.0,"threshold":null,"passed":true,"explanation":"","labels":null,'
    b'"unclear":false}],"errors":[],"outcome":"passed","repeats":[]}'
)
# A small window is enough, and costs a third of the time that the usual one needs to begin.
_WINDOW, _MEMORY = -12, 4


def pack(*texts: str) -> bytes:
    """JSON texts without line breaks as few bytes."""
    packer = zlib.compressobj(6, zlib.DEFLATED, _WINDOW, _MEMORY, zdict=_DICTIONARY)
    return _FORM + packer.compress("\n".join(texts).encode()) + packer.flush()


def unpack(packed: bytes | None) -> list[str]:
    """The texts that were packed.

    Raises:
        ValueError: They are damaged.
    """
    form, data = bytes((packed or b"")[:1]), bytes((packed or b"")[1:])
    if form != _FORM:
        raise ValueError(f"packed in the form {form!r}, which is unknown")
    unpacker = zlib.decompressobj(_WINDOW, zdict=_DICTIONARY)
    try:
        text = unpacker.decompress(data)
    except zlib.error as error:
        raise ValueError(f"packed facts: {error}") from error
    if not unpacker.eof:
        raise ValueError("packed facts: cut off")
    return text.decode().split("\n")
