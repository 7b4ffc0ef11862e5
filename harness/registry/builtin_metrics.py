"""The built-in metrics, one record each.

The loader of golden sets validates with this table, the JSON Schema and the reference page are made from it,
and scoring imports each function when it is first needed.
"""

from typing import Literal

from harness.registry.content_metrics import CONTENT_METRICS
from harness.registry.metric import (
    BertScoreOptions,
    EncoderOptions,
    ExactMatchOptions,
    JsonEqualsOptions,
    JudgedOptions,
    LengthOptions,
    Metric,
    Options,
    PythonOptions,
    RegexOptions,
    RelevancyOptions,
    RepetitionOptions,
    RougeOptions,
)

# The check that runs a function of the project.
PYTHON = "python"
# Distribution name → import name.
_SACREBLEU = {"sacrebleu": "sacrebleu"}
_ROUGE = {"evaluate": "evaluate", "rouge-score": "rouge_score"}
_JUDGE = {"json-repair": "json_repair"}  # one behind a server says itself what it needs besides
_SERVED = {"openai": "openai", "tenacity": "tenacity"}
_RAG = {"ragas": "ragas", "langchain-community": "langchain_community", **_SERVED}


def _text(
    name: str, function: str, summary: str, value: Literal["required", "optional"], **rest: object
) -> Metric:
    return Metric(
        name=name,
        kind="binary",
        summary=summary,
        function=f"harness.metrics.{function}",
        value=value,
        needs_references=value == "optional",
        invertible=True,
        **{"version": "2", **rest},  # type: ignore[arg-type] # the keywords are Metric's own
    )


def _overlap(name: str, function: str, summary: str, **rest: object) -> Metric:
    return Metric(
        name=name,
        kind="graded",
        summary=summary,
        function=f"harness.metrics.{function}",
        needs_references=True,
        **rest,  # type: ignore[arg-type] # as above
    )


def _exact(name: str, function: str, summary: str, **rest: object) -> Metric:
    return Metric(
        name=name,
        kind="binary",
        summary=summary,
        function=f"harness.metrics.{function}",
        needs_references=True,
        invertible=True,
        **rest,  # type: ignore[arg-type] # as above
    )


def _library(name: str, function: str, summary: str, **rest: object) -> Metric:
    """As _overlap, for a slow library."""
    return _overlap(name, function, summary, extra="metrics", cached=True, **rest)


def _judged(
    name: str,
    function: str,
    kind: Literal["binary", "graded"],
    summary: str,
    value: Literal["required", "optional", "refused"],
    **rest: object,
) -> Metric:
    # A judge caches its own replies: the scores need no cache.
    ours: dict[str, object] = {"version": "5", "options": JudgedOptions}
    given: dict[str, object] = {"extra": "judge", "libraries": _JUDGE, **ours, **rest}
    return Metric(
        name=name,
        kind=kind,
        summary=summary,
        function=f"harness.metrics.{function}",
        value=value,
        judged=True,
        **given,  # type: ignore[arg-type] # as above
    )


def _rag(name: str, function: str, summary: str, **rest: object) -> Metric:
    """A metric of ragas; its ``value`` is the question, if that isn't the last message."""
    ours: dict[str, object] = {"version": "1", "options": Options}
    given: dict[str, object] = {"extra": "rag", "libraries": _RAG, **ours, **rest}
    return _judged(name, function, "graded", summary, "optional", **given)


def _passages(name: str, function: str, summary: str) -> Metric:
    return Metric(
        name=name,
        kind="graded",
        summary=summary,
        function=f"harness.metrics.{function}",
        value="required",
        value_type="strings",
        needs_context=True,
        extra="rag",
        libraries={**_RAG, "rapidfuzz": "rapidfuzz"},
        cached=True,
    )


_ALL: tuple[Metric, ...] = (
    _text(
        "equals",
        "text:equals",
        "The answer, without white space at both ends, is the value (or one reference).",
        "optional",
    ),
    _text("iequals", "text:iequals", "As equals, ignoring case.", "optional"),
    _text("contains", "text:contains", "The value (or one reference) occurs in the answer.", "optional"),
    _text("icontains", "text:icontains", "As contains, ignoring case.", "optional"),
    _text(
        "contains-any",
        "text:contains_any",
        "At least one of the values occurs in the answer.",
        "required",
        value_type="strings",
    ),
    _text(
        "contains-all",
        "text:contains_all",
        "All of the values occur in the answer.",
        "required",
        value_type="strings",
    ),
    _text("starts-with", "text:starts_with", "The stripped answer starts with the value.", "optional"),
    _text(
        "regex",
        "text:regex",
        "The pattern matches somewhere in the answer (Python's re.search).",
        "required",
        value_type="pattern",
        options=RegexOptions,
        version="1",
    ),
    Metric(
        name="is-json",
        function="harness.metrics.json_checks:is_json",
        kind="binary",
        summary="The whole answer is JSON and, when a schema is given, valid under it.",
        version="4",
        value="optional",
        value_type="schema",
        invertible=True,
    ),
    _text(
        "json-equals",
        "json_checks:json_equals",
        "The answer is JSON equal to the value (or one reference), ignoring the order of keys.",
        "optional",
        value_type="json",
        options=JsonEqualsOptions,
    ),
    Metric(
        name="length",
        function="harness.metrics.manner:length",
        version="3",
        kind="binary",
        summary="The answer's length is between min and max.",
        value="refused",
        invertible=True,
        options=LengthOptions,
    ),
    Metric(
        name="is-refusal",
        function="harness.metrics.manner:is_refusal",
        kind="binary",
        summary="The answer declines to answer (by its wording).",
        version="3",
        value="refused",
        invertible=True,
    ),
    Metric(
        name="repetition",
        function="harness.metrics.manner:repetition",
        kind="graded",
        summary="Fraction of the answer's word n-grams that repeat an earlier one; lower is better.",
        version="2",
        value="refused",
        higher_is_better=False,
        options=RepetitionOptions,
    ),
    _exact(
        "exact-match",
        "overlap:exact_match",
        "Equal to a reference, in any Unicode composition; numbers by their value.",
        version="2",
        options=ExactMatchOptions,
    ),
    _overlap(
        "f1",
        "overlap:f1",
        "F1 of the words shared with the closest reference, in any script; numbers by their value.",
        version="2",
    ),
    _exact(
        "squad-em",
        "squad:squad_em",
        "SQuAD's exact match: equal to a reference, ignoring case, punctuation and articles.",
    ),
    _overlap("squad-f1", "squad:squad_f1", "SQuAD's token F1 against the closest reference."),
    _overlap(
        "entity-f1",
        "entities:score_entities",
        "F1 of the entities that the answer lists as JSON, each with type and text.",
        value_type="json",
    ),
    _library(
        "bleu",
        "bleu:bleu",
        "Sentence BLEU (sacreBLEU, add-k smoothing) over 100.",
        version="2",
        libraries=_SACREBLEU,
    ),
    _library(
        "chrf",
        "bleu:chrf",
        "chrF (sacreBLEU), character n-gram F-score over 100.",
        version="2",
        libraries=_SACREBLEU,
    ),
    _library(
        "rouge-1",
        "rouge:rouge_1",
        "ROUGE-1 F-measure: shared words.",
        version="2",
        options=RougeOptions,
        libraries=_ROUGE,
    ),
    _library(
        "rouge-2",
        "rouge:rouge_2",
        "ROUGE-2 F-measure: shared word pairs.",
        version="2",
        options=RougeOptions,
        libraries=_ROUGE,
    ),
    _library(
        "rouge-l",
        "rouge:rouge_l",
        "ROUGE-L F-measure: longest common word subsequence.",
        version="2",
        options=RougeOptions,
        libraries=_ROUGE,
    ),
    _library(
        "rouge-lsum",
        "rouge:rouge_lsum",
        "ROUGE-Lsum F-measure: ROUGE-L sentence by sentence (one a line).",
        version="2",
        options=RougeOptions,
        libraries=_ROUGE,
    ),
    _library(
        "bertscore",
        "bertscore:bertscore",
        "BERTScore F1: greedy cosine matching of contextual token vectors, not rescaled.",
        minimum=-1.0,
        lowest=0.0,
        version="2",
        options=BertScoreOptions,
        libraries={"evaluate": "evaluate", "bert-score": "bert_score"},
    ),
    _library(
        "similar",
        "similar:similar",
        "Cosine of the sentence embeddings. It does not see negation: never the only check.",
        minimum=-1.0,
        lowest=0.0,
        version="2",
        options=EncoderOptions,
        libraries={"sentence-transformers": "sentence_transformers"},
    ),
    _overlap(
        "perplexity",
        "perplexity:perplexity",
        "Perplexity of the reference under the model, given the prompt; lower is better.",
        minimum=1.0,
        maximum=None,
        higher_is_better=False,
        logarithmic=True,
        light_tails=True,
        usual_margin=0.10,
        reads_answer=False,
        needs_losses=True,
        extra="local",
        libraries={"torch": "torch"},
    ),
    Metric(
        name=PYTHON,
        function="harness.metrics.python_function:python",
        kind="graded",
        summary="Your own function: true or false, or with a threshold a number from 0 to 1.",
        true_or_false=True,
        runs_code=True,
        options=PythonOptions,
    ),
    _judged(
        "llm-rubric",
        "judged:single",
        "binary",
        "A judge finds that the answer satisfies the rubric.",
        "required",
    ),
    _judged(
        "llm-reference",
        "judged:single",
        "graded",
        "A judge's grade of the answer against the references.",
        "refused",
        needs_references=True,
        minimum=1.0,
        maximum=5.0,
    ),
    _judged(
        "factuality",
        "judged:single",
        "binary",
        "A judge finds that the answer agrees with the facts of the references.",
        "refused",
        needs_references=True,
    ),
    _judged(
        "tone",
        "judged:single",
        "binary",
        "A judge finds that the answer is written in the requested tone.",
        "required",
    ),
    _judged(
        "pairwise",
        "judged:pairwise",
        "graded",
        "A judge prefers the answer to the baseline's, asked in both orders: 1, 0.5 for a tie, 0.",
        "optional",
    ),
    _rag(
        "faithfulness",
        "judged:of_passages",
        "Statements of the answer that follow from the passages, over all (ragas).",
        needs_context=True,
    ),
    _rag(
        "context-recall",
        "judged:of_passages",
        "Statements of the first reference that are in the passages, over all (ragas).",
        always_references=True,
        needs_context=True,
    ),
    _rag(
        "context-precision",
        "judged:of_passages",
        "Average precision of the passages' order, useful ones first (ragas).",
        always_references=True,
        needs_context=True,
    ),
    _rag(
        "answer-relevancy",
        "judged:of_passages",
        "Cosine of the question with questions derived from the answer; 0 if it is noncommittal (ragas).",
        version="2",
        minimum=-1.0,
        lowest=0.0,
        options=RelevancyOptions,
        libraries={**_RAG, "sentence-transformers": "sentence_transformers"},
    ),
    _passages(
        "string-context-recall",
        "retrieval:string_context_recall",
        "Expected passages that were retrieved, over all, by string similarity (ragas).",
    ),
    _passages(
        "string-context-precision",
        "retrieval:string_context_precision",
        "Average precision of the passages' order, expected ones first (ragas).",
    ),
)

BUILTIN_METRICS: dict[str, Metric] = {metric.name: metric for metric in (*_ALL, *CONTENT_METRICS)}
