"""Python's collector of cyclic garbage, beside a hundred thousand objects that last as long as the session.

It would go through all of them again and again, which takes half of the time in which they are made; and once
more when the process ends, where nobody needs their memory.
"""

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def making_lasting() -> Iterator[None]:
    """Stop the collector while objects are made, and let it ignore them afterwards."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        freeze_objects()
        if was_on:
            gc.enable()


def freeze_objects() -> None:
    """Let the collector ignore all objects that there are now, and all when the process ends."""
    # At its end, memory goes back as a whole: to take all objects apart takes a tenth of a large gate.
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)
    gc.freeze()


def unfreeze_objects() -> None:
    """Let the collector go through all objects again, as long as the process does not end."""
    # Not asked before: Python counts what it ignores one by one, beside a model's libraries for 0.1 s.
    gc.unfreeze()
