"""Stores answers and scores by content: prompt, weights, and plan.

A key is the hash of everything that determines the value, so a retrained adapter in the same directory never
gets an old answer, and nothing has to be invalidated. Each batch is written when it is finished.
"""

import hashlib
import json
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache as memoised
from importlib import metadata
from pathlib import Path
from typing import Any, Self, TypeVar

from harness.errors import SettingsError
from harness.history.database import open_renewable
from harness.prompts.rendering import RenderedPrompt
from harness.run.cache_entries import Entry, RefusedText, entry_fields, read_entry, written_entry
from harness.types import (
    EXACT_DTYPES,
    UNKNOWN_WEIGHTS,
    Completion,
    ExecutionPlan,
    GenerationSettings,
    JudgeReply,
    Message,
    ModelRef,
    Score,
    TextLoss,
)
from harness.types.storage import why_no_file

_T = TypeVar("_T")
_PROMPT_REVISION = 4  # raised when a change to rendering changes prompts
_GIVEN = ("max_new_tokens", "temperature", "top_p", "seed", "stop")
_RENDERING = ("chat_template_kwargs", "date", "tools")
# Of these engines all that decides a prompt is known here: it is rendered, or the last message alone.
_PROMPTED = frozenset({"transformers", "vllm", "multitask"})
_ENGINE_REVISION = 13  # raised when a change to the engine changes answers
_REPLY_REVISION = 3  # raised when a change to requests to servers, or to reading their replies, does so
_STATEMENTS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=NORMAL",
    "CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
)
_ALL, _SOME = "SELECT key, value FROM entries", "SELECT key, value FROM entries WHERE key IN ({})"
_AT_ONCE = 500  # SQLite takes at least 999 values in a statement
_STORE, _SORTED = "INSERT OR REPLACE INTO entries VALUES (?, ?)", json.JSONEncoder(sort_keys=True).encode

# Such keys are of one session: weights that nobody identifies may be others in the next one.
_OF_SESSION = "session:"
_FORGOTTEN = "answers of servers whose weights nobody identifies are not kept (--gate-model-id)"


def completion_keys(
    model: ModelRef, plan: ExecutionPlan
) -> Callable[[tuple[Message, ...], GenerationSettings, str, RenderedPrompt | None], str]:
    """What makes the keys of one model's answers; the text of its computation is the same in all of them.

    Args:
        model: The model.
        plan: How it computes.

    Returns:
        Makes a key of a conversation, how the answer is generated, the case's name, on which only a sample
        (temperature above 0) depends, and the rendered prompt: None for models that read none.
    """
    scope, computed = _scope(plan, model), _SORTED(_computation(model, plan))

    def key(
        messages: tuple[Message, ...], settings: GenerationSettings, salt: str, prompt: RenderedPrompt | None
    ) -> str:
        asked = [message.key for message in messages]
        given = {name: getattr(settings, name) for name in _GIVEN}
        # Settings that only change the prompt are not among them: the prompt is, or what it is made of.
        later = {name: value for name, value in settings.later_settings.items() if name not in _RENDERING}
        prompting = _prompting(plan.engine, messages, settings, prompt)
        rest = _SORTED([asked, {**given, **later}, salt if settings.temperature > 0 else "", *prompting])
        return scope + _hash_text(f'["completion", {computed}, {rest[1:]}')

    return key


def _prompting(
    engine: str, messages: tuple[Message, ...], settings: GenerationSettings, prompt: RenderedPrompt | None
) -> list[object]:
    """The rendered prompt, or all from which an engine or a server renders one itself."""
    if prompt is not None:
        return [prompt.sha256]
    if engine in _PROMPTED or not messages:
        return []
    return [{"rendering": settings.rendering(messages), "task": settings.task}]


def prompt_key(model: ModelRef, messages: tuple[Message, ...], settings: GenerationSettings) -> str:
    """Key of a rendered prompt: the files of tokenizer and template, and their inputs.

    Args:
        model: The model.
        messages: The conversation.
        settings: Values for the template.
    """
    asked = [message.key for message in messages]
    files = [model.base_sha256, model.adapter_sha256, *_lent_tokenizer(model)]
    reads, libraries = settings.rendering(messages), (_version("transformers"), _version("jinja2"))
    return _hash("prompt", _PROMPT_REVISION, files, asked, reads, *libraries)


def context_key(model: ModelRef) -> str:
    """Key of the length of a model's context."""
    return _hash("context", _PROMPT_REVISION, model.base_sha256, _version("transformers"))


def loss_key(
    model: ModelRef,
    plan: ExecutionPlan,
    messages: tuple[Message, ...],
    text: str,
    against: ModelRef | None = None,
    prompt: RenderedPrompt | None = None,
    options: tuple[str, ...] = (),
    settings: GenerationSettings | None = None,
) -> str:
    """Key of one text's cross-entropy, or of the divergence from another model on it.

    Args:
        model: The model.
        plan: How it computes.
        messages: The conversation before the text.
        text: The scored text.
        against: The model from which the divergence is measured.
        prompt: The rendered conversation; None if there is none.
        options: The texts with which it is compared, if it is an option.
        settings: What an engine that gets no prompt renders the conversation with; None for the usual.
    """
    asked: list[object] = [message.key for message in messages]
    asked += _prompting(plan.engine, messages, settings or GenerationSettings(), prompt)
    asked += ["begun"] if messages and plan.engine == "openai" else []  # behind marks before an answer
    asked += [{"options": options}] if options else []
    if against is not None:  # revision 2: each side begins a text with its own first token
        computed = _computation(model, plan), _computation(against, plan)
        return _scope(plan, model, against) + _hash("divergence 2", *computed, asked, text)
    return _scope(plan, model) + _hash("loss", _computation(model, plan), asked, text)


def _scope(plan: ExecutionPlan, *models: ModelRef) -> str:
    unknown = any(model.base_sha256.startswith(UNKNOWN_WEIGHTS) for model in models)
    # What a server that somebody else started computes with, is known to nobody here.
    unknown |= plan.engine == "vllm" and not (plan.server and plan.server.identity)
    return _OF_SESSION if unknown else ""


def _computation(model: ModelRef, plan: ExecutionPlan) -> list[object]:
    # A server that renders itself decides about its batches, and no library of this machine computes.
    is_here = plan.server is None or plan.engine in _PROMPTED
    libraries = ("torch", "transformers", "peft", "tokenizers", "bitsandbytes") if is_here else ()
    return [
        _ENGINE_REVISION,
        model.base_sha256,
        model.adapter_sha256,
        plan.engine,
        plan.dtype,
        plan.device.split(":")[0],
        None if plan.dtype in EXACT_DTYPES or not is_here else plan.batch_tokens,
        [_version(library) for library in libraries],
        *([] if plan.weights == "peft" else [plan.weights]),
        *([plan.server.identity] if plan.engine == "vllm" and plan.server else []),
        *([f"replies {_REPLY_REVISION}"] if plan.server else []),
        *_lent_tokenizer(model),
    ]


def _lent_tokenizer(model: ModelRef) -> list[str]:
    """The tokenizer of a base that has none; that of all others is among the hashed files."""
    return [] if model.tokenizer_sha256 is None else [model.tokenizer_sha256]


@memoised
def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "missing"


def _hash(*parts: object) -> str:
    return _hash_text(_SORTED(parts))


def _hash_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class Cache:
    """A key-value file. Without a path it is only in memory (``--gate-no-cache``).

    A file that breaks ends no run: what can't be stored is kept in memory, what can't be read computed anew.

    Attributes:
        problem: What is wrong with the file, in one line; empty if nothing is.
        forgets: Which answers the next session won't find; empty if it finds all.
    """

    def __init__(
        self, path: Path | None, *, lazily: bool = False, make: Callable[[], object] | None = None
    ) -> None:
        """Open or create the file.

        Args:
            path: The file, or None.
            lazily: Keep everything in memory until :meth:`open` is called.
            make: Called before the first entry of such a cache is stored, which opens it.

        Raises:
            SettingsError: The file can't be opened, or is not a cache.
        """
        self.problem = ""
        self.forgets = "nothing is kept (--gate-no-cache)" if path is None else ""
        self._path = path
        # What the file did not take, and what is of this session alone.
        self._unstored: dict[str, str] = {}
        # A judge's thread stores replies while the main thread stores answers.
        self._lock = threading.RLock()
        self._database = self._opened(None if lazily else path)
        self._is_open = not lazily
        self._make = make

    def open(self) -> None:
        """Open or create the file of a cache that was made lazily, and store what is in memory.

        Raises:
            SettingsError: As for a new cache.
        """
        if self._is_open:
            return
        with self._lock:
            rows = self._database.execute(_ALL).fetchall()
            self._database.close()
            self._database = self._opened(self._path)
            self._is_open = True
            self._store(rows)

    def _opened(self, path: Path | None) -> sqlite3.Connection:
        remedy = "move the file away or use --gate-no-cache"
        if path is not None and (problem := why_no_file(path)) is not None:
            raise SettingsError(f"{path}: the cache can't be opened: it {problem}; {remedy}")
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            database, damage = open_renewable(path, _STATEMENTS)
        except (sqlite3.Error, OSError) as error:
            raise SettingsError(f"{path}: the cache can't be opened: {error}; {remedy}") from error
        if damage:
            self.problem = f"{path}: the cache is damaged ({damage}), and what it held is computed anew"
        return database

    def __enter__(self) -> Self:
        """Use the cache in a with block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file; further use is an error."""
        with self._lock:
            self._database.close()

    def get_completion(self, key: str) -> Completion | None:
        """A stored answer."""
        return self._read(key, Completion)

    def get_completions(self, keys: Sequence[str]) -> Iterator[Completion | None]:
        """Stored answers, in the order of their keys."""
        return self._read_all(keys, Completion)

    def get_timed(self, keys: Sequence[str]) -> Iterator[Completion | None]:
        """Stored answers whose time is known, in the order of their keys."""
        return self._read_all(keys, Completion, timed=True)

    def get_losses(self, keys: Sequence[str]) -> Iterator[TextLoss | None]:
        """Stored cross-entropies, in the order of their keys."""
        return self._read_all(keys, TextLoss)

    def get_refusals(self, keys: Sequence[str]) -> Iterator[RefusedText | None]:
        """Why there is no cross-entropy, where a server refused it, in the order of their keys."""
        return self._read_all(keys, RefusedText)

    def get(self, key: str) -> Score | None:
        """A stored score."""
        return self._read(key, Score)

    def get_reply(self, key: str) -> JudgeReply | None:
        """A judge's stored reply."""
        return self._read(key, JudgeReply)

    def get_prompt(self, key: str) -> RenderedPrompt | None:
        """A stored rendered prompt."""
        return self._read(key, RenderedPrompt)

    def get_context(self, key: str) -> tuple[int | None] | None:
        """A model's context in tokens, (None,) if it has no limit; None if it isn't stored."""
        tokens = (self._get(key) or {}).get("tokens", "")
        return (tokens,) if tokens is None or isinstance(tokens, int) else None

    def put_context(self, key: str, tokens: int | None) -> None:
        """Store the length of a model's context.

        Args:
            key: The model's context_key.
            tokens: Its context in tokens; None if unknown.
        """
        self._put(key, json.dumps({"tokens": tokens}))

    def put_reply(self, key: str, reply: JudgeReply) -> None:
        """Store a judge's reply."""
        self.put_all({key: reply})

    def put(self, key: str, value: Score) -> None:
        """Store one score.

        Args:
            key: Hash of the check and of everything that it reads.
            value: The score.
        """
        self.put_all({key: value})

    def _put(self, key: str, value: str) -> None:
        self._store([(key, value)])

    def put_all(self, values: Mapping[str, Entry]) -> None:
        """Store a batch of values in one transaction."""
        self._store([(key, written_entry(value)) for key, value in values.items()])

    def put_untimed(self, values: Mapping[str, Completion]) -> None:
        """Store answers whose time isn't known yet, in one transaction."""
        self._store([(key, written_entry(value, untimed=True)) for key, value in values.items()])

    def _store(self, rows: list[tuple[str, str]]) -> None:
        kept = [row for row in rows if row[0][: len(_OF_SESSION)] != _OF_SESSION]
        if len(kept) < len(rows):
            self.forgets = self.forgets or _FORGOTTEN
        with self._lock:
            self._unstored.update(row for row in rows if row[0][: len(_OF_SESSION)] == _OF_SESSION)
            if kept and not self._is_open and self._make is not None:
                self._make()
                self.open()
            try:
                self._write(kept)
            except sqlite3.DatabaseError as error:
                self._note(error)
                self._unstored.update(kept)

    def _write(self, rows: list[tuple[str, str]]) -> None:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            self._database.executemany(_STORE, rows)
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:  # a full disk ends it
                self._database.execute("ROLLBACK")
            raise

    def _note(self, error: sqlite3.DatabaseError) -> None:
        """Note a fault of the file; one of the caller's is raised."""
        if isinstance(error, sqlite3.ProgrammingError):
            raise error
        self.problem = self.problem or (
            f"{self._path}: the cache broke ({error}): some answers are not stored, and "
            f"the next run needs the model for them; make room, or move the file away"
        )

    def _texts(self, keys: Sequence[str]) -> dict[str, str]:
        """The stored texts of some keys, as many as one statement takes."""
        with self._lock:
            try:
                rows = self._database.execute(_SOME.format(", ".join("?" * len(keys))), keys).fetchall()
            except sqlite3.DatabaseError as error:
                self._note(error)
                if len(keys) > 1:
                    # What is not on the damaged page can still be read.
                    return {name: text for key in keys for name, text in self._texts([key]).items()}
                rows = []
            return {**dict(rows), **{key: self._unstored[key] for key in keys if key in self._unstored}}

    def _get(self, key: str) -> dict[str, Any] | None:
        return entry_fields(self._texts([key]).get(key))

    def _read(self, key: str, kind: type[_T]) -> _T | None:
        return next(self._read_all([key], kind))

    def _read_all(self, keys: Sequence[str], kind: type[_T], *, timed: bool = False) -> Iterator[_T | None]:
        """Values; one that is damaged, or of another version, is as good as none, and is computed anew."""
        for start in range(0, len(keys), _AT_ONCE):
            some = keys[start : start + _AT_ONCE]
            texts = self._texts(some)
            yield from (read_entry(texts.get(key), kind, timed=timed) for key in some)
