"""Fixtures for hand-written tests: the same model, engine and cache as the golden cases."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from pydantic import ValidationError

from harness.errors import JudgeError, SettingsError
from harness.golden.case_reading import as_settings
from harness.golden.explain import explain_settings
from harness.golden.load import load_golden_set
from harness.golden.schema import GenerationYaml
from harness.judge.questions import SINGLE_TASKS, single_request
from harness.judge.trust import find_calibration
from harness.plugin.own_tests import CANDIDATE_NAME
from harness.plugin.selection import SELECTION
from harness.plugin.session import GATE, GateSession
from harness.types import (
    Completion,
    GenerationSettings,
    GoldenCase,
    GoldenSet,
    JudgeVerdict,
    Message,
    ModelRef,
)
from tunegate.project import session_project


def _gate(config: pytest.Config) -> GateSession:
    gate = config.stash.get(GATE, None)
    if gate is None:
        pytest.skip("no --model given")
    return gate


@pytest.fixture(scope="session", name=CANDIDATE_NAME)
def candidate_name(request: pytest.FixtureRequest, pytestconfig: pytest.Config) -> str:
    """The session's model that is used: with several models, tests run once for each.

    Args:
        request: The fixture's request; its parameter names one of several models.
        pytestconfig: The session's configuration.
    """
    names = _gate(pytestconfig).selection.names
    if len(names) > 1 and not hasattr(request, "param"):
        pytest.fail(
            f"{len(names)} models are gated: name generate or model among the test's arguments, "
            f"so that it runs for each",
            pytrace=False,
        )
    return getattr(request, "param", names[0])


def ask_each_model(metafunc: pytest.Metafunc) -> None:
    """Run a test that uses the model for each of the session's models, if there are several."""
    names = metafunc.config.stash[SELECTION].names
    if len(names) > 1 and CANDIDATE_NAME in metafunc.fixturenames:
        metafunc.parametrize(CANDIDATE_NAME, names, indirect=True, scope="session")


@pytest.fixture(scope="session")
def model(pytestconfig: pytest.Config, _tunegate_candidate: str) -> ModelRef:
    """The candidate: its label, directory, base model and hashes. Skips without ``--model``."""
    return _gate(pytestconfig).candidate(_tunegate_candidate).model


@pytest.fixture(scope="session")
def generate(pytestconfig: pytest.Config, _tunegate_candidate: str) -> Callable[..., Completion]:
    """Ask the candidate: ``generate("prompt", max_new_tokens=32)`` gives a Completion.

    The keywords are the keys of a golden set's ``generation``, with the same checks: ``stop="END"``,
    ``temperature=0.7``. A conversation is given as a list of Message. Known answers come from the cache.
    Raises SettingsError for a value that isn't allowed. Skips without ``--model``.
    """
    gate = _gate(pytestconfig)

    def ask(prompt: str | list[Message], **settings: object) -> Completion:
        messages = (Message(role="user", content=prompt),) if isinstance(prompt, str) else tuple(prompt)
        case = GoldenCase(
            id="generate",
            set_name="fixture",
            messages=messages,
            generation=generation_settings(settings, "generate"),
        )
        gate.turns.asked += 1
        return gate.questions.answer(case, gate.candidate(_tunegate_candidate))

    return ask


def generation_settings(given: Mapping[str, object], source: str) -> GenerationSettings:
    """Settings given in Python, checked by the rules of the YAML.

    Args:
        given: Values by their names in the YAML; ``stop`` may be one text or any sequence of texts.
        source: Where they come from, for the message.

    Raises:
        SettingsError: A name is unknown, of cases alone, or a value out of range.
    """
    if given.get("stop_when_decided"):
        raise SettingsError(
            f"{source}: stop_when_decided: only the checks of a golden case decide; leave it out"
        )
    stop = given.get("stop")
    listed = {**given, "stop": list(stop)} if isinstance(stop, tuple | set | frozenset) else given
    try:
        return as_settings(GenerationYaml.model_validate(listed))
    except ValidationError as error:
        problem, allowed = explain_settings(error, listed)
        raise SettingsError(f"{source}: {problem}" + (f" (allowed: {allowed})" if allowed else "")) from error


@pytest.fixture(scope="session")
def golden(pytestconfig: pytest.Config) -> Callable[[str | Path], GoldenSet]:
    """Load a golden set by path relative to the project's root: ``golden("golden_sets/orders.yaml")``."""
    return golden_loader(pytestconfig)


def golden_loader(config: pytest.Config) -> Callable[[str | Path], GoldenSet]:
    """A function that loads a golden set by path relative to the project's root."""

    def load(path: str | Path) -> GoldenSet:
        return load_golden_set(session_project(config) / path)

    return load


@pytest.fixture(scope="session")
def judge(pytestconfig: pytest.Config) -> Callable[..., JudgeVerdict]:
    """Ask the judge: ``judge("question", "answer", rubric="Names 30 days.").passed``.

    With ``references=["..."]`` it grades from 1 to 5 instead (``.value``); ``task="factuality"`` or
    ``"tone"`` asks those questions. Raises JudgeError if the judge gives no verdict, or is unreliable
    according to ``tunegate judge calibrate``. Skips without ``--model`` and ``--gate-judge``.
    """
    gate = _gate(pytestconfig)
    panel = gate.judging.panel
    if panel is None:
        pytest.skip("no --gate-judge given")
    calibration = find_calibration(gate.inputs.directory, panel.identity)

    def ask(
        question: str | list[Message],
        answer: str,
        *,
        rubric: str | None = None,
        references: Sequence[str] = (),
        task: str | None = None,
    ) -> JudgeVerdict:
        asked = task or ("rubric" if rubric is not None else "reference")
        if asked not in SINGLE_TASKS:
            raise ValueError(f"no question {asked!r} (allowed: {', '.join(SINGLE_TASKS)})")
        if calibration is not None and (not calibration.reliable or asked in calibration.distrusted):
            raise JudgeError(f"the judge is unreliable: {'; '.join(calibration.reasons) or f'on {asked}'}")
        messages = (Message(role="user", content=question),) if isinstance(question, str) else question
        request = single_request(asked, "judge", messages, answer, rubric=rubric, references=references)
        (vote,) = panel.judge_singles([request])
        if isinstance(vote, JudgeError):
            raise vote
        return vote

    return ask
