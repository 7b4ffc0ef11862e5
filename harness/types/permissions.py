"""What checks may run on this machine."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Permissions:
    """Permissions of a project, each given by a setting.

    Attributes:
        python: ``python`` checks may run the project's own functions.
        code: ``code`` checks may run the code that a model wrote.
    """

    python: bool = False
    code: bool = False


NOTHING_ALLOWED = Permissions()
