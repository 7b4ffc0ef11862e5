"""Fixtures for hand-written tests: the same model, engine and cache as the golden cases."""

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.golden.load import load_golden_set
from harness.plugin.gate import GATE, Gate
from harness.types import Completion, GenerationSettings, GoldenCase, GoldenSet, Message, ModelRef


def _gate(config: pytest.Config) -> Gate:
    gate = config.stash[GATE]
    if not isinstance(gate, Gate):
        pytest.skip("no --model given")
    return gate


@pytest.fixture(scope="session")
def model(pytestconfig: pytest.Config) -> ModelRef:
    """The candidate: its label, directory, base model and hashes. Skips without ``--model``."""
    return _gate(pytestconfig).inputs.candidate


@pytest.fixture(scope="session")
def generate(pytestconfig: pytest.Config) -> Callable[..., Completion]:
    """Ask the candidate: ``generate("prompt", max_new_tokens=32)`` gives a Completion.

    The keywords are those of GenerationSettings. A conversation is given as a list of Message. Answers come
    from the cache where they are known. Skips without ``--model``.
    """
    gate = _gate(pytestconfig)

    def ask(prompt: str | list[Message], **settings: object) -> Completion:
        messages = (Message(role="user", content=prompt),) if isinstance(prompt, str) else tuple(prompt)
        case = GoldenCase(
            id="generate",
            set_name="fixture",
            messages=messages,
            generation=GenerationSettings(**settings),  # type: ignore[arg-type] # it checks its own keywords
        )
        return gate.answer(case)

    return ask


@pytest.fixture(scope="session")
def golden(pytestconfig: pytest.Config) -> Callable[[str | Path], GoldenSet]:
    """Load a golden set by path relative to the project's root: ``golden("golden_sets/orders.yaml")``."""

    def load(path: str | Path) -> GoldenSet:
        return load_golden_set(pytestconfig.rootpath / path)

    return load
