"""An LLM and embeddings for ragas, made from our judge and our encoder.

ragas keeps its prompts and formulas; answers, cache, retries, concurrency and accounting are the judge's.
ragas accepts any number as 0 or 1, and any number of verdicts for its statements; here the reply must follow
the request. If it doesn't, it is requested once more and is then an error.
"""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.metadata import version
from typing import Any, cast
from weakref import WeakKeyDictionary

from harness.engines.gather import Gatherer
from harness.engines.workers.functions import Dealer, Item
from harness.judge.client import Judge
from harness.metrics.encoder_work import text_vectors, vector_kind
from harness.metrics.encoders import encoder_name, find_encoder
from harness.types import Check, JsonValue, JudgeRequest, Message

_ZERO_OR_ONE = ("verdict", "attributed", "noncommittal")
# Each statement comes with a reason.
_MOST_TOKENS = 2048


def import_ragas() -> None:
    """Import ragas with its usage reports switched off; only the word "true" does that."""
    os.environ["RAGAS_DO_NOT_TRACK"] = "true"
    import ragas  # noqa: F401 # the environment has to be set before its first import


@cache
def ragas_version() -> str:
    """Version of the library, for verdicts, because it contains the prompts."""
    return version("ragas")


@cache
def _model_class() -> type[Any]:
    import_ragas()
    from ragas.llms.base import InstructorBaseRagasLLM

    class JudgedModel(InstructorBaseRagasLLM):  # type: ignore[misc] # ragas is not checked here
        """A judge as ragas' LLM, for one metric of one answer."""

        def __init__(self, judge: Judge, key: str, task: str, first_repeat: int) -> None:
            self.replies: list[Any] = []
            self.judge_model = ""
            self._judge, self._key, self._task, self._first = judge, key, task, first_repeat
            self._asked: Counter[str] = Counter()

        def generate(self, prompt: str, response_model: type[Any]) -> Any:
            """Never called: scores are computed asynchronously."""
            raise NotImplementedError

        async def agenerate(self, prompt: str, response_model: type[Any]) -> Any:
            """Ask the judge; the same prompt a second time is another question."""
            request = JudgeRequest(
                key=self._key,
                task=self._task,
                messages=(Message(role="user", content=prompt),),
                reply_schema=_schema_of(cast("Any", response_model), self._wanted(response_model)),
                prompt_version=f"ragas {ragas_version()} {response_model.__name__}",
                repeat=self._first + self._asked[prompt],
                max_tokens=_MOST_TOKENS,
            )
            self._asked[prompt] += 1
            reply = await self._judge.ask(request)
            self.judge_model = reply.model
            self.replies.append(response_model.model_validate(dict(reply.data)))
            return self.replies[-1]

        def _wanted(self, response_model: type[Any]) -> int | None:
            """Number of expected verdicts: one for each statement that was found before."""
            found = getattr(self.replies[-1], "statements", None) if self.replies else None
            return len(found) if found and response_model.__name__ == "NLIStatementOutput" else None

    return JudgedModel


def judged_model(judge: Judge, key: str, task: str, first_repeat: int = 0) -> Any:
    """A judge as ragas' LLM, for one metric of one answer.

    Args:
        judge: The judge.
        key: The case's key.
        task: The metric.
        first_repeat: Number of the first question with a wording.

    Returns:
        An object with ``agenerate``; its ``replies`` are the replies so far.
    """
    return _model_class()(judge, key, task, first_repeat)


@cache
def _schema_of(response_model: type[Any], verdicts: int | None) -> dict[str, JsonValue]:
    return reply_schema(response_model.model_json_schema(), verdicts)


def reply_schema(schema: Mapping[str, Any], verdicts: int | None = None) -> dict[str, JsonValue]:
    """A pydantic schema without references, with the limits that ragas requires but doesn't check.

    Args:
        schema: JSON Schema of the reply's model.
        verdicts: Required number of entries in its list of statements.

    Returns:
        A JSON Schema.
    """
    definitions = schema.get("$defs", {})

    def plain(part: Any) -> Any:
        if isinstance(part, list):
            return [plain(one) for one in part]
        if not isinstance(part, dict):
            return part
        if "$ref" in part:
            return plain(definitions[part["$ref"].rpartition("/")[2]])
        made = {name: plain(one) for name, one in part.items() if name != "$defs"}
        if made.get("type") == "object":
            made["additionalProperties"] = False
            for name in _ZERO_OR_ONE:
                if name in made["properties"]:
                    made["properties"][name] |= {"minimum": 0, "maximum": 1}
        return made

    whole: dict[str, JsonValue] = plain(schema)
    properties = whole["properties"]
    if verdicts is not None and isinstance(properties, dict):
        statements = properties["statements"]
        assert isinstance(statements, dict)
        statements |= {"minItems": verdicts, "maxItems": verdicts}
    return whole


@cache
def _embeddings_class() -> type[Any]:
    import_ragas()
    from ragas.embeddings.base import BaseRagasEmbedding

    class EncoderEmbeddings(BaseRagasEmbedding):  # type: ignore[misc] # as above
        """Our text encoder as ragas' embeddings."""

        def __init__(self, name: str, dealer: Dealer | None) -> None:
            super().__init__()
            self._name, self._dealer = name, dealer

        def embed_text(self, text: str, **kwargs: Any) -> list[float]:
            """The vector of one text."""
            return list(_vector(self._name, text))

        async def aembed_text(self, text: str, **kwargs: Any) -> list[float]:
            """The same, without blocking other answers' questions."""
            import asyncio

            if self._dealer is None:
                return await asyncio.to_thread(self.embed_text, text)
            found = await _gatherer(asyncio.get_running_loop(), self._name, self._dealer).ask(text)
            if isinstance(found, ValueError):
                raise found
            return list(found)

        async def aembed_texts(self, texts: Sequence[str], **kwargs: Any) -> list[list[float]]:
            """The vectors of several texts."""
            import asyncio

            if self._dealer is None:
                return [await self.aembed_text(text) for text in texts]
            return list(await asyncio.gather(*map(self.aembed_text, texts)))

    return EncoderEmbeddings


def prepare_ragas(checks: Iterable[Check], dealer: Dealer | None = None) -> None:
    """Import what ragas' metrics need, and load the encoders of those that compare texts.

    Args:
        checks: Checks of passages.
        dealer: Deals the encoders' work to workers, which then load them.
    """
    _model_class()
    import ragas.metrics.collections  # noqa: F401 # so that the first question doesn't wait for it

    compared = [each for each in checks if each.type == "answer-relevancy" and dealer is None]
    for name in dict.fromkeys(map(encoder_name, compared)):
        from harness.metrics.similar import load_encoder

        load_encoder(find_encoder(name))


def encoder_embeddings(check: Check, dealer: Dealer | None = None) -> Any:
    """The encoder that a check names, as ragas' embeddings.

    Args:
        check: The check.
        dealer: Deals the texts to workers; None computes their vectors in this process.
    """
    return _embeddings_class()(encoder_name(check), dealer)


# Texts that wait together are one job of the workers.
_GATHERED = 512
_GATHERERS: WeakKeyDictionary[Any, dict[str, Gatherer[str, Any]]] = WeakKeyDictionary()


def _gatherer(loop: Any, name: str, dealer: Dealer) -> Gatherer[str, Any]:
    """Gathers the texts of an event loop's answers for one encoder."""
    gatherers = _GATHERERS.setdefault(loop, {})
    if name not in gatherers:
        gatherers[name] = Gatherer(lambda texts: _dealt_vectors(name, texts, dealer), _GATHERED)
    return gatherers[name]


def _dealt_vectors(name: str, texts: Sequence[str], dealer: Dealer) -> list[Any]:
    different, found = list(dict.fromkeys(texts)), dict[int, Any]()
    items = [Item(key=f"{name}: {text[:40]!r}", value=text) for text in different]
    failed = dealer.compute(vector_kind(name), items, found.update)
    found.update({place: ValueError(reason) for place, reason in failed.items()})
    by_text = {text: found[place] for place, text in enumerate(different)}
    return [by_text[text] for text in texts]


@cache
def _vector(name: str, text: str) -> tuple[float, ...]:
    """A text's vector, of length 1: computed once, because asking ahead and scoring both need it.

    Raises:
        ValueError: The encoder can't read the text.
    """
    (found,) = text_vectors(name, [text])
    if isinstance(found, ValueError):
        raise found
    return found
