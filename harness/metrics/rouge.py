"""ROUGE by Google's rouge-score, wrapped as a module of Hugging Face's evaluate.

Lin 2004 (aclanthology.org/W04-1013). ``evaluate.load("rouge")`` would fetch its script from a hub; the
subclass here needs none. rouge-score's tokenizer drops all characters except a-z and 0-9, so an answer in
Chinese scores 0 against itself and "café" equals "caf". The tokenizer here gives the same words on ASCII text
and knows those of all scripts.
"""

import tempfile
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from harness.metrics.definition import ScoreFunction, ScoringRequest, graded, quote
from harness.metrics.text import words
from harness.types import MetricError, Score

if TYPE_CHECKING:
    import evaluate
    from rouge_score.rouge_scorer import RougeScorer

# The longest common subsequence needs a table of answer words × reference words in pure Python:
# about 10 s and 400 MB at this size.
_LARGEST_TABLE = 25_000_000


class WordTokenizer:
    """Splits text into words of any script in one case, optionally stemmed."""

    def __init__(self, stem: bool) -> None:
        """Args: stem: Reduce words of more than three letters with Porter's stemmer."""
        from nltk.stem.porter import PorterStemmer

        self._stemmer = PorterStemmer() if stem else None

    def tokenize(self, text: str) -> list[str]:
        """The words, in order."""
        found = words(text)
        if self._stemmer is None:
            return found
        return [self._stemmer.stem(word) if len(word) > 3 else word for word in found]


def make_scorer(rouge_type: str, stem: bool) -> "RougeScorer":
    """rouge-score's scorer for ``rouge1`` … ``rougeLsum`` with the tokenizer of this module.

    Args:
        rouge_type: rouge-score's name of the metric.
        stem: Whether English words are reduced to their stems.
    """
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer([rouge_type], tokenizer=WordTokenizer(stem))


def closest_reference(
    scorer: "RougeScorer", rouge_type: str, prediction: str, references: Sequence[str]
) -> tuple[int, Any]:
    """Index of the reference with the greatest F-measure, and rouge-score's score (fractions) with it.

    Args:
        scorer: The result of make_scorer.
        rouge_type: rouge-score's name of the metric.
        prediction: The answer.
        references: At least one.

    Returns:
        The index, from 0, and the score.
    """
    scored = [scorer.score(reference, prediction)[rouge_type] for reference in references]
    best = max(range(len(scored)), key=lambda index: float(scored[index].fmeasure))
    return best, scored[best]


@cache
def rouge_module() -> "evaluate.Metric":
    """An ``evaluate.Metric`` for ROUGE that needs no hub.

    ``compute(predictions=[text…], references=[[text…]…], rouge_type="rougeL", stem=False)`` returns lists
    ``precision``, ``recall``, ``fmeasure`` and ``reference`` (the index of the closest one by F-measure).
    It can be combined with other modules by ``evaluate.combine``.
    """
    import datasets
    import evaluate

    class Rouge(evaluate.Metric):  # type: ignore[misc] # evaluate ships no types
        def _info(self) -> evaluate.MetricInfo:
            texts = datasets.Sequence(datasets.Value("string"))
            return evaluate.MetricInfo(
                description="ROUGE of each prediction against the closest of its references.",
                citation="Lin 2004, aclanthology.org/W04-1013",
                inputs_description="predictions: texts; references: for each prediction a list of texts",
                features=datasets.Features({"predictions": datasets.Value("string"), "references": texts}),
            )

        def _compute(
            self,
            predictions: Sequence[str],
            references: Sequence[Sequence[str]],
            rouge_type: str = "rougeL",
            stem: bool = False,
        ) -> dict[str, list[Any]]:
            scorer = make_scorer(rouge_type, stem)
            closest = [
                closest_reference(scorer, rouge_type, prediction, texts)
                for prediction, texts in zip(predictions, references, strict=True)
            ]
            return {
                "precision": [float(score.precision) for _, score in closest],
                "recall": [float(score.recall) for _, score in closest],
                "fmeasure": [float(score.fmeasure) for _, score in closest],
                "reference": [index for index, _ in closest],
            }

    # evaluate creates a cache folder even for a module that works in memory.
    with tempfile.TemporaryDirectory(prefix="tunegate-rouge-") as folder:
        return Rouge(keep_in_memory=True, cache_dir=folder)


def _rouge(rouge_type: str) -> ScoreFunction:
    def score(requests: Sequence[ScoringRequest]) -> list[Score | MetricError]:
        results: dict[int, Score | MetricError] = {}
        for stem in (False, True):
            rows = [row for row, one in enumerate(requests) if bool(one.check.options.get("stem")) is stem]
            if rows:
                scored = _scored([requests[row] for row in rows], rouge_type, stem)
                results.update(zip(rows, scored, strict=True))
        return [results[row] for row in range(len(requests))]

    return score


def _scored(requests: Sequence[ScoringRequest], rouge_type: str, stem: bool) -> list[Score]:
    if rouge_type in {"rougeL", "rougeLsum"}:
        for request in requests:
            _refuse_huge(request)
    columns = rouge_module().compute(
        predictions=[request.text for request in requests],
        references=[list(request.case.references) for request in requests],
        rouge_type=rouge_type,
        stem=stem,
    )
    return [
        graded(
            request,
            fmeasure,
            f"precision {precision:.2f}, recall {recall:.2f} against {quote(request.case.references[index])}",
        )
        for request, precision, recall, fmeasure, index in zip(
            requests,
            columns["precision"],
            columns["recall"],
            columns["fmeasure"],
            columns["reference"],
            strict=True,
        )
    ]


def _refuse_huge(request: ScoringRequest) -> None:
    answer = len(words(request.text))
    reference = max((len(words(text)) for text in request.case.references), default=0)
    if answer * reference > _LARGEST_TABLE:
        raise ValueError(
            f"an answer of {answer} words against a reference of {reference} is more than ROUGE-L can compare"
        )


rouge_1 = _rouge("rouge1")
rouge_2 = _rouge("rouge2")
rouge_l = _rouge("rougeL")
rouge_lsum = _rouge("rougeLsum")
