"""Embedding similarity on the real encoder."""

import pytest

from harness.metrics.definition import score_function

pytestmark = pytest.mark.end_to_end

TEXT = "The weather is cold today."
PARAPHRASE = "It is freezing today."
UNRELATED = "Interest rates fell by a quarter point."


def test_identity_is_one_and_a_paraphrase_beats_an_unrelated_text(score) -> None:
    same, near, far = (score("similar", text, TEXT).value for text in (TEXT, PARAPHRASE, UNRELATED))

    assert same == 1
    assert 1 > near > far + 0.3


def test_an_empty_answer_scores_zero(score) -> None:
    assert score("similar", " ", TEXT).value == 0


def test_it_is_symmetric(score) -> None:
    forth, back = score("similar", PARAPHRASE, TEXT), score("similar", TEXT, PARAPHRASE)

    assert forth.value == pytest.approx(back.value, abs=2e-6)


def test_the_closest_reference_counts(score) -> None:
    result = score("similar", PARAPHRASE, UNRELATED, TEXT)

    assert result.value == pytest.approx(score("similar", PARAPHRASE, TEXT).value, abs=2e-6)
    assert result.explanation == f"closest to {TEXT!r} (minilm)"


def test_a_batch_scores_as_its_members_do_alone(request_for, score) -> None:
    texts = [TEXT, PARAPHRASE, "", UNRELATED, "word " * 300, "北京"] * 3
    together = score_function("similar")([request_for("similar", text, TEXT, UNRELATED) for text in texts])
    alone = [score("similar", text, TEXT, UNRELATED) for text in texts]

    assert [one.value for one in together] == pytest.approx([one.value for one in alone], abs=2e-6)


def test_a_huge_answer_is_cut_and_the_explanation_says_so(score) -> None:
    assert "only the beginning of the answer" in score("similar", "word " * 20_000, TEXT).explanation
