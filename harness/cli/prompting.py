"""How a model is asked, and which: by a command's own settings, else by the project's, as in a gate."""

import os
from dataclasses import replace
from pathlib import Path

from harness.engines.base import SERVED
from harness.engines.open import choose_plan, describe_model, split_reference
from harness.run.inputs import asked_by
from harness.settings import Settings, load_settings
from harness.types import ExecutionPlan, ModelRef
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


def asked_model(reference: str, asking: Settings) -> ModelRef:
    """A model; one behind a server has the identity that a gate with these settings gives it.

    Args:
        reference: The model.
        asking: The settings.
    """
    return describe_model(reference, asking.base, model_id=asking.model_id)


def asked_plan(
    model: ModelRef, asking: Settings, dtype: str, device: str, batch_tokens: int | None
) -> ExecutionPlan:
    """How a model computes, with the settings' template values, and their requests to its server.

    Args:
        model: The model.
        asking: The settings; their engine is none of a command that answers by itself.
        dtype: As for :func:`~harness.engines.open.choose_plan`.
        device: As there.
        batch_tokens: As there.
    """
    own = asking.model_copy(update={"engine": "transformers", "server": None, "server_args": ""})
    plan = asked_by(own, choose_plan(dtype, device, batch_tokens, [model]))
    return replace(plan, chat_template_kwargs=asking.chat_template_kwargs)


def is_served(reference: str) -> bool:
    """Whether a model is behind a server, which alone knows its weights."""
    named = split_reference(reference)
    return named is not None and named[0].name in SERVED
