"""The Python file of a ``python`` check: found and hashed when a golden set is read, never run here."""

import hashlib
import re
from pathlib import Path

_PATH = re.compile(r"(?P<file>[^:\0]+\.py):(?P<function>[A-Za-z_]\w*)")
_ALLOWED = "a file and a function in it, such as checks.py:polite, relative to the golden set"


class PythonFileError(ValueError):
    """The path of a ``python`` check names no usable file."""

    allowed = _ALLOWED


def find_python_file(path: str, directory: Path) -> tuple[Path, str]:
    """The file in a check's ``path``.

    Args:
        path: File and function, as written.
        directory: The golden set's; the file must be in it or below.

    Returns:
        The file and the SHA-256 of its bytes.

    Raises:
        PythonFileError: It has another form, is outside of the directory, or can't be read.
    """
    named = _PATH.fullmatch(path)
    if named is None:
        raise PythonFileError(f"found {path!r}")
    try:
        file = (directory / named["file"]).resolve()
        if not file.is_relative_to(directory.resolve()):
            raise PythonFileError(f"{named['file']} leaves the golden set's directory")
        return file, hashlib.sha256(file.read_bytes()).hexdigest()
    except (OSError, RuntimeError) as error:  # RuntimeError: links that lead in a circle
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise PythonFileError(f"{named['file']} can't be read: {reason}") from error
