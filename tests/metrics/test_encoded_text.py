"""Texts that an encoder can't read are errors, not scores of 1."""

import unicodedata

import pytest

from harness.errors import SettingsError
from harness.metrics.definition import score_function
from harness.metrics.encoded_text import encoded, unreadable_reference
from harness.metrics.encoders import find_encoder
from harness.metrics.incomparable_text import unreadable
from harness.metrics.libraries import require_encoders
from harness.metrics.similar import load_encoder
from harness.types import MetricError, Score

pytestmark = pytest.mark.end_to_end

VIETNAMESE = "Tiếng Việt rất khó"


def result_of(request_for, metric: str, answer: str, *references: str, **options) -> Score | MetricError:
    (result,) = score_function(metric)([request_for(metric, answer, *references, **options)])
    return result


@pytest.mark.parametrize("metric", ["similar", "bertscore"])
@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        pytest.param("ខ្ញុំស្រលាញ់ប្រទេសកម្ពុជា", "មេឃថ្ងៃនេះមានពណ៌ខៀវ", id="Khmer"),
        pytest.param("ငါ ထမင်း စားတယ်", "သူ ကား မောင်းတယ်", id="Burmese"),
        pytest.param("ᐃᓄᒃ", "ᓄᓇ", id="Inuktitut"),
        pytest.param("👍 👍", "🚫 💀", id="emoji"),
        pytest.param("Yes 👍", "Yes 👎", id="emoji behind a word"),
        pytest.param("The sky is blue.", "មេឃពណ៌ខៀវ", id="reference"),
        pytest.param("The answer is ខ្ញុំស្រលាញ់ប្រទេសកម្ពុជា", "The answer is four.", id="one long unknown word"),
        pytest.param("\ue000\ue001", "The sky is blue.", id="characters that the tokenizer drops"),
    ],
)
def test_a_text_of_unknown_tokens_is_an_error_that_names_the_encoder(
    request_for, metric: str, answer: str, reference: str
) -> None:
    result = result_of(request_for, metric, answer, reference)

    assert isinstance(result, MetricError)
    assert result.error.startswith("minilm can't read the ")


@pytest.mark.parametrize("metric", ["similar", "bertscore"])
def test_texts_that_differ_only_in_unknown_tokens_are_an_error(request_for, metric: str) -> None:
    text = "Great job, see you tomorrow"

    result = result_of(request_for, metric, f"{text} 👍", f"{text} 👎")

    assert isinstance(result, MetricError)
    assert "can't distinguish" in result.error


@pytest.mark.parametrize("metric", ["similar", "bertscore"])
@pytest.mark.parametrize(
    ("answer", "reference", "why"),
    [
        ("pêche", "péché", "accents"), ("sale", "salé", "accents"), ("Ich war schön dort", "Ich war schon dort", "accents"), ("ano", "año", "accents"), ("فعَل", "فعل", "accents"),
        ("word " * 600 + "yes", "word " * 600 + "no", "behind the beginning"),
    ],
)  # fmt: skip
def test_what_the_encoder_sees_as_one_text_is_an_error(request_for, metric, answer, reference, why) -> None:
    result = result_of(request_for, metric, answer, reference)

    assert isinstance(result, MetricError)
    assert result.error.startswith("minilm can't distinguish")
    assert why in result.error
    # The answer itself is among the references.
    assert result_of(request_for, metric, answer, reference, answer).value == 1


@pytest.mark.parametrize("metric", ["similar", "bertscore"])
def test_a_difference_of_case_only_is_told(request_for, metric: str) -> None:
    result = result_of(request_for, metric, "us", "US")

    assert result.value == 1
    assert "no difference between capital and small letters" in result.explanation
    assert "capital" not in result_of(request_for, metric, "US", "US").explanation


@pytest.mark.parametrize("metric", ["similar", "bertscore"])
def test_a_few_unknown_tokens_are_told(request_for, metric: str) -> None:
    text = "Great job, see you tomorrow 👍"

    same, other = (result_of(request_for, metric, text, one) for one in (text, "See you today, great job 👍"))

    assert same.value == 1
    assert 0.5 < other.value < 1
    assert "2 unknown tokens" in other.explanation


@pytest.mark.parametrize("metric", ["similar", "bertscore"])
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_scripts_that_the_encoder_reads_are_scored_in_either_composition(
    request_for, metric: str, form: str
) -> None:
    result = result_of(request_for, metric, unicodedata.normalize(form, VIETNAMESE), VIETNAMESE)

    assert result.value == 1


@pytest.mark.parametrize("metric", ["similar", "bertscore"])
def test_an_answer_that_shows_nothing_is_empty(request_for, metric: str) -> None:
    result = result_of(request_for, metric, "\u200b\u200d", "The sky is blue.")

    assert result.value == 0
    assert "the answer is empty" in result.explanation


@pytest.mark.parametrize("metric", ["similar", "bertscore"])
def test_a_cut_reference_is_told_as_a_cut_answer_is(request_for, metric: str) -> None:
    long = "word " * 600

    assert "the beginning of the reference" in result_of(request_for, metric, "word", long).explanation
    assert "the beginning of the answer" in result_of(request_for, metric, long, "word").explanation
    assert (
        "the beginning of the answer and the reference"
        in result_of(request_for, metric, long, long).explanation
    )


@pytest.mark.parametrize("metric", ["similar", "bertscore"])
def test_an_unreadable_answer_in_a_batch_spoils_no_other(request_for, metric: str) -> None:
    texts = ["The sky is blue.", "មេឃពណ៌ខៀវ", "The sky is grey."]

    results = score_function(metric)([request_for(metric, text, "The sky is blue.") for text in texts])

    assert results[0].value == 1
    assert isinstance(results[1], MetricError)
    assert 0 < results[2].value < 1


def test_static_word_vectors_have_unknown_words_too(request_for, tmp_path) -> None:
    """Their tokenizer stands alone."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = Tokenizer(
        models.WordLevel({"[UNK]": 0, "blue": 1, "sky": 2, "grey": 3, "the": 4}, unk_token="[UNK]")
    )
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    seen = [encoded(words, text, None) for text in ("the sky", "the lake", "មេឃ")]
    assert [one.unknown_share for one in seen] == [0.0, pytest.approx(4 / 7), 1.0]
    assert SentenceTransformer(modules=[StaticEmbedding(words, embedding_dim=4)]).tokenizer is words


def test_a_reference_that_the_encoder_cannot_read_is_refused_before_a_model_loads(request_for) -> None:
    """By the tokenizer's file alone, with the result of the loaded one."""
    texts = ["The sky is blue.", VIETNAMESE, "Great job, see you tomorrow 👍", "word " * 600]
    for metric in ("similar", "bertscore"):
        require_encoders([request_for(metric, "x", *texts).case])
        with pytest.raises(SettingsError, match=rf"^set/case: {metric}: minilm can't read the reference"):
            require_encoders([request_for(metric, "x", *texts, "មេឃពណ៌ខៀវ").case])
    model = load_encoder(find_encoder("minilm"))
    for text in [*texts, "មេឃពណ៌ខៀវ", "Yes 👍", "我很高兴", ""]:
        alone = unreadable_reference(find_encoder("minilm"), request_for("similar", "x", text).case)
        assert alone == unreadable(encoded(model.tokenizer, text, None), "the reference")
