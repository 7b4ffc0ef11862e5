"""What is known of a served model before it is asked: its name, and whether its weights are."""

import json
import os
import uuid
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from harness.engines.served.address import (
    DEFAULT_URL,
    MODEL_KEY,
    OPENAI_KEY,
    find_key,
    read_reference,
    without_keys,
)
from harness.engines.served.client import RefusedError, ServerClient, ServerError
from harness.engines.served.identity import hashed, listed_weights, weights_identity
from harness.engines.served.pool import Job, ServerPool
from harness.errors import ModelError, NoneAnsweredError, SettingsError
from harness.types import UNKNOWN_WEIGHTS, ModelRef
from harness.types.training import TrainingManifest

CHAT, PLAIN = "openai", "openai-completions"
# Parameters that some servers refuse, and their replacements; an answer is cut at stop texts here, too.
_OPTIONAL: dict[str, str | None] = {
    "seed": None,
    "max_tokens": "max_completion_tokens",
    "stop": None,
    "temperature": None,
    "top_p": None,
}
# Of a reply that is something else: LM Studio answers any address so.
_OTHER = 200
_VARIABLES = (MODEL_KEY, OPENAI_KEY)
_LIBRARIES = ("openai", "tenacity")
# What is asked for may be no name of the list: a deployment (Azure), or a name with a suffix (OpenRouter).
_UNLISTED = "if it answers for a name that it does not list, vouch for the model by --gate-model-id"
_LONGEST_REPLY, _MOST_NAMES = 120, 8
# Describing a model waits less long than asking it: a server that isn't there is noticed soon.
PATIENCE: dict[str, Any] = {"timeout_s": 20.0, "attempts": 3, "first_wait_s": 0.3}


class UnreachableError(NoneAnsweredError):
    """Of requests that were asked together, none found a server; or nothing could be asked, for that reason.

    Attributes:
        reason: What was found, without advice.
    """

    def __init__(self, reason: str, failures: Mapping[int, str]) -> None:
        """Store the reason, and those of requests by index."""
        super().__init__(f"{reason}; is the server running?", failures)
        self.reason = reason


def describe_chat(reference: str, model_id: str | None = None) -> ModelRef:
    """A model that answers chat completions, ``openai:MODEL@URL``.

    Args:
        reference: ``MODEL@URL``, with several addresses of one pool separated by commas.
        model_id: The user's word for what its weights are; None leaves it to the server.

    Raises:
        SettingsError: The reference can't be read, or a key or library is missing.
        ModelError: The server can't be reached, or serves no such model.
    """
    return _describe(CHAT, reference, model_id)


def describe_plain(reference: str, model_id: str | None = None) -> ModelRef:
    """A model that continues texts, ``openai-completions:MODEL@URL``.

    Args:
        reference: As for describe_chat.
        model_id: As for describe_chat.
    """
    return _describe(PLAIN, reference, model_id)


def _describe(engine: str, reference: str, model_id: str | None) -> ModelRef:
    model, urls = read_model(engine, reference)
    base: str | None = None
    if model_id is not None:
        identity = hashed(["vouched", model, sorted(urls), model_id])
    else:
        entries = {url: _entry(engine, model, url) for url in urls}
        identity = _identity(engine, model, entries)
        base = _base(engine, urls, entries.values())
    return ModelRef(
        label=f"{engine}:{reference}",
        base_model=reference,
        base_sha256=identity,
        training=None if base is None else TrainingManifest(base=base),
    )


def named_base(engine: str, reference: str) -> str | None:
    """The base that servers name for a model, where a user's word stands for what they list; None for none.

    Args:
        engine: ``openai`` or ``openai-completions``.
        reference: As for describe_chat.

    Raises:
        ModelError: No server can be reached.
    """
    model, urls = read_model(engine, reference)
    entries, problem = [], ""
    for url in urls:
        try:
            entries.append(_entry(engine, model, url, must_be_there=False))
        except ModelError as error:
            problem = str(error)
    if not entries:
        raise ModelError(f"{problem} It names the base to compare with: else give --gate-baseline")
    return _base(engine, urls, entries)


def _base(engine: str, urls: Sequence[str], entries: Iterable[Mapping[str, Any]]) -> str | None:
    """The base that all of a model's entries name, as a reference; None if they name none, or several."""
    parents = {parent if isinstance(parent := entry.get("parent"), str) else "" for entry in entries}
    parent = parents.pop() if len(parents) == 1 else ""
    return f"{engine}:{parent}@{','.join(urls)}" if parent else None


def read_model(engine: str, reference: str) -> tuple[str, tuple[str, ...]]:
    """The model's name and the addresses of its servers.

    Args:
        engine: ``openai`` or ``openai-completions``.
        reference: As for describe_chat.

    Raises:
        SettingsError: The reference can't be read.
    """
    return read_reference(reference, f"model {engine}", f"{engine}:MODEL@URL", _VARIABLES)


def refuse_without_client() -> None:
    """Check that the libraries are there that ask a server.

    Raises:
        SettingsError: One is missing.
    """
    if missing := [name for name in _LIBRARIES if find_spec(name) is None]:
        raise SettingsError(f"{', '.join(missing)} not installed: pip install 'tunegate[judge]'")


def open_client(url: str, environment: Mapping[str, str] = os.environ, **patience: Any) -> ServerClient:
    """The client of a server, with its key.

    Args:
        url: The server's address.
        environment: Holds the key.
        patience: As for ServerClient.

    Raises:
        SettingsError: A library is missing, or OpenAI's own server has no key.
    """
    refuse_without_client()
    key = find_key(environment, url)
    if key is None and url == DEFAULT_URL:
        raise SettingsError(f"{url}: no key: set {' or '.join(_VARIABLES)}")
    return ServerClient(url, key, optional=_OPTIONAL, **patience)


def _entry(engine: str, model: str, url: str, *, must_be_there: bool = True) -> Mapping[str, Any]:
    """What a server says of the model in its list of models; empty if it has no list.

    Raises:
        ModelError: It can't be reached, or lists other models only, and the model must be there.
    """
    listed = list_models(open_client(url, **PATIENCE))
    if listed is None:
        return {}
    found = next((entry for entry in listed if entry.get("id") == model), None)
    if found is None and must_be_there:
        raise ModelError(
            f"{engine}:{model}@{url}: the server has no such model (it serves: {_names(listed)}); {_UNLISTED}"
        )
    return found or {}


def _names(listed: Sequence[Mapping[str, Any]]) -> str:
    names = without_keys(", ".join(str(entry.get("id")) for entry in listed[:_MOST_NAMES])) or "none"
    return f"{names} and {len(listed) - _MOST_NAMES} more" if len(listed) > _MOST_NAMES else names


def list_models(client: ServerClient) -> list[dict[str, Any]] | None:
    """A server's models; None if it has no list.

    Raises:
        ModelError: It can't be reached, refuses the key, or answers with something else.
    """

    async def send(asked: Any, _body: dict[str, Any]) -> Any:
        return await asked.get("/models", cast_to=object)

    def read(reply: Any, _sent: dict[str, Any]) -> list[dict[str, Any]]:
        # Together's list has nothing around it; Ollama writes null where it has no model.
        data = reply.get("data", reply) if isinstance(reply, Mapping) else reply
        if not isinstance(data, list | None):
            said = " ".join(client.clean(str(reply)).split())[:_LONGEST_REPLY]
            raise RefusedError(f"no list of models, but {said!r}; is the address right, up to /v1?", _OTHER)
        return [entry for entry in data or [] if isinstance(entry, dict)]

    try:
        found: list[dict[str, Any]] = ServerPool([client], 1).ask(Job(body={}, send=send, read=read))
    except RefusedError as error:
        if error.status in {404, 405, 501}:
            return None
        raise ModelError(f"{client.url}: {error}") from None
    except ServerError as error:
        raise UnreachableError(f"{client.url}: {error}", {}) from None
    return found


def answering_any_name(engine: str, reference: str, other: str) -> str | None:
    """The address of a server of two models that answers for a name that it doesn't have; None if none does.

    Args:
        engine: ``openai`` or ``openai-completions``.
        reference: A model, as for describe_chat.
        other: Another one.
    """
    shared = {*read_model(engine, reference)[1]} & {*read_model(engine, other)[1]}
    return next((url for url in sorted(shared) if _answers_any_name(engine, url)), None)


def _answers_any_name(engine: str, url: str) -> bool:
    body: dict[str, Any] = {"model": f"tunegate-{uuid.uuid4().hex}", "max_tokens": 1}
    asked = {"messages": [{"role": "user", "content": "Hello"}]} if engine == CHAT else {"prompt": "Hello"}

    async def send(client: Any, sent: dict[str, Any]) -> Any:
        completions = client.chat.completions if engine == CHAT else client.completions
        return await completions.create(**sent)

    def read(reply: Any, _sent: dict[str, Any]) -> bool:
        return bool(getattr(reply, "choices", None))

    try:
        found: bool = ServerPool([open_client(url, **PATIENCE)], 1).ask(
            Job(body=body | asked, send=send, read=read)
        )
    except ServerError:
        # It refuses the name, or isn't there any more.
        return False
    return found


def _identity(engine: str, model: str, entries: Mapping[str, Mapping[str, Any]]) -> str:
    """A hash of the weights, where every server reports theirs; else a name that no other session has.

    The ``system_fingerprint`` of other servers is not enough: those of llama.cpp and Ollama name their build,
    that of vLLM its version and configuration.

    Raises:
        ModelError: Servers of one pool report other weights, or only some of them report any.
    """
    contents = {url: listed_weights(entry.get("content")) for url, entry in entries.items()}
    known = {json.dumps(content, sort_keys=True) for content in contents.values() if content}
    if len(known) > 1:
        raise ModelError(
            f"{engine}:{model}@{','.join(contents)}: the servers of the pool serve different weights, or "
            f"compute with other devices or libraries; gate them one by one"
        )
    silent = [url for url, content in contents.items() if not content]
    if known and silent:
        raise ModelError(
            f"{engine}:{model}@{','.join(contents)}: no weights are listed by {' and '.join(silent)}, and "
            f"by others of the pool they are: whether it is one model is not known; gate them one by one, "
            f"or vouch for it by --gate-model-id"
        )
    if known:
        return weights_identity(json.loads(known.pop()))
    return f"{UNKNOWN_WEIGHTS}{uuid.uuid4().hex}"
