"""The function behind each check type. A test holds this table and the check types together."""

from harness.metrics import bertscore, bleu, json_checks, manner, overlap, perplexity, rouge, similar, text
from harness.metrics.definition import ScoreFunction

METRICS: dict[str, ScoreFunction] = {
    "equals": text.equals,
    "iequals": text.iequals,
    "contains": text.contains,
    "icontains": text.icontains,
    "contains-any": text.contains_any,
    "contains-all": text.contains_all,
    "starts-with": text.starts_with,
    "regex": text.regex,
    "is-json": json_checks.is_json,
    "json-equals": json_checks.json_equals,
    "length": manner.length,
    "is-refusal": manner.is_refusal,
    "repetition": manner.repetition,
    "exact-match": overlap.exact_match,
    "f1": overlap.f1,
    "bleu": bleu.bleu,
    "chrf": bleu.chrf,
    "rouge-1": rouge.rouge_1,
    "rouge-2": rouge.rouge_2,
    "rouge-l": rouge.rouge_l,
    "rouge-lsum": rouge.rouge_lsum,
    "bertscore": bertscore.bertscore,
    "similar": similar.similar,
    "perplexity": perplexity.perplexity,
}
