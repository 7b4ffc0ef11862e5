"""Prompts of hand-written tests: answered by the session's models, or from the cache."""

from collections.abc import Mapping

import pytest

from harness.engines.base import Engine
from harness.engines.open import open_sides
from harness.errors import EngineError, InputError
from harness.plugin.progress import open_progress
from harness.run.cache import Cache
from harness.run.generation import answer_cases
from harness.run.inputs import Candidate, Inputs
from harness.types import Completion, ExecutionPlan, GoldenCase, ModelRef


class Questions:
    """Answers prompts that are not in a golden set, with one engine for all of them."""

    def __init__(self, config: pytest.Config, inputs: Inputs, cache: Cache) -> None:
        """Nothing is loaded before the first prompt that is not in the cache."""
        self._config = config
        self._inputs = inputs
        self._cache = cache
        self._engine: Engine | None = None

    def answer(self, case: GoldenCase, candidate: Candidate) -> Completion:
        """A model's answer to a case; if the model can't answer it, the session ends, without a regression.

        Args:
            case: The case.
            candidate: The model.
        """
        sides = {candidate.side: candidate.model}
        with open_progress(self._config) as shown:
            try:
                answers = answer_cases(
                    sides,
                    self._inputs.plan,
                    [case],
                    self._cache,
                    shown.on_progress,
                    open_engine=self._open_once,
                )
            except InputError as error:
                pytest.exit(str(error), returncode=pytest.ExitCode.USAGE_ERROR)
            except EngineError as error:
                pytest.exit(str(error), returncode=pytest.ExitCode.INTERNAL_ERROR)
        return answers[candidate.side].completions[case.key]

    def _open_once(self, sides: Mapping[str, ModelRef], plan: ExecutionPlan) -> Engine:
        """One engine for all candidates, loaded with the first prompt."""
        if self._engine is None:
            candidates = {candidate.side: candidate.model for candidate in self._inputs.candidates}
            self._engine = open_sides(candidates, plan)
        return self._engine
