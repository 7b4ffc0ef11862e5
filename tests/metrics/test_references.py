"""Each metric beside the library or script that it comes from; the table in docs/metrics.md is made here."""

import json
import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from harness.metrics.definition import score_function
from harness.metrics.encoders import find_encoder
from harness.metrics.text import terms, words
from harness.types import MetricError, Score

SENTENCES = Path(__file__).with_name("scripts.txt")
PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


class Pair(NamedTuple):
    """An answer and its reference."""

    script: str
    answer: str
    reference: str


class Reference(NamedTuple):
    """What a metric is compared with: its name for the table, and its values of pairs."""

    name: str
    values: Callable[[Sequence[Pair]], list[float]]
    within: float = 1e-9


def sentences() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in SENTENCES.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            script, _, text = line.partition("\t")
            found.setdefault(script, []).append(text)
    return found


def pairs() -> list[Pair]:
    """Each sentence with itself, itself decomposed, cut, turned round, another one, and itself and another."""
    return [
        Pair(script, answer, text) for script, texts in sentences().items() for answer, text in _of(texts)
    ]


def _of(texts: Sequence[str]) -> Iterator[tuple[str, str]]:
    for place, text in enumerate(texts):
        other = texts[(place + 1) % len(texts)]
        yield text, text
        yield unicodedata.normalize("NFD", text), unicodedata.normalize("NFC", text)
        yield text[: len(text) * 2 // 3], text
        yield " ".join(reversed(text.split())), text
        yield other, text
        yield f"{text} {other}\n{text}", f"{text}\n{other}"


PAIRS = pairs()


# The functions of SQuAD 2.0's evaluation script.
def squad_normal(text: str) -> str:
    text = "".join(character for character in text.lower() if character not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def squad_em(some: Sequence[Pair]) -> list[float]:
    return [float(squad_normal(one.answer) == squad_normal(one.reference)) for one in some]


def squad_f1(some: Sequence[Pair]) -> list[float]:
    return [_squad_f1(squad_normal(one.answer).split(), squad_normal(one.reference).split()) for one in some]


def _squad_f1(found: list[str], wanted: list[str]) -> float:
    if not found or not wanted:
        return float(found == wanted)
    same = sum((Counter(found) & Counter(wanted)).values())
    if same == 0:
        return 0.0
    precision, recall = same / len(found), same / len(wanted)
    return 2 * precision * recall / (precision + recall)


def nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def bleu(some: Sequence[Pair]) -> list[float]:
    import sacrebleu

    return [
        sacrebleu.sentence_bleu(nfc(one.answer), [nfc(one.reference)], smooth_method="add-k").score / 100
        for one in some
    ]


def chrf(some: Sequence[Pair]) -> list[float]:
    import sacrebleu

    return [sacrebleu.sentence_chrf(nfc(one.answer), [nfc(one.reference)]).score / 100 for one in some]


def rouge(name: str, split: Callable[[str], list[str]] = words) -> Callable[[Sequence[Pair]], list[float]]:
    """rouge-score's own tokenizer reads ASCII only: other words are numbered, each with its own number."""
    from rouge_score.rouge_scorer import RougeScorer

    scorer, numbers = RougeScorer([name]), {}

    def numbered(text: str) -> str:
        return "\n".join(
            " ".join(f"w{numbers.setdefault(word, len(numbers))}" for word in split(line))
            for line in text.split("\n")
        )

    def value(one: Pair) -> float:
        plain = split is words and one.answer.isascii() and one.reference.isascii()
        read = str if plain else numbered
        return float(scorer.score(read(one.reference), read(one.answer))[name].fmeasure)

    return lambda some: [value(one) for one in some]


def gleu(some: Sequence[Pair]) -> list[float]:
    from nltk.translate.gleu_score import corpus_gleu

    return [corpus_gleu([[words(one.reference)]], [words(one.answer)]) for one in some]


class NoSynonyms:
    """In place of WordNet, whose data doesn't come with NLTK."""

    def synsets(self, _word: str) -> list[object]:
        return []


def meteor(some: Sequence[Pair]) -> list[float]:
    from nltk.translate.meteor_score import meteor_score

    return [meteor_score([words(one.reference)], words(one.answer), wordnet=NoSynonyms()) for one in some]


def edit_distance(some: Sequence[Pair]) -> list[float]:
    import nltk

    return [float(nltk.edit_distance(nfc(one.answer).strip(), nfc(one.reference).strip())) for one in some]


def entities(text: str) -> str:
    """The words of a text as entities of two kinds."""
    return json.dumps([{"type": "ab"[place % 2], "text": word} for place, word in enumerate(words(text))])


def typed_words(text: str) -> list[str]:
    return [f"{one['type']}:{one['text']}" for one in json.loads(text)]


@pytest.fixture(scope="session")
def byte_encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small encoder that reads every script, with random weights: byte pairs learnt from the sentences."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast, RobertaConfig, RobertaModel

    folder = tmp_path_factory.mktemp("byte-encoder")
    first, padding, last = marks = ["<s>", "<pad>", "</s>"]
    tokens = Tokenizer(models.BPE())
    tokens.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=1500, special_tokens=marks, initial_alphabet=alphabet, show_progress=False
    )
    tokens.train_from_iterator([text for texts in sentences().values() for text in texts], trainer)
    tokens.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokens, cls_token=first, pad_token=padding, sep_token=last, model_max_length=512
    ).save_pretrained(folder)
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    ids = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
    config = RobertaConfig(
        vocab_size=tokens.get_vocab_size(), max_position_embeddings=514, initializer_range=0.3, **shape, **ids
    )
    RobertaModel(config).save_pretrained(folder)
    return str(folder)


def bertscore(encoder: str, layers: int) -> Callable[[Sequence[Pair]], list[float]]:
    def values(some: Sequence[Pair]) -> list[float]:
        import bert_score

        answers, references = [one.answer for one in some], [one.reference for one in some]
        return bert_score.score(answers, references, model_type=encoder, num_layers=layers)[2].tolist()

    return values


def mean_pooled_cosine(encoder: str, limit: int) -> Callable[[Sequence[Pair]], list[float]]:
    """Without sentence-transformers, which the metric itself uses."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(encoder), AutoModel.from_pretrained(encoder)
    model.float().eval()

    @cache
    def vector(text: str) -> torch.Tensor:
        with torch.inference_mode():
            read = tokenizer(text, return_tensors="pt", truncation=True, max_length=limit)
            hidden = model(**read).last_hidden_state
        return torch.nn.functional.normalize(hidden[0].mean(dim=0), dim=0)

    return lambda some: [float(vector(one.answer) @ vector(one.reference)) for one in some]


def table_row(metric: str, reference: Reference, request_for, shown=lambda text: text, **options) -> str:
    """One row, after each value was compared: pairs, scripts, errors, and how far the values are apart at most."""
    some = [Pair(one.script, shown(one.answer), shown(one.reference)) for one in PAIRS]
    results = score_function(metric)(
        [request_for(metric, one.answer, one.reference, **options) for one in some]
    )
    scored = [(pair, one) for pair, one in zip(some, results, strict=True) if isinstance(one, Score)]
    expected = reference.values([pair for pair, _ in scored])
    apart = max(abs(one.value - value) for (_, one), value in zip(scored, expected, strict=True))
    errored = sum(isinstance(one, MetricError) for one in results)
    assert apart <= reference.within, (metric, apart)
    scripts = len({pair.script for pair, _ in scored})
    return f"| {metric} | {reference.name} | {len(scored)} | {scripts} | {errored} | under {reference.within:.0e} |"


ON_NUMBERS = "rouge-score; words outside of ASCII numbered"
FAST = {
    "f1": Reference("ROUGE-1 of rouge-score on its words", rouge("rouge1", terms)),
    "squad-em": Reference("the official script", squad_em),
    "squad-f1": Reference("the official script", squad_f1),
    "bleu": Reference("sacreBLEU, in NFC", bleu),
    "chrf": Reference("sacreBLEU, in NFC", chrf),
    "rouge-1": Reference(ON_NUMBERS, rouge("rouge1")),
    "rouge-2": Reference(ON_NUMBERS, rouge("rouge2")),
    "rouge-l": Reference(ON_NUMBERS, rouge("rougeL")),
    "rouge-lsum": Reference(ON_NUMBERS, rouge("rougeLsum")),
    "gleu": Reference("NLTK's corpus GLEU of one pair", gleu),
    "meteor": Reference("NLTK, without synonyms", meteor),
    "levenshtein": Reference("NLTK's edit distance, in NFC", edit_distance),
}
ENCODED = {"bertscore": "bert-score's own function", "similar": "transformers, mean of the last layer"}


def reference_of(metric: str, encoder: str, layers: int, limit: int) -> Reference:
    values = bertscore(encoder, layers) if metric == "bertscore" else mean_pooled_cosine(encoder, limit)
    return Reference(ENCODED[metric], values, within=5e-6)


def page_rows() -> list[str]:
    return PAGE.read_text(encoding="utf-8").splitlines()


def test_there_are_many_pairs_in_many_scripts() -> None:
    assert len(PAIRS) >= 500
    assert len(sentences()) >= 12


@pytest.mark.parametrize("metric", FAST)
def test_a_metric_gives_its_reference_s_values(request_for, metric: str) -> None:
    assert table_row(metric, FAST[metric], request_for) in page_rows()


def test_entity_f1_gives_its_reference_s_values(request_for) -> None:
    reference = Reference("ROUGE-1 of rouge-score on the entities", rouge("rouge1", typed_words))

    assert table_row("entity-f1", reference, request_for, entities) in page_rows()


@pytest.mark.end_to_end
@pytest.mark.parametrize("metric", ENCODED)
def test_an_encoder_of_all_scripts_gives_its_reference_s_values(request_for, byte_encoder, metric) -> None:
    reference = reference_of(metric, byte_encoder, layers=2, limit=512)

    assert table_row(metric, reference, request_for, model=byte_encoder) in page_rows()


@pytest.mark.end_to_end
@pytest.mark.parametrize("metric", ENCODED)
def test_the_default_encoder_gives_its_reference_s_values(request_for, metric: str) -> None:
    reference = reference_of(metric, str(find_encoder("minilm").directory), layers=6, limit=256)
    row = table_row(metric, reference, request_for)

    _, _, _, count, scripts, errored, _, _ = (one.strip() for one in row.split("|"))
    told = f"With MiniLM, {count} of the pairs are read, in {scripts} scripts, with equal values, and {errored} errored"
    assert told in " ".join(PAGE.read_text(encoding="utf-8").split())


def test_each_row_is_of_many_pairs_in_many_scripts() -> None:
    rows = [row.split("|") for row in page_rows()]
    counted = {
        row[1].strip(): (int(row[3]), int(row[4])) for row in rows if row[-2:-1] and "under" in row[-2]
    }

    assert counted.keys() == {*FAST, *ENCODED, "entity-f1"}
    assert all(count >= 500 and scripts >= 12 for count, scripts in counted.values())
