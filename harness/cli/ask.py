"""Questions to a person at the terminal, or to whatever feeds standard input."""

import sys
from collections.abc import Callable

import typer

from harness.errors import InputError, SettingsError


def text_of(
    given: str | None,
    option: str,
    question: str,
    *,
    default: str | None = None,
    check: Callable[[str], object],
) -> str:
    """An option's text, standard input's where it is -, or what is typed.

    Args:
        given: What the command line says; None asks.
        option: The option's name, without dashes.
        question: What is asked.
        default: What an empty line stands for.
        check: Raises InputError for a text that can't be used: the question is then repeated.

    Raises:
        InputError: The given text can't be used, or nobody answers.
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
    """Ask until the answer can be used.

    Args:
        option: The option that would have said it, for the error.
        question: What is asked.
        default: What an empty line, or the end of standard input, stands for.
        check: Raises InputError for a text that can't be used.

    Raises:
        SettingsError: Standard input has ended, and there is no default.
    """
    while True:
        try:
            # The prompt goes through input(), so that line editing knows where the line starts.
            typed = input(f"{question} ")
        except EOFError:
            typer.echo("")
            if default is None:
                raise SettingsError(f"{option} is missing, and standard input has ended") from None
            return default
        text = typed if typed.strip() else default
        if text is None:
            continue
        try:
            check(text)
        except InputError as error:
            typer.echo(f"  {error}", err=True)
        else:
            return text
