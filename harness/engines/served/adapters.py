"""Adapters on a server with vLLM's API: loaded under the hash of their content, unloaded afterwards.

By the name of a path or directory, a server's prefix cache would answer as an earlier training did.
"""

import uuid
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.engines.served.address import without_keys
from harness.engines.served.chat import send_text
from harness.engines.served.client import RefusedError, ServerClient, ServerError
from harness.engines.served.describe import (
    PATIENCE,
    UnreachableError,
    list_models,
    open_client,
    refuse_without_client,
)
from harness.engines.served.identity import fingerprint_of, listed_weights, weights_identity
from harness.engines.served.plain_lora import refuse_unusual
from harness.engines.served.pool import Job, ServerPool
from harness.engines.served.process import find_command, start_server
from harness.engines.served.replies import first_choice
from harness.errors import AdapterError, AllFailedError, ModelError, NoneAnsweredError
from harness.models.resolve import adapter_sha256, model_sha256, plain_reference
from harness.types import ModelRef, ServerUse

# Loading an adapter is waited for longer than an answer.
_PATIENCE: dict[str, Any] = {"timeout_s": 600.0, "attempts": 3}
# Other sessions may unload an adapter, each once.
ROUNDS = 4


class LoadedAdapters:
    """The adapters of one session on one server.

    Attributes:
        url: The server's address.
        base: The server's name of the base.
        fingerprints: What the server says with replies of a name; None where it lists no weights.
    """

    def __init__(self, models: Sequence[ModelRef], use: ServerUse) -> None:
        """Join or start a server; adapters are loaded when their name is asked for.

        Args:
            models: Adapters of one base, the base among them or not.
            use: The server to join, or none.

        Raises:
            InputError: A model is none that such a server can run, or the server has another base.
            EngineError: No server can be started.
        """
        adapters = [model for model in models if model.adapter_dir is not None]
        for adapter in adapters:
            refuse_unusual(adapter)
        if len({model.base_sha256 for model in models}) > 1:
            labels = " and ".join(model.label for model in models)
            raise ModelError(f"{labels} have different bases, and a server has one; gate them one by one")
        refuse_without_client()  # starting a server takes a minute
        self.url = use.url or start_server(models[0], adapters, use.arguments)
        self._pool = ServerPool([open_client(self.url, **_PATIENCE)], 1)
        self._client = open_client(self.url, **PATIENCE)
        self.fingerprints: dict[str, str | None] = {}
        self._model = models[0]
        self.base = self._find_base()
        self._own: set[str] = set()
        self._known: dict[str, ModelRef] = {}
        # The directories that the server reads them from.
        self._read: dict[str, Path] = {}
        self._refuse_any_name(use.timeout_s)

    def name_of(self, model: ModelRef) -> str:
        """The server's name of a model; an adapter is loaded if it isn't.

        Raises:
            ModelError: The server doesn't load it, or has another one under its name.
            AdapterError: Its files are others than before.
        """
        if model.adapter_dir is None or model.adapter_sha256 is None:
            return self.base
        name = model.adapter_sha256
        if name not in self._known:
            self._join(name, model)
            self._known[name] = model
            self.check_files()
        return name

    def forget_lost(self) -> list[ModelRef]:
        """The adapters that the server has no longer; they are loaded when their name is asked for again.

        Another session unloaded them at its end, or the server was started anew.

        Raises:
            ModelError: It can't be reached, or has another base now.
        """
        listed = self._listed()
        lost = [name for name in self._known if name not in listed]
        if lost:
            self.base = self._find_base()
        return [self._known.pop(name) for name in lost]

    def check_files(self) -> None:
        """Check that the adapters' files are still those that were identified: the server reads them itself.

        A server that says with each reply what answered needs no such check.

        Raises:
            AdapterError: They are others.
        """
        for name, model in self._known.items():
            if self.fingerprints.get(name) is None and adapter_sha256(self._read[name]) != name:
                raise AdapterError(
                    f"{model.label}: its files changed while {self.url} used them: which of them answered is "
                    f"not known; gate it once more"
                )

    def unload(self, *, is_gone: bool = False) -> None:
        """Unload the adapters that were loaded here; a server that gives no reply is not waited for long.

        Args:
            is_gone: Whether it gave none to what it was asked before; then it isn't asked.
        """
        for name in [] if is_gone else sorted(self._own):
            try:
                self._ask("unload_lora_adapter", {"lora_name": name}, self._client)
            except ServerError as error:
                if error.is_unreachable:
                    break
                # The answers don't depend on it, but the server keeps a place for it.
                if self._is_listed(name):
                    warnings.warn(f"{self.url} does not unload the adapter {name}: {error}", stacklevel=2)
        self._own.clear()
        self._known.clear()

    def _listed(self) -> dict[str, Mapping[str, Any]]:
        return {str(entry.get("id")): entry for entry in list_models(self._client) or []}

    def _is_listed(self, name: str) -> bool:
        """Whether the server still has a model; False if it is not there any more."""
        try:
            return name in self._listed()
        except ModelError:
            return False

    def _join(self, name: str, model: ModelRef) -> None:
        """Load an adapter, unless another session has loaded the same content; that one unloads it itself.

        It may do so just now, or may have crashed: what is left is read anew from its files as they are.

        Raises:
            ModelError: The server doesn't load it, or has another one under its name.
        """
        own = Path(str(model.adapter_dir))
        for _ in range(ROUNDS):
            self._read[name] = own
            entry = self._listed().get(name)
            if entry is not None and (root := _other_root(entry, own)) is not None:
                self._read[name] = root
                if not _holds(root, name):
                    self._unload_others(name, model, root)
                    continue
            if entry is None:
                self._load(name, model)
                entry = self._listed().get(name)
            if entry is not None:
                self._check(name, model, entry)
                return
        raise ModelError(f"{model.label}: {self.url} says that it loaded it, and does not list it")

    def _unload_others(self, name: str, model: ModelRef, root: Path) -> None:
        try:
            self._ask("unload_lora_adapter", {"lora_name": name})
        except ServerError as error:
            if name in self._listed():
                raise ModelError(
                    f"{model.label}: {self.url} has it from {root}, whose files are others now, and does not "
                    f"unload it: {error}"
                ) from error

    def _check(self, name: str, model: ModelRef, entry: Mapping[str, Any]) -> None:
        weights = listed_weights(entry.get("content"))
        if weights is not None and weights["adapter_sha256"] != model.adapter_sha256:
            raise ModelError(
                f"{model.label}: {self.url} has another adapter under its hash, as where files change after "
                f"they were read: unload {name}, and gate it once more"
            )
        self.fingerprints[name] = _fingerprint(entry)

    def _load(self, name: str, model: ModelRef) -> None:
        try:
            self._ask("load_lora_adapter", {"lora_name": name, "lora_path": model.adapter_dir})
        except ServerError as error:
            # Another session may load the same content at the same time.
            if isinstance(error, RefusedError) and name in self._listed():
                return
            said = f"{model.label}: {self.url} does not load it: {error}{_remedy(error)}"
            if isinstance(error, RefusedError):
                raise ModelError(said) from error
            raise (UnreachableError if error.is_unreachable else NoneAnsweredError)(said, {}) from error
        self._own.add(name)

    def _find_base(self) -> str:
        entry = _base_on(self.url, self._client, self._model)
        name = str(entry["id"])
        self.fingerprints[name] = _fingerprint(entry)
        return name

    def _refuse_any_name(self, timeout_s: float) -> None:
        """Check that the server refuses a name that it doesn't have.

        Args:
            timeout_s: Longest time for an answer.

        Raises:
            ModelError: It answers: an adapter that it loses would be answered for by its base.
        """
        body = {"model": f"tunegate-{uuid.uuid4().hex}", "prompt": [0], "max_tokens": 1}
        try:
            ServerPool([open_client(self.url, timeout_s=timeout_s, attempts=3)], 1).ask(
                Job(body=body, send=send_text, read=lambda reply, _sent: first_choice(reply, "completion"))
            )
        except RefusedError:
            return
        except ServerError as error:
            raise gone(f"{self.url}: {error}", error) from None
        raise ModelError(
            f"{self.url}: answers for names of models that it does not have, so an adapter could be its base "
            f"without a word; name the server's own address"
        )

    def _ask(self, path: str, body: dict[str, Any], client: ServerClient | None = None) -> None:
        async def send(client: Any, sent: dict[str, Any]) -> Any:
            return await client.post(f"/{path}", cast_to=str, body=sent)

        pool = self._pool if client is None else ServerPool([client], 1)
        pool.ask(Job(body=body, send=send, read=lambda reply, _sent: reply))


def refuse_beforehand(model: ModelRef, url: str | None) -> None:
    """Check what opening an engine would find, where something else is answered before that.

    Args:
        model: A base, or an adapter.
        url: The server's address; None where one is to be started.

    Raises:
        InputError: Such a server can't run the model, has another base, can't be reached or can't be started.
    """
    if model.adapter_dir is not None:
        refuse_unusual(model)
    if url is None:
        refuse_without_client()
        find_command("--plans vllm", "vllm:URL")
    else:
        _base_on(url, open_client(url, **PATIENCE), model)


def gone(said: str, error: ServerError) -> NoneAnsweredError | AllFailedError:
    """What stands for a server that can't be asked anything: it is not there, or fails at the least there is.

    Args:
        said: What was found.
        error: The client's error.
    """
    return UnreachableError(said, {}) if error.is_unreachable else AllFailedError(said, {})


def _other_root(entry: Mapping[str, Any], own: Path) -> Path | None:
    """Where a server reads a listed adapter from, if that is another directory, and it says no hashes."""
    root = entry.get("root")
    is_other = isinstance(root, str) and Path(root) != own and listed_weights(entry.get("content")) is None
    return Path(str(root)) if is_other else None


def _holds(directory: Path, content: str) -> bool:
    """Whether a directory, if it can be read here, has an adapter of this content."""
    try:
        return adapter_sha256(directory) == content
    except (AdapterError, ModelError, OSError):
        return False


def _fingerprint(entry: Mapping[str, Any]) -> str | None:
    weights = listed_weights(entry.get("content"))
    return None if weights is None else fingerprint_of(weights_identity(weights))


def _remedy(error: ServerError) -> str:
    """What to do where a server doesn't load an adapter."""
    if "rank" in str(error).casefold():
        return "; start it with a larger --max-lora-rank"
    if isinstance(error, RefusedError) and error.status in {403, 404, 405}:
        return (
            "; start it with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True, on a machine that has "
            "this path"
        )
    return ""


def _base_on(url: str, client: ServerClient, model: ModelRef) -> dict[str, Any]:
    """The server's entry of a model's base.

    Raises:
        ModelError: The server has another base.
    """
    bases = [entry for entry in list_models(client) or [] if entry.get("parent") is None and "root" in entry]
    plain = plain_reference(model.base_model)
    for entry in bases:
        content, root = entry.get("content"), str(entry.get("root"))
        if isinstance(content, Mapping) and content.get("base_sha256") is not None:
            is_it = content["base_sha256"] == model.base_sha256
        else:
            # One that is started here has our name of a hub's model.
            named = any(name in (entry.get("id"), root) for name in (model.base_model, plain))
            is_it = named or (Path(root).is_dir() and model_sha256(Path(root)) == model.base_sha256)
        if is_it:
            return entry
    names = without_keys(", ".join(str(entry.get("root") or entry.get("id")) for entry in bases)) or "none"
    raise ModelError(
        f"{url}: serves {names}, and the base is {plain}: serve that one, under this name "
        f"(--served-model-name) if its path is another there"
    )
