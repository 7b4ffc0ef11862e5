"""Questions to a judge on this machine, dealt to workers that have its weights."""

import platform
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import Any, cast

from harness.engines.gather import Gatherer
from harness.engines.workers.functions import Dealer, FunctionKind, Item
from harness.errors import EngineError, JudgeError, ModelError
from harness.judge.kinds import judge_kinds
from harness.judge.spec import JudgeSpec
from harness.registry import load_function
from harness.types import JudgeReply, JudgeRequest
from tunegate.project import user_path

# Questions that the workers get at a time, and those of one batch.
DEALT, _TOGETHER = 512, 32


class ComputingEngine(ABC):
    """A judge's engine that computes on this machine, or lets workers do it.

    Attributes:
        identity: The spec and the start of the weights' hash.
        scorer: The same without the directory, which may be another one elsewhere.
        weights: The start of the weights' hash.
        name: The judge's name in its replies.
        requests: How many questions were asked.
    """

    remote = False
    retried = 0

    def __init__(self, spec: JudgeSpec, *, name: str, weights: str, together: int) -> None:
        """Load nothing yet.

        Args:
            spec: The judge.
            name: Its name in its replies.
            weights: The start of its weights' hash.
            together: Most questions that are answered together.
        """
        self.identity, self.weights = f"{spec}#{weights}", weights
        self.scorer = f"{replace(spec, model=PurePath(spec.model).name)}#{weights}"
        self.name, self.requests = name, 0
        self._spec, self._dealer = spec, cast("Dealer | None", None)
        self._gatherer: Gatherer[JudgeRequest, JudgeReply | JudgeError] = Gatherer(self._answer, together)

    @property
    def sent(self) -> JudgeSpec:
        """The spec as other processes understand it."""
        return absolute_spec(self._spec)

    def deal_by(self, dealer: Dealer) -> int:
        """Let workers compute the replies; returns how many questions they get at a time.

        Args:
            dealer: Deals the questions to them.
        """
        self._dealer = dealer
        self._gatherer = Gatherer(self._answer, DEALT)
        return DEALT

    @abstractmethod
    def load(self) -> None:
        """Load the model, unless it is."""

    @abstractmethod
    def computed(self, requests: Sequence[JudgeRequest]) -> Sequence[JudgeReply | JudgeError]:
        """A reply for each question, computed in this process."""

    def _answer(self, requests: Sequence[JudgeRequest]) -> Sequence[JudgeReply | JudgeError]:
        """A reply for each question, here or by workers."""
        return (
            self.computed(requests) if self._dealer is None else dealt_replies(self, self._dealer, requests)
        )


def absolute_spec(spec: JudgeSpec) -> JudgeSpec:
    """The same judge, with a path that other directories understand."""
    directory = user_path(spec.model)
    return replace(spec, model=str(directory.resolve())) if directory.is_dir() else spec


def dealt_replies(
    engine: ComputingEngine, dealer: Dealer, requests: Sequence[JudgeRequest]
) -> list[JudgeReply | JudgeError]:
    """A reply for each question, computed by workers.

    Args:
        engine: The judge's engine, which loads nothing here.
        dealer: Deals the questions.
        requests: The questions.
    """
    if not requests:
        return []
    kind = FunctionKind(
        path="harness.judge.dealing:JudgeReplies",
        argument=(engine.sent, engine.weights),
        together=_TOGETHER,
    )
    found: dict[int, JudgeReply | JudgeError] = {}
    items = [Item(key=request.key, value=request) for request in requests]
    try:
        failed = dealer.compute(kind, items, found.update)
    except EngineError as error:
        failed = dict.fromkeys(range(len(requests)), str(error))
    found |= {place: JudgeError(reason) for place, reason in failed.items() if place not in found}
    replies = [found[place] for place in range(len(requests))]
    return [each if isinstance(each, JudgeError) else replace(each, model=engine.name) for each in replies]


class JudgeReplies:
    """A judge's replies, on a worker."""

    def __init__(self, argument: Any) -> None:
        """Load the judge.

        Args:
            argument: Its spec, and the start of its weights' hash.

        Raises:
            ModelError: Its files are others here.
        """
        spec, weights = argument
        self._engine: ComputingEngine = load_function(judge_kinds()[spec.kind].open, "judge")(spec, 60.0, {})
        if self._engine.weights != weights:
            raise ModelError(
                f"node {platform.node()}: the judge {spec} has other files there than here; share its "
                f"directory with all nodes"
            )
        self._engine.load()

    def compute(self, items: Sequence[JudgeRequest]) -> list[JudgeReply | JudgeError]:
        """A reply for each question."""
        return list(self._engine.computed(items))
