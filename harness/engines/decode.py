"""What the decoding loops share: rows, which prompts are computed together, and the choice of tokens.

``generate`` of transformers keeps a finished row in the batch until the longest row ends, and draws all rows'
samples from one random stream, so that a row's text depends on its neighbours. In our loops a finished row
leaves, each row has its own limit, stops, tokenizer and random stream, and greedy text is the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    import torch

    from harness.engines.base import GenerationRequest
    from harness.engines.drawing import Draw
    from harness.types import GenerationSettings


# How the failure of a model that computes no numbers begins, also in a worker's message.
NOT_A_NUMBER = "its logits are NaN"
OUT_OF_RANGE = "in float16 numbers may leave the range: --gate-dtype float32 has room"

# An answer is expected to become so much longer, or as long as those before it.
EXPECTED_TOKENS = 64


def pack_batches(prompt_tokens: Sequence[int], answer_tokens: Sequence[int], budget: int) -> list[list[int]]:
    """Group rows so that a padded batch holds at most ``budget`` tokens.

    Rows are sorted by the length of their answer's limit and then of their prompt, longest first: padding
    is small, a batch that doesn't fit into memory fails at the start, and progress quickens towards the end.

    Args:
        prompt_tokens: Prompt length of each row.
        answer_tokens: Most tokens that each row may generate.
        budget: Most tokens in a batch, counted as rows x (longest prompt + longest answer). A row that is
            longer on its own gets a batch of its own.

    Returns:
        Batches of row indices; every row is in exactly one.
    """
    order = sorted(
        range(len(prompt_tokens)), key=lambda row: (answer_tokens[row], prompt_tokens[row], row), reverse=True
    )
    batches: list[list[int]] = []
    longest_prompt = longest_answer = 0
    for row in order:
        prompt = max(longest_prompt, prompt_tokens[row])
        answer = max(longest_answer, answer_tokens[row])
        if batches and batches[-1] and (len(batches[-1]) + 1) * (prompt + answer) <= budget:
            batches[-1].append(row)
        else:
            batches.append([row])
            prompt, answer = prompt_tokens[row], answer_tokens[row]
        longest_prompt, longest_answer = prompt, answer
    return batches


def shared_lengths(prompts: Sequence[Sequence[int]]) -> list[int]:
    """How many of each prompt's first tokens are worth being read once for several prompts.

    The prompts are grouped so that the fewest tokens are read in all; a group's common first tokens are
    shared. The last token of a prompt is always its own.

    Args:
        prompts: The prompts' tokens.

    Returns:
        A number for each prompt; 0 where nothing is worth it.
    """
    order = sorted(range(len(prompts)), key=lambda place: list(prompts[place]))
    common = [_common(prompts[one], prompts[other]) for one, other in pairwise(order)]
    # A group is a range of the sorted prompts, and its parts those with more in common; parents come first.
    groups: list[tuple[int, int, int]] = []
    parts: dict[int, list[int]] = {}
    open_ranges: list[tuple[int, int, int | None]] = [(0, len(order), None)] if len(order) > 1 else []
    while open_ranges:
        first, last, parent = open_ranges.pop()
        inside = common[first : last - 1]
        least = min(inside)
        number = len(groups)
        groups.append((first, last, least))
        if parent is not None:
            parts.setdefault(parent, []).append(number)
        cuts = [first, *(first + place + 1 for place, each in enumerate(inside) if each == least), last]
        open_ranges += [(one, other, number) for one, other in pairwise(cuts) if other - one > 1]
    return _chosen(order, groups, parts)


# Fewer tokens than these in all are read faster with each prompt than apart.
_WORTH_TOKENS = 64


def _chosen(
    order: Sequence[int], groups: Sequence[tuple[int, int, int]], parts: Mapping[int, Sequence[int]]
) -> list[int]:
    """The groups that save most, as a number for each prompt."""
    saved = [0] * len(groups)
    whole = [False] * len(groups)
    for number in reversed(range(len(groups))):
        first, last, common = groups[number]
        together = (last - first - 1) * common
        apart = sum(saved[part] for part in parts.get(number, ()))
        whole[number] = together >= max(apart, _WORTH_TOKENS)
        saved[number] = together if whole[number] else apart
    found = [0] * len(order)
    following = [0] if groups else []
    while following:
        number = following.pop()
        if whole[number]:
            first, last, common = groups[number]
            for place in order[first:last]:
                found[place] = common
        else:
            following += parts.get(number, ())
    return found


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    most = min(len(one), len(other)) - 1
    return next((place for place in range(most) if one[place] != other[place]), max(most, 0))


def pad_rows(
    rows: Sequence[Sequence[int]], pad: int, device: Any, *, left: bool = True
) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask, both (rows, longest).

    Args:
        rows: Tokens of each row.
        pad: The id that fills shorter rows.
        device: The tensors' device.
        left: Whether rows are padded before their first token, or after their last.

    Returns:
        The token ids, then the mask: 1 for a row's own tokens.
    """
    import torch

    longest = max(len(row) for row in rows)
    ids, mask = [], []
    for row in rows:
        fill, zeros, ones = [pad] * (longest - len(row)), [0] * (longest - len(row)), [1] * len(row)
        ids.append([*fill, *row] if left else [*row, *fill])
        mask.append([*zeros, *ones] if left else [*ones, *zeros])
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


# Their angles change once a text is longer than those of the training, for all rows of its batch; generate
# then also reads a text again from its start. Test prompts are too short to show it.
_BY_LENGTH = ("longrope", "dynamic")


# Attention that reads only the most fitting tokens of a long text, or is scaled by its length: padding takes
# places among its tokens, and counts as length.
_BY_COLUMN = (
    *("index_topk", "index_topk_blocks", "indexer_compress_ratio", "keep_window_size"),
    "attn_temperature_tuning",
)


def varies_with_length(config: Any) -> bool:
    """Whether long texts are read differently in a batch, so that the library must answer each alone.

    Args:
        config: The model's configuration.
    """
    text = config.get_text_config(decoder=True)
    by_column = any(getattr(text, name, None) for name in _BY_COLUMN)
    return by_column or any(kind in name for name in rope_types(config) for kind in _BY_LENGTH)


def has_windows(config: Any) -> bool:
    """Whether some layers don't attend to all tokens: they count padding between virtual tokens and a prompt.

    Args:
        config: The model's configuration.
    """
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer

    text = config.get_text_config(decoder=True)
    # GPT-Neo's local layers have a cache of all tokens.
    local = "local" in (getattr(text, "attention_layers", None) or ())
    return local or any(type(layer) is not DynamicLayer for layer in DynamicCache(config=text).layers)


def rope_types(config: Any) -> list[str]:
    """The kinds of a model's rotary angles, of all layers or of each kind of layer.

    Args:
        config: The model's configuration.
    """
    text = config.get_text_config(decoder=True)
    given = getattr(text, "rope_parameters", None) or getattr(text, "rope_scaling", None)
    return [str(name) for name in _rope_types(given)]


def _rope_types(given: Any) -> Iterator[Any]:
    if isinstance(given, Mapping):
        yield given.get("rope_type", given.get("type"))
        for value in given.values():
            yield from _rope_types(value)


# Its end token or a stop text, its number of tokens, its time.
Ending: TypeAlias = Literal["stop", "length", "late"]


# The next token, given its logits, (vocabulary,), and the answer's tokens so far.
Choose: TypeAlias = "Callable[[torch.Tensor, list[int]], int]"


class Watch(Protocol):
    """Follows one answer during generation."""

    tokens: list[int]
    end: int | None

    def take(self, token: int) -> Ending | Literal[""]:
        """Add the next token; returns why the answer ended with it, or nothing while it goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The token choice and the end of one row. Rows of one batch may differ in both.

    Attributes:
        watch: Stores the tokens so far (without an end token) and decides when the answer ends.
        choose: The next token, given its logits, (vocabulary,), and the tokens so far; None for the most
            probable one.
        draw: In place of ``choose``: how the next token is drawn, together with those of other rows.
    """

    watch: Watch
    choose: Choose | None = None
    draw: Draw | None = None


@dataclass(slots=True, kw_only=True)
class StreamRow:
    """One answer to be written.

    Attributes:
        prompt: The prompt's tokens.
        limit: Most tokens of the answer.
        adapter: The row's adapter; None for the base.
        shared: Number of the prompt's first tokens that other rows of the adapter have too.
        begin: Makes its row when it enters, given a clock: its share of the time of all batches, in seconds.
        row: The row, once it has entered.
        columns: Its tokens in memory.
    """

    index: int
    prompt: Sequence[int]
    limit: int
    adapter: str | None
    shared: int
    begin: Callable[[Callable[[], float]], Row]
    row: Row | None = None
    columns: int = 0

    @property
    def tokens(self) -> list[int]:
        """The prompt's and the answer's tokens so far."""
        return [*self.prompt, *(self.row.watch.tokens if self.row else ())]

    @property
    def written(self) -> int:
        """Number of the answer's tokens so far."""
        return len(self.row.watch.tokens) if self.row else 0

    def columns_expected(self, usual: float) -> float:
        """Tokens that it will have in memory, as far as is known.

        Args:
            usual: Number of tokens of an answer.
        """
        have = self.columns or len(self.prompt) + self.written
        return have + min(self.limit - self.written, max(usual, self.written / 2))


def read_together(lengths: Iterable[int], most: float) -> int:
    """How many of the first rows are read at a time: one at least.

    Args:
        lengths: Tokens of each row, in the order of their turn.
        most: Most tokens, padding included.
    """
    longest = number = 0
    for number, length in enumerate(lengths, 1):
        longest = max(longest, length)
        if number > 1 and number * longest > most:
            return number - 1
    return number


def choose_tokens(logits: torch.Tensor, rows: Sequence[Row | None]) -> torch.Tensor:
    """Next token of each row.

    Args:
        logits: Of the next token, (rows, vocabulary).
        rows: The rows; None where an answer has ended.

    Returns:
        Token ids, (rows,).
    """
    chosen = logits.argmax(dim=-1)
    # NaN counts as the largest, so that only the chosen ones have to be seen.
    refuse_no_number(logits.gather(-1, chosen[:, None]))
    for place, row in enumerate(rows):
        if row is not None and row.choose is not None:
            chosen[place] = row.choose(logits[place], row.watch.tokens)
    drawing = {place: row.draw for place, row in enumerate(rows) if row is not None and row.draw is not None}
    if drawing:
        from harness.engines.drawing import draw_together

        places = [*drawing]
        written = [len(row.watch.tokens) for row in rows if row is not None and row.draw is not None]
        chosen[places] = draw_together(logits[places], [*drawing.values()], written)
    return chosen


def refuse_no_number(logits: torch.Tensor) -> None:
    """Refuse logits that are no numbers: any token would be as good as the one chosen from them.

    Args:
        logits: Of any shape.

    Raises:
        ArithmeticError: One of them is NaN.
    """
    if bool(logits.isnan().any()):
        raise ArithmeticError(f"{NOT_A_NUMBER}, so that no token can be chosen; {OUT_OF_RANGE}")


def behind_cached(attention_mask: torch.Tensor, cached: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The mask and positions of left-padded rows after the tokens of a cache.

    Args:
        attention_mask: Of the rows' own tokens, (rows, tokens).
        cached: How many tokens the cache holds.

    Returns:
        The attention mask, (rows, cached + tokens), and each token's position, (rows, tokens).
    """
    import torch

    positions = (attention_mask.cumsum(-1) - 1).clamp(min=0) + cached
    before = attention_mask.new_ones(len(attention_mask), cached)
    return torch.cat([before, attention_mask], dim=-1), positions


def sampler(request: GenerationRequest, device: Any) -> Choose | None:
    """Samples a request's tokens; None for greedy answers.

    The seed is the request's own, so a sample doesn't depend on its batch.

    Args:
        request: The request.
        device: Where the logits are.
    """
    from harness.engines.drawing import OwnRandom

    settings = request.settings
    if settings.temperature <= 0:
        return None
    random = OwnRandom(own_seed(request), device)
    return lambda logits, tokens: _sample(logits, settings, random.at(len(tokens)))


def own_seed(request: GenerationRequest) -> int:
    """The seed of a request's random numbers: of its settings' seed and its key."""
    digest = hashlib.sha256(f"{request.settings.seed}:{request.key}".encode()).digest()
    return int.from_bytes(digest[:6])


def _sample(logits: torch.Tensor, settings: GenerationSettings, stream: torch.Generator) -> int:
    """Sample one token by nucleus sampling (Holtzman et al. 2020, arXiv:1904.09751)."""
    import torch

    probabilities = torch.softmax(logits.float() / settings.temperature, dim=-1)  # (vocabulary,)
    ordered, tokens = probabilities.sort(descending=True)
    # The smallest set whose mass reaches top-p: a token stays while the mass before it is still below.
    ordered[(ordered.cumsum(-1) - ordered) >= settings.top_p] = 0
    return int(tokens[torch.multinomial(ordered, 1, generator=stream)[0]])
