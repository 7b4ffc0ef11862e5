"""Asks a judge: each question once, many at a time, while the program does other work.

Questions run in a thread of their own. A reply is stored by content as soon as it arrives, so a killed run
continues where it stopped, and a second run asks nothing.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from contextlib import AbstractContextManager
from dataclasses import replace
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from harness.engines.workers.functions import Dealer
from harness.errors import JudgeError, faults_of
from harness.judge.base import JudgeEngine, checked_reply, may_be_asked_again
from harness.judge.questions import apart_from_scoring, for_the_format, of_whole_characters, reply_key
from harness.judge.replies import is_bare_object, prepare_reading, read_reply
from harness.judge.reply_objects import ReplyError
from harness.judge.snapshots import Snapshots
from harness.registry import active
from harness.registry.listeners import LISTENERS, Work, tell
from harness.types import JudgeReply, JudgeRequest, JudgeUsage

_T = TypeVar("_T")
# A reply that can't be read is requested once more: a server's fault may have cut it.
_READINGS = 3


class ReplyStore(Protocol):
    """Stores replies by content; used from several threads."""

    def get_reply(self, key: str) -> JudgeReply | None:
        """The reply stored under a key, or None."""

    def put_reply(self, key: str, reply: JudgeReply) -> None:
        """Store one reply.

        Args:
            key: The request's reply_key.
            reply: The reply.
        """


class Judge:
    """One judge with its stored replies.

    Attributes:
        renewals: How often another session began, or stored replies were another judge's: verdicts from
            before may be, too.
    """

    def __init__(
        self,
        engine: JudgeEngine,
        store: ReplyStore,
        *,
        concurrency: int = 8,
        prices: tuple[float, float] | None = None,
    ) -> None:
        """Nothing is sent yet.

        Args:
            engine: The engine that answers.
            store: Where replies are looked up and stored.
            concurrency: How many questions are sent at a time.
            prices: Prices of a million prompt tokens and a million completion tokens, in any currency.
        """
        self._engine, self._store, self._prices = engine, store, prices
        self._concurrency = concurrency
        self._asked: dict[str, Future[JudgeReply]] = {}
        self._snapshots, self.renewals = Snapshots(), 0
        self._known: JudgeRequest | None = None  # a question whose reply was stored
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._slots: asyncio.Semaphore | None = None
        self._closed = False
        self._from_cache = self._failed = self._unstructured = self._prompt_tokens = (
            self._completion_tokens
        ) = 0

    @property
    def identity(self) -> str:
        """Identifies the judge; contains no secret."""
        return self._engine.identity

    @property
    def scorer(self) -> str:
        """Who judges, wherever it runs: by its files, else as its replies name it; empty without a reply.

        What a name stands for may change at a server: its replies then have another one.
        """
        return self._by_files or ", ".join(self.names)

    @property
    def names(self) -> list[str]:
        """Its replies' names, else that of its spec; several where a server deals the questions."""
        asked = self.identity.partition("@")[0]
        return sorted({name or asked for name in self._snapshots.names})

    @property
    def _by_files(self) -> str:
        return str(getattr(self._engine, "scorer", ""))

    @property
    def overlaps(self) -> bool:
        """Whether judging needs little of this machine, so that it can run during generation."""
        return self._engine.remote

    @property
    def usage(self) -> JudgeUsage:
        """Requests, tokens and cost so far."""
        cost = None
        if self._prices is not None:
            tokens = self._prompt_tokens * self._prices[0] + self._completion_tokens * self._prices[1]
            cost = tokens / 1_000_000
        return JudgeUsage(
            requests=self._engine.requests,
            retried=self._engine.retried,
            from_cache=self._from_cache,
            failed=self._failed,
            unstructured=self._unstructured,
            prompt_tokens=self._prompt_tokens,
            completion_tokens=self._completion_tokens,
            cost=cost,
        )

    def prepare(self) -> None:
        """Import what the engine needs, if it can say so; nothing is sent."""
        if (prepare := getattr(self._engine, "prepare", None)) is not None:
            prepare()

    def deal_by(self, dealer: Dealer) -> None:
        """Let workers compute the replies, if the engine computes them on this machine.

        Args:
            dealer: Deals the questions to them.
        """
        if (deal_by := getattr(self._engine, "deal_by", None)) is not None:
            # How many questions wait is then the workers' affair.
            self._concurrency = max(self._concurrency, deal_by(dealer))

    def submit(self, request: JudgeRequest) -> "Future[JudgeReply]":
        """Ask without waiting; the same question is asked once.

        Returns:
            A future of the reply, with ``data`` read from the text, or of a JudgeError.
        """
        request = of_whole_characters(request)
        key = reply_key(self.identity, request)
        with self._lock:
            if self._closed:
                raise JudgeError("the judge is closed")
            if (known := self._asked.get(key)) is not None:
                if not (known.done() and may_be_asked_again(outcome_of(known))):
                    return known
                self._failed -= 1
                self._try_again()
            kept = self._store.get_reply(key)
            if kept is not None:
                self._snapshots.add_stored(kept)
                self._known = request
            if kept is not None and not self._is_outdated(kept):
                self._from_cache += 1
                done: Future[JudgeReply] = Future()
                done.set_result(kept)
                self._asked[key] = done
                return done
            loop = self._running_loop()
            self._asked[key] = asyncio.run_coroutine_threadsafe(self._answer(key, request), loop)
            return self._asked[key]

    def begin(self) -> None:
        """Begin another session with this judge: what it was asked before is stored, and perhaps outdated."""
        with self._lock:
            self._asked = {key: future for key, future in self._asked.items() if not future.done()}
            self._snapshots, self._known = Snapshots(), None
            self.renewals += 1
            self._try_again()

    def _try_again(self) -> None:
        """A judge that was away may be back; an engine without a server has nothing to say to it."""
        if (try_again := getattr(self._engine, "try_again", None)) is not None:
            try_again()

    def renew(self) -> None:
        """Forget stored replies that are another judge's than today's: their questions are asked anew."""
        with self._lock:
            answered = {key: future for key, future in self._asked.items() if _has_reply(future)}
            old = [key for key, future in answered.items() if self._is_outdated(future.result())]
            for key in old:
                del self._asked[key]
            self._from_cache -= len(old)
            self.renewals += bool(old)

    def settle(self) -> None:
        """The same, where nothing was asked either: most of the stored replies then say who judges."""
        self._snapshots.settle()
        self.renew()

    def ask_anew(self) -> bool:
        """Ask one question, if nothing was asked in this session: its reply says who judges today.

        Returns:
            Whether it was asked, and answered.
        """
        if self._by_files or self._snapshots.has_new or self._known is None:
            return False
        # The stored reply to the question itself stays: most likely it is today's judge's.
        request = apart_from_scoring(self._known)
        asked = self.spawn(self._answer(reply_key(self.identity, request), request))
        wait_for([asked])
        return _has_reply(asked)

    def _is_outdated(self, reply: JudgeReply) -> bool:
        return not self._by_files and self._snapshots.is_outdated(reply)

    def spawn(self, work: Coroutine[Any, Any, _T]) -> "Future[_T]":
        """Run a coroutine that asks this judge one question after the other, beside all others.

        Raises:
            JudgeError: The judge is closed.
        """
        with self._lock:
            if self._closed:
                work.close()
                raise JudgeError("the judge is closed")
            return asyncio.run_coroutine_threadsafe(work, self._running_loop())

    def ask_all(
        self, requests: Sequence[JudgeRequest], on_progress: Callable[[int, int], None] | None = None
    ) -> list[JudgeReply | JudgeError]:
        """Ask many questions and wait.

        Args:
            requests: The questions.
            on_progress: Called with the number of answered questions and the number of all questions.

        Returns:
            For each question a reply or an error, in order.
        """
        futures = [self.submit(request) for request in requests]
        waiting = set(futures)
        while waiting:
            waiting = wait_for(waiting, timeout=0.2).not_done
            if on_progress is not None:
                on_progress(len(futures) - sum(not future.done() for future in futures), len(futures))
        return [outcome_of(future) for future in futures]

    async def ask(self, request: JudgeRequest) -> JudgeReply:
        """Ask from any event loop.

        Raises:
            JudgeError: There is no usable reply.
        """
        return await asyncio.wrap_future(self.submit(request))

    async def _answer(self, key: str, request: JudgeRequest) -> JudgeReply:
        times: list[int] = []
        try:
            prepare_reading(request.reply_schema)
            reply = await self._read(request, times)
        except JudgeError:
            self._note_failure(request, times)
            raise
        # A fault of an engine is a fault of the question, never of the run; sys.exit would end the thread.
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            self._note_failure(request, times)
            raise JudgeError(f"{type(error).__name__}: {error}") from error
        if LISTENERS:
            self._tell(request, times, reply)
        reply = replace(reply, asked_in=self._snapshots.session)
        self._snapshots.add(reply)
        self._store.put_reply(key, reply)
        return reply

    async def _send(self, request: JudgeRequest, times: list[int]) -> JudgeReply:
        """The engine's reply, once the question may be sent; when it was sent is added to the times."""
        assert self._slots is not None
        async with self._slots:
            times.append(time.time_ns())
            reply = await self._engine.ask(request)
        # The next question is sent before this reply is read.
        await asyncio.sleep(0)
        return checked_reply(reply)

    def _note_failure(self, request: JudgeRequest, times: Sequence[int]) -> None:
        self._failed += 1
        if LISTENERS:
            self._tell(request, times, None)

    def _tell(self, request: JudgeRequest, times: Sequence[int], reply: JudgeReply | None) -> None:
        known = reply or JudgeReply(text="")
        tell(
            Work(
                kind="judge",
                name=known.model or self.identity,
                is_remote=self._engine.remote,
                key=request.key,
                started_ns=times[0] if times else time.time_ns(),
                ended_ns=time.time_ns(),
                input_tokens=known.prompt_tokens,
                output_tokens=known.completion_tokens,
                stop_reason=known.stop_reason,
                errors=int(reply is None),
                error="judge_failed" if reply is None else "",
            )
        )

    async def _read(self, request: JudgeRequest, times: list[int]) -> JudgeReply:
        problem = ""
        # What was shown to the judge, whose words in its reply are not its own.
        quoted = "\n".join((*(one.content for one in request.messages), *request.answers))
        written = "\n".join((*(one.content for one in request.conversation), *request.answers))
        # Of another metric's prompt it isn't known which part is the answer.
        judged = written if request.answers else ""
        asked = request
        for reading in range(_READINGS):
            reply = await self._send(asked, times)
            self._prompt_tokens += reply.prompt_tokens
            self._completion_tokens += reply.completion_tokens
            self._unstructured += not (reply.structured and is_bare_object(reply.text))
            try:
                cut = reply.stop_reason == "length"
                data = read_reply(reply.text, request.reply_schema, quoted=quoted, judged=judged, cut=cut)
                return replace(reply, data=data)
            except ReplyError as error:
                problem = str(error)
                asked = for_the_format(request, reply.text, reading + 1)
        raise JudgeError(f"no usable reply in {_READINGS}; the last: {problem}")

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._slots = asyncio.Semaphore(self._concurrency)
            self._thread = threading.Thread(target=self._loop.run_forever, name="judge", daemon=True)
            self._thread.start()
        return self._loop

    def close(self) -> None:
        """Cancel unfinished questions and release the engine; a fault of the engine there is noted."""
        with self._lock:
            self._closed = True
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is None or thread is None:
            return
        try:
            with self._faults_of_closing():
                asyncio.run_coroutine_threadsafe(self._end(), loop).result(timeout=10)
        except JudgeError as error:
            active().note(str(error))
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=10)
        loop.close()

    async def _end(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        with self._faults_of_closing():  # here too: sys.exit would end this thread
            await self._engine.close()

    def _faults_of_closing(self) -> AbstractContextManager[None]:
        return faults_of(f"judge {self.identity}: it could not be closed", JudgeError)

    def __enter__(self) -> Self:
        """Use the judge in a with block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the judge."""
        self.close()


def _has_reply(future: "Future[JudgeReply]") -> bool:
    return future.done() and not future.cancelled() and future.exception() is None


def outcome_of(future: "Future[JudgeReply]") -> JudgeReply | JudgeError:
    """What a finished question came to."""
    if future.cancelled():
        return JudgeError("judging was cancelled")
    error = future.exception()
    if error is None:
        return future.result()
    return error if isinstance(error, JudgeError) else JudgeError(f"{type(error).__name__}: {error}")
