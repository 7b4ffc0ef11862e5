"""What the exit statuses of all commands mean: pytest's own numbers."""

from enum import IntEnum


class ExitStatus(IntEnum):
    """Exit status of a command.

    Attributes:
        OK: Passed, inconclusive, or done.
        FAILED: A regression or a finding; nothing else.
        INTERRUPTED: Ctrl-C.
        INTERNAL_ERROR: A model, judge or this program failed.
        BAD_INPUT: An option, file or directory of the user is wrong.
    """

    OK = 0
    FAILED = 1
    INTERRUPTED = 2
    INTERNAL_ERROR = 3
    BAD_INPUT = 4
