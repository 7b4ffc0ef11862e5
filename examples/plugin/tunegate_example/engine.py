"""The engine ``canned:FILE``: answers from a JSON file, by prompt."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from harness.engines.base import GenerationRequest
from harness.errors import ModelError
from harness.types import Completion, ExecutionPlan, ModelRef


def describe(reference: str) -> ModelRef:
    """Identify a file by its content: an answer that changes is another model.

    Raises:
        ModelError: There is no such file.
    """
    try:
        content = Path(reference).read_bytes()
    except OSError as error:
        raise ModelError(f"canned:{reference}: can't be read: {error.strerror}") from error
    return ModelRef(label=reference, base_model=reference, base_sha256=hashlib.sha256(content).hexdigest())


class CannedEngine:
    """Looks answers up."""

    def __init__(self, sides: Mapping[str, ModelRef], plan: ExecutionPlan) -> None:
        """Read each side's file."""
        self._answers = {
            side: json.loads(Path(model.base_model).read_text()) for side, model in sides.items()
        }

    def generate(
        self, requests: Sequence[GenerationRequest], on_batch: Callable[[Mapping[int, Completion]], None]
    ) -> None:
        """Answer all requests, in one batch."""
        on_batch({place: self._answer(request) for place, request in enumerate(requests)})

    def _answer(self, request: GenerationRequest) -> Completion:
        prompt = request.messages[-1].content
        text = self._answers[request.side].get(prompt, "")
        return Completion(
            text=text,
            stop_reason="stop",
            prompt_tokens=len(prompt.split()),
            completion_tokens=len(text.split()),
            latency_s=0.0,
        )
