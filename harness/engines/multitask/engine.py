"""The engine for golden cases that a multi-task model's heads answer."""

import time
from collections.abc import Callable, Mapping, Sequence

from harness.engines.base import GenerationRequest, LossRequest, OnText
from harness.engines.decode import pack_batches
from harness.engines.multitask.description import MultitaskModel, Task
from harness.engines.multitask.directory import read_multitask
from harness.engines.multitask.network import Network, TooLongError, answer, count_tokens, load_network
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
            AdapterError: A case names a task without a head, or its head can't answer it.
            EngineError: The model failed on a batch; the message names its first case.
        """
        groups: dict[tuple[str, str], list[int]] = {}
        for index, request in enumerate(requests):
            groups.setdefault((request.side, self._task_of(request).name), []).append(index)
        for (side, name), rows in groups.items():
            network = self._networks[side]
            task = network.tasks[name]
            lengths = [self._length(network, task, requests[row]) for row in rows]
            for batch in pack_batches(lengths, [0] * len(rows), self.plan.batch_tokens):
                asked = [rows[place] for place in batch]
                completions = self._answer(
                    network, task, [requests[row] for row in asked], [lengths[place] for place in batch]
                )
                if on_text is not None:
                    for row, completion in zip(asked, completions, strict=True):
                        on_text(row, completion.text)
                on_batch(dict(zip(asked, completions, strict=True)))

    def render(self, side: str, messages: Sequence[Message], settings: GenerationSettings) -> None:
        """None: heads read the unchanged last message."""

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

    def _task_of(self, request: GenerationRequest) -> Task:
        tasks, wanted = self._networks[request.side].tasks, request.settings.task
        if wanted is None and len(tasks) == 1:
            return next(iter(tasks.values()))
        if wanted is None or wanted not in tasks:
            found = "names no task" if wanted is None else f"asks for the task {wanted!r}"
            raise AdapterError(
                f"{self._models[request.side].directory}: the golden case {request.key} {found} "
                f"(allowed under generation.task: {', '.join(tasks)})"
            )
        return tasks[wanted]

    def _length(self, network: Network, task: Task, request: GenerationRequest) -> int:
        try:
            return count_tokens(network, task, request.messages[-1].content)
        except TooLongError as error:
            raise AdapterError(f"the golden case {request.key} is too long: {error}") from error
        except ValueError as error:
            raise AdapterError(
                f"the golden case {request.key} can't be put to the task {task.name}: {error}"
            ) from error

    def _answer(
        self, network: Network, task: Task, requests: Sequence[GenerationRequest], lengths: Sequence[int]
    ) -> list[Completion]:
        started = time.perf_counter()
        try:
            texts = answer(network, task, [request.messages[-1].content for request in requests])
        except (RuntimeError, MemoryError) as error:
            raise EngineError(f"answering the batch of {requests[0].key} failed: {error}") from error
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
