"""Questions to a person at the terminal, or to standard input."""

import sys
from collections.abc import Callable

from harness.errors import InputError, SettingsError
from tunegate.printable import say


def text_of(
    given: str | None,
    option: str,
    question: str,
    *,
    default: str | None = None,
    check: Callable[[str], object],
) -> str:
    """An option's text, the text of standard input if it is -, or typed text.

    Args:
        given: The value on the command line; None asks for it.
        option: The option's name, without dashes.
        question: The question.
        default: The value of an empty line.
        check: Raises InputError for an unusable text: the question is then repeated.

    Raises:
        InputError: The given text is unusable, or nobody answers.
    """
    if given == "-":
        given = sys.stdin.read().strip("\n")
    if given is None:
        return ask(f"--{option}", question, default=default, check=check)
    if not given.strip():
        raise SettingsError(f"--{option} is empty")
    check(given)
    return given


def ask(
    option: str,
    question: str,
    *,
    default: str | None = None,
    check: Callable[[str], object] = lambda text: None,
) -> str:
    """Ask until the answer is usable.

    Args:
        option: The option for this value, for the error.
        question: The question.
        default: The value of an empty line, or of the end of standard input.
        check: Raises InputError for an unusable text.

    Raises:
        SettingsError: Standard input has ended, and there is no default.
    """
    while True:
        try:
            # The prompt goes through input(), so that line editing knows where the line starts.
            typed = input(f"{question} ")
        except EOFError:
            say("")
            if default is None:
                raise SettingsError(f"{option} is missing, and standard input has ended") from None
            return default
        text = typed if typed.strip() else default
        if text is None:
            continue
        try:
            check(text)
        except InputError as error:
            say(f"  {error}", err=True)
        else:
            return text
