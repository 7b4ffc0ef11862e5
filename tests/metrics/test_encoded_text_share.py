"""How much of a text may be unknown, at the limit itself; any tokenizer shows it."""

import pytest

from harness.metrics.encoded_text import encoded
from harness.metrics.incomparable_text import unreadable


class WordTokenizer:
    """One token a word; a question mark is unknown."""

    is_fast = False
    all_special_ids = (0, 1, 2)
    unk_token_id = 2

    def __call__(self, text: str, **_: object) -> dict[str, list[int]]:
        return {"input_ids": [0, *(2 if word == "?" else 5 for word in text.split()), 1]}


@pytest.mark.parametrize(("unknown", "words"), [(1, 5), (2, 10), (20, 100)])
def test_a_share_at_the_limit_is_read_and_one_token_more_is_not(unknown: int, words: int) -> None:
    def problem(count: int) -> str:
        text = " ".join(["?"] * count + ["word"] * (words - count))
        return unreadable(encoded(WordTokenizer(), text, None), "the answer")

    assert problem(unknown) == ""
    assert "of it is not in its vocabulary (allowed: 20%)" in problem(unknown + 1)


def test_a_text_at_the_encoder_s_limit_is_whole_and_one_token_more_is_cut() -> None:
    assert not encoded(WordTokenizer(), "a b c", 5).is_cut
    longer = encoded(WordTokenizer(), "a b c d", 5)
    assert longer.is_cut
    assert longer.seen == encoded(WordTokenizer(), "a b c d e", 5).seen
