"""The engine for golden cases that a multi-task model's heads answer."""

import time
from collections.abc import Callable, Mapping, Sequence

from harness.engines.base import GenerationRequest, LossRequest, OnText
from harness.engines.decode import pack_batches
from harness.engines.library_faults import Batches, answer_or_split
from harness.engines.multitask.description import MultitaskModel, Task
from harness.engines.multitask.directory import read_multitask
from harness.engines.multitask.network import TooLongError, answer, count_tokens, load_network
from harness.engines.precision import refuse_split
from harness.errors import AdapterError, EngineError, ModelError
from harness.models.resolve import CHANGED
from harness.types import Completion, ExecutionPlan, GenerationSettings, Message, ModelRef, TextLoss
from tunegate.project import user_path


class MultitaskEngine:
    """Multi-task models; the head that a case's ``generation.task`` names answers its last message."""

    def __init__(self, sides: Mapping[str, MultitaskModel], plan: ExecutionPlan) -> None:
        """Load what ``sides`` name.

        Args:
            sides: The checked directory behind each side.
            plan: How to compute.
        """
        self.plan = plan
        self._models = dict(sides)
        self._networks = {side: load_network(model, plan.dtype, plan.device) for side, model in sides.items()}

    def generate(
        self,
        requests: Sequence[GenerationRequest],
        on_batch: Callable[[Mapping[int, Completion]], None],
        on_text: OnText | None = None,
    ) -> None:
        """Answer all requests, a batch of one task at a time.

        Raises:
            AdapterError: No head can answer one of the cases; then none is answered.
            CasesFailedError: The model failed on some of the requests; all others were answered.
            EngineError: It failed on all of them.
        """
        groups: dict[tuple[str, str], list[int]] = {}
        for index, request in enumerate(requests):
            task = self._task_of(request.side, request.settings, request.key)
            groups.setdefault((request.side, task.name), []).append(index)
        lengths, packed = dict[int, int](), list[list[int]]()
        for (side, name), rows in groups.items():
            task = self._networks[side].tasks[name]
            lengths |= {
                row: self._length(side, task, requests[row].messages, requests[row].key) for row in rows
            }
            found = pack_batches([lengths[row] for row in rows], [0] * len(rows), self.plan.batch_tokens)
            packed += [[rows[place] for place in batch] for batch in found]

        def compute(batch: Sequence[int]) -> dict[int, Completion]:
            answers = self._answer([requests[row] for row in batch], [lengths[row] for row in batch])
            if on_text is not None:
                for row, completion in zip(batch, answers, strict=True):
                    on_text(row, completion.text)
            return dict(zip(batch, answers, strict=True))

        keys = [request.key for request in requests]
        answer_or_split(Batches(rows=packed, keys=keys, compute=compute), on_batch)

    def render(self, side: str, messages: Sequence[Message], settings: GenerationSettings) -> None:
        """None: heads read the unchanged last message of a request, which is checked.

        Args:
            side: One of the sides.
            messages: The conversation.
            settings: They name the task.

        Raises:
            AdapterError: No head can answer it.
        """
        self._length(side, self._task_of(side, settings, None), messages, None)

    def context(self, side: str) -> None:
        """None: a text that is too long for a head is reported when it is answered."""

    def losses(
        self, requests: Sequence[LossRequest], on_batch: Callable[[Mapping[int, TextLoss]], None]
    ) -> None:
        """Refuse: heads predict no text.

        Raises:
            EngineError: Always, if there are requests.
        """
        if requests:
            raise EngineError(f"{requests[0].key}: a multi-task model predicts no text; leave perplexity out")

    def largest_logit_change(self, side: str) -> float:
        """Refuse: there is no answer without the heads to compare with.

        Raises:
            EngineError: Always.
        """
        raise EngineError(f"{self._models[side].directory}: a multi-task model has no next-token logits")

    def _task_of(self, side: str, settings: GenerationSettings, case: str | None) -> Task:
        """The task of a golden case, or (without a case) of a client's request."""
        tasks, wanted = self._networks[side].tasks, settings.task
        if wanted is None and len(tasks) == 1:
            return next(iter(tasks.values()))
        if wanted is None or wanted not in tasks:
            found = "names no task" if wanted is None else f"asks for the task {wanted!r}"
            key = "task" if case is None else "generation.task"
            raise AdapterError(
                f"{self._models[side].directory}: {_named(case)} {found} "
                f"(allowed under {key}: {', '.join(tasks)})"
            )
        return tasks[wanted]

    def _length(self, side: str, task: Task, messages: Sequence[Message], case: str | None) -> int:
        try:
            return count_tokens(self._networks[side], task, messages[-1].content)
        except TooLongError as error:
            raise AdapterError(f"{_named(case)} is too long: {error}") from error
        except ValueError as error:
            raise AdapterError(f"{_named(case)} can't be put to the task {task.name}: {error}") from error

    def _answer(self, requests: Sequence[GenerationRequest], lengths: Sequence[int]) -> list[Completion]:
        """The answers to a batch of one side's task."""
        first = requests[0]
        network, task = self._networks[first.side], self._task_of(first.side, first.settings, first.key)
        started = time.perf_counter()
        texts = answer(network, task, [request.messages[-1].content for request in requests])
        latency_s = (time.perf_counter() - started) / len(requests)
        return [
            Completion(
                text=text,
                stop_reason="stop",
                prompt_tokens=length,
                # Heads don't write text, they choose.
                completion_tokens=0,
                latency_s=latency_s,
            )
            for text, length in zip(texts, lengths, strict=True)
        ]


def _named(case: str | None) -> str:
    return "the request" if case is None else f"the golden case {case}"


def open_multitask(sides: Mapping[str, ModelRef], plan: ExecutionPlan) -> MultitaskEngine:
    """Load the models of all sides.

    Args:
        sides: The models by side.
        plan: How to compute.

    Raises:
        InputError: A directory is not usable, or has changed, or the models are to be split among devices.
    """
    refuse_split(plan.device, "a multi-task model")

    def read() -> dict[str, MultitaskModel]:
        return {side: read_multitask(user_path(model.base_model)) for side, model in sides.items()}

    engine = MultitaskEngine(read(), plan)
    for side, found in read().items():
        if found.sha256 != sides[side].base_sha256:
            raise ModelError(f"{sides[side].label}: {CHANGED}")
    return engine
