"""The decoding loop that refills: where an answer ends, the next prompt takes its place.

First tokens that several prompts share are read once. A row that grows longer than the memory allows waits
at the end of the queue, and is read again. Only for caches that hold all tokens of every layer: test prompts
show whether a model's answers stay. Imports torch: load it where a model runs.
"""

from __future__ import annotations

import itertools
import math
import time
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from transformers.cache_utils import DynamicLayer

from harness.engines.decode import EXPECTED_TOKENS, Ending, StreamRow, choose_tokens, pad_rows, read_together
from harness.engines.library_faults import is_out_of_memory
from harness.errors import first_line

# Rows enter together from this part of those under way on; columns that are free in newly arranged memory.
_TOGETHER, _SPARE_COLUMNS = 1 / 8, 64
# Most first tokens that are kept for the rows to come; and most that a processor reads at a time.
_KEPT_TOKENS, _READ_TOKENS = 4096, 4096

# Keys and values of a row in each layer, (1, heads, tokens, head size).
_Past: TypeAlias = "list[tuple[torch.Tensor, torch.Tensor]]"


class _Layer(DynamicLayer):  # type: ignore[no-untyped-call] # transformers leaves it so
    """A layer's keys and values of all rows."""

    keys: Any
    values: Any

    def __init__(self, store: _Store) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # as above
        self._store = store

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        rows, end = key_states.shape[0], self._store.end
        to = end + key_states.shape[-2]
        self.keys[:rows, :, end:to] = key_states
        self.values[:rows, :, end:to] = value_states
        seen = slice(end - self._store.span, to)
        return self.keys[:rows, :, seen], self.values[:rows, :, seen]

    def get_seq_length(self) -> int:
        return self._store.span


class _Store:
    """Keys, values and mask of all rows, aligned on the right; the columns that are in use end at ``end``."""

    def __init__(self, cache: Any) -> None:
        """Take the place of an empty cache's layers, which must hold all tokens."""
        if not cache.layers or any(type(layer) is not DynamicLayer for layer in cache.layers):
            raise ValueError("only a cache that holds all tokens can be refilled")
        self.cache, self.rows, self.span, self.end = cache, 0, 0, 0
        self.layers = [_Layer(self) for _ in cache.layers]
        cache.layers = self.layers
        self._mask: torch.Tensor | None = None

    def mask(self) -> torch.Tensor:
        """1 where a row has a token, its next one included, (rows, columns)."""
        assert self._mask is not None
        return self._mask[: self.rows, self.end - self.span : self.end + 1]

    def reserve(self, rows: int, columns: int, like: _Past) -> None:
        """Make room.

        Args:
            rows: Number of rows after this.
            columns: Most tokens of one of them, the next one not included.
            like: Keys and values of a row.
        """
        end, mask = max(self.span, columns), self._mask
        if mask is not None and mask.shape[0] >= rows and self.end >= end and mask.shape[1] > self.end:
            return
        shape = (rows, end + _SPARE_COLUMNS)  # no more rows: few long ones stay of many
        held, to = slice(self.end - self.span, self.end), slice(end - self.span, end)
        self._mask = torch.zeros(shape, dtype=torch.long, device=like[0][0].device)
        if mask is not None:
            self._mask[: self.rows, to] = mask[: self.rows, held]
        for layer, (key, value) in zip(self.layers, like, strict=True):
            old = layer.keys, layer.values
            layer.is_initialized = True
            layer.keys = key.new_zeros(shape[0], key.shape[1], shape[1], key.shape[3])
            layer.values = value.new_zeros(shape[0], value.shape[1], shape[1], value.shape[3])
            if mask is not None:
                layer.keys[: self.rows, :, to] = old[0][: self.rows, :, held]
                layer.values[: self.rows, :, to] = old[1][: self.rows, :, held]
        self.end = end

    def put(self, past: _Past, columns: int) -> None:
        """Add a row, for which there is room."""
        assert self._mask is not None
        row, own = self.rows, slice(self.end - columns, self.end)
        for layer, (keys, values) in zip(self.layers, past, strict=True):
            layer.keys[row, :, own] = keys[0]
            layer.values[row, :, own] = values[0]
        self._mask[row] = 0
        self._mask[row, own] = 1
        self.rows, self.span = row + 1, max(self.span, columns)

    def remove(self, row: int, span: int) -> None:
        """Remove a row; the last one takes its place. Those that stay have ``span`` tokens at most."""
        assert self._mask is not None
        last = self.rows - 1
        if row != last:
            held = slice(self.end - self.span, self.end)
            for layer in self.layers:
                layer.keys[row, :, held] = layer.keys[last, :, held]
                layer.values[row, :, held] = layer.values[last, :, held]
            self._mask[row] = self._mask[last]
        self.rows, self.span = last, span

    def begin_step(self) -> None:
        """Make room for a column, and mark it as every row's own."""
        assert self._mask is not None
        if self.end + 1 > self._mask.shape[1]:
            self.reserve(self.rows, self.span, [(layer.keys[:1], layer.values[:1]) for layer in self.layers])
        self._mask[: self.rows, self.end] = 1

    def end_step(self) -> None:
        """Count the column that was written."""
        self.span, self.end = self.span + 1, self.end + 1


class Stream:
    """Writes answers, with as many rows under way as memory allows."""

    def __init__(  # the parts of a loaded side, and nothing of its own
        self,
        forward: Callable[..., Any],
        adapters: list[str | None],
        new_cache: Callable[[], Any],
        virtual: Callable[[], Any] | None,
        *,
        device: Any,
        budget: float,
        kept: dict[tuple[str | None, tuple[int, ...]], _Past],
    ) -> None:
        """Begin without a row.

        Args:
            forward: The model's forward.
            adapters: Each row's adapter, which ``forward`` reads; changed before each call.
            new_cache: Makes an empty cache.
            virtual: Makes a cache for one row with an adapter's virtual tokens; None without any.
            device: Where the model is.
            budget: Most rows times tokens of the longest one; a single row may have more.
            kept: Keys and values of first tokens that were read before; those that are read here are added.
        """
        self._forward, self._adapters, self._new_cache, self._virtual = forward, adapters, new_cache, virtual
        self._device, self._budget, self._kept = torch.device(device), budget, kept
        self._store = _Store(new_cache())
        self._live: list[StreamRow] = []
        self._next: list[int] = []
        self._waiting: deque[StreamRow] = deque()
        self._expected, self._ended = float(EXPECTED_TOKENS), 0
        self._share_s, self._tried, self._sharing = 0.0, 1, 1
        self._read_most = _READ_TOKENS if self._device.type == "cpu" else math.inf

    def add(self, rows: Sequence[StreamRow]) -> None:
        """Let rows wait for their turn, in this order."""
        self._waiting.extend(rows)

    def write(
        self,
        on_ended: Callable[[StreamRow, Ending], None],
        on_tokens: Callable[[int, list[int]], None] = lambda _index, _tokens: None,
    ) -> None:
        """Write the answers of all rows that were added.

        Args:
            on_ended: Called with a row whose answer has ended, and why.
            on_tokens: Called with each row's index and its tokens so far, after each token.
        """
        self._on_ended, self._on_tokens = on_ended, on_tokens
        while self._waiting or self._live:
            reason, fills = None, False
            try:
                while entering := self._entering(fills):
                    self._enter(entering)
                    fills = True
                if self._live:
                    self._tried = len(self._live)
                    self._step()
            except Exception as error:
                if not is_out_of_memory(error) or self._tried <= 1:
                    raise
                reason = first_line(error)
            if reason is not None:  # here the tensors that the error held are free
                self._take_less(reason)

    def _entering(self, fills: bool) -> list[StreamRow]:
        """The next rows, removed from the queue; so few that reading them costs as much as many wait."""
        longest = max((row.columns_expected(self._expected) for row in self._live), default=0.0)
        entering = 0
        for row in self._waiting:
            longest = max(longest, row.columns_expected(self._expected))
            if (len(self._live) + entering + 1) * longest > self._budget and (self._live or entering):
                break
            entering += 1
        if not fills and entering < min(len(self._waiting), _TOGETHER * len(self._live)):
            return []
        self._sharing = len(self._live) + entering
        lengths = (len(row.tokens) - row.shared for row in itertools.islice(self._waiting, entering))
        return [self._waiting.popleft() for _ in range(read_together(lengths, self._read_most))]

    def _enter(self, rows: list[StreamRow]) -> None:
        """Read prompts, choose each one's next token, and add those that go on to the rows under way."""
        self._tried = len(self._live) + len(rows)
        try:
            for row in rows:
                row.row = row.row or row.begin(lambda: self._share_s)
            # Neighbours with one adapter are computed together.
            rows.sort(key=lambda row: (row.adapter or "", row.shared))
            self._read_shared(rows)
            # Shared tokens are read again in place of padding: a gap would change attention by columns.
            most = max(len(row.tokens) - row.shared for row in rows)
            behind = [row.tokens[-most:] for row in rows]
            pasts = [self._past(row, len(own)) for row, own in zip(rows, behind, strict=True)]
            logits, own = self._read(behind, pasts, [row.adapter for row in rows])
            for place, row in enumerate(rows):
                row.columns = own(place)[0][0].shape[-2]
            self._store.reserve(self._store.rows + len(rows), max(row.columns for row in rows), own(0))
            chosen = choose_tokens(logits, [row.row for row in rows]).tolist()
        except BaseException:
            self._wait(rows)
            raise
        alive = self._taken(rows, chosen)
        self._live += [rows[place] for place in alive]
        self._next += [chosen[place] for place in alive]
        for place in alive:
            self._store.put(own(place), rows[place].columns)

    def _read_shared(self, rows: Sequence[StreamRow]) -> None:
        """Read the first tokens that rows share, if they haven't been read."""
        if self._virtual is not None and (rows[0].adapter, ()) not in self._kept:
            layers = self._virtual().layers
            self._kept[rows[0].adapter, ()] = [(layer.keys, layer.values) for layer in layers]
        wanted = {(row.adapter, tuple(row.prompt[: row.shared])): row for row in rows if row.shared}
        if sum(len(tokens) for _, tokens in self._kept) > min(self._budget, _KEPT_TOKENS):
            for key in [key for key in self._kept if key not in wanted and key[1]]:
                del self._kept[key]
        missing = [key for key in wanted if key not in self._kept]
        while missing:
            number = read_together((len(tokens) for _, tokens in missing), self._read_most)
            now, missing = missing[:number], missing[number:]
            pasts = [self._kept.get((adapter, ())) for adapter, _ in now]
            _, own = self._read([tokens for _, tokens in now], pasts, [adapter for adapter, _ in now])
            for place, key in enumerate(now):
                self._kept[key] = [(keys.clone(), values.clone()) for keys, values in own(place)]

    def _past(self, row: StreamRow, behind: int) -> _Past | None:
        """A row's virtual tokens and all but its last ``behind``, that were read before; None if none was."""
        if not row.shared and self._virtual is None:
            return None
        kept = self._kept[row.adapter, tuple(row.prompt[: row.shared])]
        end = kept[0][0].shape[2] - row.shared + len(row.tokens) - behind
        return [(keys[:, :, :end], values[:, :, :end]) for keys, values in kept]

    def _read(
        self, tokens: Sequence[Sequence[int]], pasts: Sequence[_Past | None], adapters: Sequence[str | None]
    ) -> tuple[torch.Tensor, Callable[[int], _Past]]:
        """Read tokens behind what was read before.

        Args:
            tokens: Of each row.
            pasts: Keys and values before them.
            adapters: Each row's adapter.

        Returns:
            Logits of the next tokens, (rows, vocabulary); a function that gives a row's keys and values.
        """
        began = time.perf_counter()
        before = [past[0][0].shape[-2] if past else 0 for past in pasts]
        width = max(before)
        cache = self._new_cache()
        if width:
            some = next(past for past in pasts if past)
            for layer, (key, value) in enumerate(some):
                keys = key.new_zeros(len(pasts), key.shape[1], width, key.shape[3])
                values = value.new_zeros(len(pasts), value.shape[1], width, value.shape[3])
                for place, past in enumerate(pasts):
                    if past:
                        keys[place, :, width - before[place] :] = past[layer][0][0]
                        values[place, :, width - before[place] :] = past[layer][1][0]
                cache.update(keys, values, layer)
        ids, mask = pad_rows(tokens, 0, self._device)
        known = [[0] * (width - count) + [1] * count for count in before]
        mask = torch.cat([torch.tensor(known, dtype=mask.dtype, device=self._device), mask], dim=-1)
        self._adapters[:] = adapters
        logits = self._forward(
            input_ids=ids,
            attention_mask=mask,
            position_ids=(mask.cumsum(-1) - 1).clamp(min=0)[:, width:],
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1, :]  # (rows, vocabulary)
        self._share_s += (time.perf_counter() - began) / self._sharing

        def own(place: int) -> _Past:
            first, count = width - before[place], len(tokens[place])

            def cut(states: torch.Tensor) -> torch.Tensor:
                states = states[place : place + 1]
                if ids.shape[1] == count:
                    return states[:, :, first:]
                return torch.cat([states[:, :, first:width], states[:, :, states.shape[2] - count :]], dim=2)

            return [(cut(layer.keys), cut(layer.values)) for layer in cache.layers]

        return logits, own

    def _step(self) -> None:
        """The next token of every row under way."""
        began, store = time.perf_counter(), self._store
        store.begin_step()
        self._adapters[:] = [row.adapter for row in self._live]
        logits = self._forward(
            input_ids=torch.tensor(self._next, device=self._device)[:, None],
            attention_mask=store.mask(),
            position_ids=torch.tensor([[row.columns] for row in self._live], device=self._device),
            past_key_values=store.cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1, :]  # (rows, vocabulary)
        store.end_step()
        self._share_s += (time.perf_counter() - began) / len(self._live)
        for row in self._live:
            row.columns += 1
        self._next = choose_tokens(logits, [row.row for row in self._live]).tolist()
        alive = self._taken(self._live, self._next)
        for place in sorted(set(range(len(self._live))).difference(alive), reverse=True):
            self._leave(place)
        self._shorten()

    def _taken(self, rows: Sequence[StreamRow], chosen: Sequence[int]) -> list[int]:
        """Give each row its next token; the places of those that go on."""
        alive = []
        for place, (row, token) in enumerate(zip(rows, chosen, strict=True)):
            assert row.row is not None
            reason = row.row.watch.take(token)
            self._on_tokens(row.index, row.row.watch.tokens)
            if reason:
                self._on_ended(row, reason)
                self._ended += 1
                mean = self._expected + (row.written - self._expected) / self._ended
                self._expected = max(float(EXPECTED_TOKENS), mean)
            else:
                alive.append(place)
        return alive

    def _leave(self, place: int) -> StreamRow:
        """Take a row out of those under way."""
        left, last, token = self._live[place], self._live.pop(), self._next.pop()
        if last is not left:
            self._live[place], self._next[place] = last, token
        self._store.remove(place, max((row.columns for row in self._live), default=0))
        left.columns = 0
        return left

    def _shorten(self) -> None:
        """Let the longest rows wait until there is room."""
        while len(self._live) > 1 and len(self._live) * (self._store.span + 1) > self._budget:
            longest = max(range(len(self._live)), key=lambda place: self._live[place].columns)
            self._waiting.append(self._leave(longest))

    def _wait(self, rows: Sequence[StreamRow]) -> None:
        for row in rows:
            row.columns = 0
        self._waiting.extendleft(reversed(rows))

    def _take_less(self, reason: str) -> None:
        """Halve the batch after memory ran out."""
        tried = [*self._live, *self._waiting][: self._tried]
        most = len(tried) * max(row.columns_expected(self._expected) for row in tried)
        self._budget = min(self._budget, most) / 2
        warnings.warn(
            f"memory ran out with {len(tried)} answers at a time: {reason}; half as many follow; "
            f"--gate-batch-tokens {max(1, int(self._budget))} begins so",
            RuntimeWarning,
            stacklevel=2,
        )
        # Wherever it ran out, the memory may be half written: those under way are read again.
        self._wait(self._live)
        self._live, self._next, self._store = [], [], _Store(self._new_cache())
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
