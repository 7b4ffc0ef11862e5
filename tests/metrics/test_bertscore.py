"""BERTScore on the real encoder."""

import shutil
from pathlib import Path

import pytest

from harness.metrics.bertscore import bertscore_module
from harness.metrics.definition import score_function
from harness.metrics.encoders import find_encoder

pytestmark = pytest.mark.end_to_end

TEXT = "The weather is cold today."
PARAPHRASE = "It is freezing today."
UNRELATED = "Interest rates fell by a quarter point."


def test_identity_is_one_and_a_paraphrase_beats_an_unrelated_text(score) -> None:
    same, near, far = (score("bertscore", text, TEXT).value for text in (TEXT, PARAPHRASE, UNRELATED))

    assert same == 1
    assert 1 > near > far + 0.3


def test_model_and_layer_stand_in_the_explanation(score) -> None:
    assert score("bertscore", PARAPHRASE, TEXT).explanation.endswith("(minilm, layer 6)")
    assert score("bertscore", PARAPHRASE, TEXT, layer=3).explanation.endswith("(minilm, layer 3)")


def test_the_layer_decides(score) -> None:
    assert score("bertscore", PARAPHRASE, TEXT).value != score("bertscore", PARAPHRASE, TEXT, layer=3).value


@pytest.mark.parametrize("empty", ["", " \n"])
def test_an_empty_answer_scores_zero(score, empty: str) -> None:
    result = score("bertscore", empty, TEXT)

    assert result.value == 0
    assert result.explanation.startswith("the answer is empty")


def test_the_closest_reference_counts(score) -> None:
    result = score("bertscore", PARAPHRASE, UNRELATED, TEXT)

    assert result.value == score("bertscore", PARAPHRASE, TEXT).value
    assert repr(TEXT) in result.explanation


def test_a_batch_scores_as_its_members_do_alone(request_for, score) -> None:
    texts = [TEXT, PARAPHRASE, "", UNRELATED, "word " * 300, "北京"] * 3
    together = score_function("bertscore")(
        [request_for("bertscore", text, TEXT, UNRELATED) for text in texts]
    )
    alone = [score("bertscore", text, TEXT, UNRELATED) for text in texts]

    assert [one.value for one in together] == pytest.approx([one.value for one in alone], abs=2e-6)


def test_a_huge_answer_is_cut_and_the_explanation_says_so(score) -> None:
    result = score("bertscore", "word " * 20_000, TEXT)

    assert -1 <= result.value < 0.5
    assert "only the beginning of the answer" in result.explanation


def test_a_layer_that_the_encoder_lacks_is_an_error(request_for) -> None:
    with pytest.raises(ValueError, match="minilm has 6 layers: there is no layer 9"):
        score_function("bertscore")([request_for("bertscore", TEXT, TEXT, layer=9)])


def test_an_encoder_whose_path_looks_like_a_t5_is_loaded_as_what_it_is(score, tmp_path: Path) -> None:
    """bert-score tells models by their name: "t5" anywhere in the path made it load a T5."""
    copy = tmp_path / "a-t5-project" / "encoder"
    shutil.copytree(find_encoder("minilm").directory, copy)

    result = score("bertscore", PARAPHRASE, TEXT, model=str(copy))

    assert result.value == score("bertscore", PARAPHRASE, TEXT).value


def test_the_module_is_an_evaluate_metric_for_users() -> None:
    columns = bertscore_module(find_encoder("minilm"), 6).compute(
        predictions=[TEXT, ""], references=[[UNRELATED, TEXT], [TEXT]]
    )

    assert columns["f1"] == [1.0, 0.0]
    assert columns["reference"] == [1, 0]
