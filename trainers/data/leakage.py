"""Finds golden cases in the training data: such a case measures memorisation only.

Three ways to find them: the same question (with or without its reference) word by word; a run of 13 words of
a case in a row, as Brown et al. (2020), Language Models are Few-Shot Learners, arXiv:2005.14165, appendix C;
and embeddings that are close, where an encoder is installed. Instructions that many rows or cases share
don't count.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

from harness.errors import DataError, ModelError, SettingsError
from harness.golden.load import DEFAULT_GOLDEN, golden_files, load_golden_set
from harness.models.resolve import resolve_model
from harness.presentation.console import open_console
from harness.types import GoldenCase, GoldenSet
from trainers.config import LeakageSettings, RunConfig
from trainers.data.overlap import (
    SHORTEST_NGRAM,
    Words,
    answers_in,
    asked_by,
    asked_in,
    boilerplate,
    distinctive,
    pieces,
    words_of,
)
from trainers.data.rows import Examples

ENCODER = "minilm"
# A question of fewer words may equal one with another instruction by chance.
_SHORTEST_LINE = 4
_SHOWN = 3
# This many are searched for words in about two seconds, and for embeddings in about four minutes on two
# cores: # more are searched only if the configuration asks for it.
_MANY_ROWS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """One golden case that is in one row.

    Attributes:
        case: The case's key, such as ``orders/bob-kettles``.
        golden: Its file and line.
        row: File and line of the row.
        kind: ``exact``, ``ngram`` or ``embedding``.
        detail: What is the same.
    """

    case: str
    golden: str
    row: tuple[Path, int]
    kind: str
    detail: str

    def __str__(self) -> str:
        """As one line for a terminal."""
        return f"{self.row[0]}:{self.row[1]}: golden case {self.case} ({self.golden}): {self.detail}"


@dataclass(frozen=True, slots=True)
class _GoldenWords:
    """The words of a case: all of them, and the parts that are only its own."""

    case: GoldenCase
    path: str
    whole: Words
    own: list[Words]


def find_golden(paths: Sequence[Path] | None) -> list[GoldenSet]:
    """The golden sets to check against.

    Args:
        paths: Files and directories; None means ``golden_sets`` in the working directory, if it exists.

    Raises:
        InputError: A path doesn't exist, or a set can't be read.
    """
    if paths is None:
        paths = [DEFAULT_GOLDEN] if DEFAULT_GOLDEN.is_dir() else []
    for path in paths:
        if not path.exists():
            raise SettingsError(f"golden: {path}: no such file or directory")
    return [load_golden_set(path) for path in golden_files(paths)]


def check_leakage(
    examples: Examples, golden_sets: Sequence[GoldenSet], settings: LeakageSettings
) -> list[Leak]:
    """Find golden cases in training rows.

    Args:
        examples: Rows of any trainer: prompt with completion, chosen and rejected, or text.
        golden_sets: The sets that will measure the model.
        settings: The kinds of search.

    Returns:
        At most one finding for a case and a row, in the rows' order, of the most certain kind.
    """
    cases = [(golden.path, case, words_of(asked_by(case))) for golden in golden_sets for case in golden.cases]
    asked = [words_of(asked_in(row)) for row in examples.rows]
    said = [[words_of(text) for text in answers_in(row)] for row in examples.rows]
    everything = [
        (*question, *(word for text in texts for word in text))
        for question, texts in zip(asked, said, strict=True)
    ]
    shared = boilerplate([words for _, _, words in cases], everything)
    looked_for = [_GoldenWords(case, path, words, distinctive(words, shared)) for path, case, words in cases]

    found: dict[tuple[int, str], Leak] = {}
    ways: list[Iterator[tuple[int, _GoldenWords, str, str]]] = []
    if settings.exact:
        ways.append(_exact(looked_for, examples, asked, said))
    if settings.ngram is not None:
        ways.append(
            _ngrams(
                looked_for,
                [[question, *texts] for question, texts in zip(asked, said, strict=True)],
                settings.ngram,
            )
        )
    if settings.embedding is not None and cases and embedding_skipped(examples, settings) is None:
        rows = [" ".join(word for part in distinctive(words, shared) for word in part) for words in asked]
        ways.append(_embeddings(looked_for, rows, settings.embedding))
    for way in ways:
        for number, one, kind, detail in way:
            leak = Leak(
                case=one.case.key,
                golden=f"{one.case.file or one.path}:{one.case.line}",
                row=examples.places[number],
                kind=kind,
                detail=detail,
            )
            found.setdefault((number, one.case.key), leak)
    return [found[key] for key in sorted(found)]


def _exact(
    cases: Sequence[_GoldenWords], examples: Examples, asked: Sequence[Words], said: Sequence[Sequence[Words]]
) -> Iterator[tuple[int, _GoldenWords, str, str]]:
    """The same question, also with another instruction; in raw text, question and reference in a row."""
    by_question: dict[Words, list[_GoldenWords]] = defaultdict(list)
    by_line: dict[Words, list[_GoldenWords]] = defaultdict(list)
    answered = []
    for one in cases:
        by_question[one.whole].append(one)
        if one.own and max(map(len, one.own)) >= _SHORTEST_LINE:
            by_line[max(one.own, key=len)].append(one)
        both = [f" {' '.join((*one.whole, *words_of(reference)))} " for reference in one.case.references]
        answered.append((one, both))
    for number, row in enumerate(examples.rows):
        for one in by_question.get(asked[number], ()):
            references = {words_of(reference) for reference in one.case.references}
            same = references.intersection(said[number])
            yield number, one, "exact", f"the same question{' and answer' if same else ''}"
        lines = {words_of(line) for line in asked_in(row).splitlines()}
        for line in lines:
            for one in by_line.get(line, ()):
                if all(part in lines for part in one.own):
                    yield number, one, "exact", "the same question with another instruction"
        if not asked[number]:
            text = f" {' '.join(word for part in said[number] for word in part)} "
            for one, both in answered:
                if any(piece in text for piece in both):
                    yield number, one, "exact", "the text contains question and reference"


def _ngrams(
    cases: Sequence[_GoldenWords], rows: Sequence[Sequence[Words]], ngram: int
) -> Iterator[tuple[int, _GoldenWords, str, str]]:
    """A run of words of a case in a row: 13, or all of a shorter question, but never fewer than 8."""
    wanted: dict[Words, list[_GoldenWords]] = defaultdict(list)
    # Lengths of the searched runs by their first two words: most positions in a row begin none.
    lengths: dict[Words, set[int]] = defaultdict(set)
    for one in cases:
        length = min(ngram, max(map(len, one.own), default=0))
        if length >= min(SHORTEST_NGRAM, ngram):
            for part in one.own:
                for piece in pieces(part, length):
                    wanted[piece].append(one)
                    lengths[piece[:2]].add(length)
    for number, texts in enumerate(rows):
        for text in texts:
            for start, beginning in enumerate(pairwise(text)):
                for length in lengths.get(beginning, ()):
                    piece = text[start : start + length]
                    for one in wanted.get(piece, ()):
                        yield (
                            number,
                            one,
                            "ngram",
                            f'{length} words in a row are the same: "{" ".join(piece)}"',
                        )


def _embeddings(
    cases: Sequence[_GoldenWords], rows: Sequence[str], least: float
) -> Iterator[tuple[int, _GoldenWords, str, str]]:
    """Questions whose embeddings are close (Reimers and Gurevych 2019, arXiv:1908.10084)."""
    kept = [(number, text) for number, text in enumerate(rows) if text]
    own = [one for one in cases if one.own]
    if not kept or not own:
        return
    questions = tuple(" ".join(word for part in one.own for word in part) for one in own)
    cosines = _encoded(tuple(text for _, text in kept)) @ _golden_embeddings(questions).T  # (rows, cases)
    for row, column in zip(*(cosines >= least).nonzero(), strict=True):
        detail = f"the questions' embeddings have a cosine of {cosines[row, column]:.2f}"
        yield kept[row][0], own[column], "embedding", detail


def _encoded(texts: tuple[str, ...]) -> Any:
    """Each text's embedding, one per row: of length 1, or 0 where the encoder can't read the text."""
    from harness.metrics.encoded_text import encoded
    from harness.metrics.encoders import find_encoder
    from harness.metrics.incomparable_text import MOST_UNKNOWN
    from harness.metrics.similar import load_encoder

    model = load_encoder(find_encoder(ENCODER))
    vectors = model.encode(list(texts), batch_size=32, normalize_embeddings=True, show_progress_bar=False)
    # All texts of unknown tokens look the same.
    vectors[[encoded(model.tokenizer, text, None).unknown_share > MOST_UNKNOWN for text in texts]] = 0
    return vectors


# A recipe of several stages uses the same cases in each.
_golden_embeddings = lru_cache(maxsize=2)(_encoded)


def embedding_skipped(examples: Examples, settings: LeakageSettings) -> str | None:
    """Why embeddings are not compared although the settings allow it; None when they are.

    Args:
        examples: The rows.
        settings: The kinds of search.

    Returns:
        The reason in words.
    """
    unasked = "embedding" not in settings.model_fields_set
    if unasked and len(examples.rows) > _MANY_ROWS:
        return f"more than {_MANY_ROWS} rows; leakage: {{embedding: {settings.embedding}}} compares them all"
    if find_spec("sentence_transformers") is None:
        return "sentence-transformers is missing: pip install 'tunegate[metrics]'"
    try:
        resolve_model(ENCODER)
    except ModelError as error:
        return str(error)
    return None


def without_leaks(examples: Examples, config: RunConfig) -> Examples:
    """The data, checked before training; the result of the check is stored in the manifest.

    Args:
        examples: The rows.
        config: The golden sets, the kinds of search, and whether leaks are allowed.

    Returns:
        The same rows, with ``leakage`` set.

    Raises:
        DataError: A golden case is in the data, and that isn't allowed.
        InputError: A golden set doesn't exist, or can't be read.
    """
    settings, sets = config.leakage, find_golden(config.golden)
    skipped = None if settings.embedding is None else embedding_skipped(examples, settings)
    slow = len(examples.rows) >= _MANY_ROWS or (settings.embedding is not None and skipped is None and sets)
    with _status(len(examples.rows)) if slow else nullcontext():
        leaks = check_leakage(examples, sets, settings)
    if leaks and not settings.allow:
        raise DataError(*leaks[0].row, _refusal(leaks))
    facts = {
        "golden_sets": {golden_set.path: golden_set.content_sha256 for golden_set in sets},
        "cases": sum(len(golden_set.cases) for golden_set in sets),
        "exact": settings.exact,
        "ngram": settings.ngram,
        "embedding": settings.embedding if skipped is None else None,
        "embedding_skipped": skipped,
        "found": [
            {
                "case": leak.case,
                "row": f"{leak.row[0]}:{leak.row[1]}",
                "kind": leak.kind,
                "detail": leak.detail,
            }
            for leak in leaks
        ],
    }
    return replace(examples, leakage=facts)


def _status(rows: int) -> AbstractContextManager[object]:
    """A message on the terminal during a long search."""
    return open_console(stderr=True).status(f"looking for golden cases in {rows} rows")


def _refusal(leaks: Sequence[Leak]) -> str:
    first, *others = leaks
    more = "; ".join(f"{leak.case} at {leak.row[0]}:{leak.row[1]}" for leak in others[: _SHOWN - 1])
    rest = f" and {len(others) - _SHOWN + 1} more" if len(others) >= _SHOWN else ""
    return (
        f"golden case {first.case} ({first.golden}) is in the training data: {first.detail}"
        + (f" (also {more}{rest})" if others else "")
        + "; remove the row, or train anyway with leakage: allow or --allow-leakage"
    )
