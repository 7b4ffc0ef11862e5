"""The settings that decide what a model is asked: a command's own, else the project's, as in a gate."""

import os
from pathlib import Path

from harness.settings import Settings, load_settings
from tunegate.project import command_project


def asking_settings(chat_template_kwargs: str | None, base: str | None, **others: object) -> Settings:
    """The project's settings, with those that a command was given.

    Args:
        chat_template_kwargs: Values for chat templates as JSON; None for the project's.
        base: The base of adapters; None for the project's, or what each adapter names.
        others: Further settings by name; None for the project's.

    Raises:
        SettingsError: A value isn't allowed.
    """
    given = {"chat_template_kwargs": chat_template_kwargs, "base": base, **others}
    return load_settings(given, command_project(Path.cwd()), os.environ)
