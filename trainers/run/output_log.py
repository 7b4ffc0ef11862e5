"""What libraries print during a training goes to a log."""

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, cast

from transformers.utils import logging as library_logging

from tunegate.printable import printable


class _EscapedFile:
    """A log whose texts go through the one escape; a bar that is drawn over itself becomes lines."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, text: str) -> int:
        self._file.write(printable(text.replace("\r\n", "\n").replace("\r", "\n")))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class _EscapedFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


@contextmanager
def output_in_log(path: Path) -> Iterator[None]:
    """Send the libraries' notices, bars and warnings to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(_EscapedFormatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    library_logging.disable_default_handler()
    library_logging.enable_propagation()
    library_logging.disable_progress_bar()  # type: ignore[no-untyped-call] # transformers gives it no types
    for name in ("datasets", "trl", "accelerate", "bitsandbytes", "peft"):
        logging.getLogger(name).propagate = True
        logging.getLogger(name).handlers.clear()
    logging.captureWarnings(True)
    streams = sys.stdout, sys.stderr
    with path.open("a", encoding="utf-8") as file, warnings.catch_warnings():
        sys.stdout = sys.stderr = cast("TextIO", _EscapedFile(file))
        try:
            yield
        finally:
            sys.stdout, sys.stderr = streams
            logging.captureWarnings(False)
            root.removeHandler(handler)
            handler.close()
