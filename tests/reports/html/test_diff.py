"""The word diff marks what only one side has, loses no character, and never takes long."""

from hypothesis import given
from hypothesis import strategies as st

from reports.html.diff import Piece, diff_words

words = st.lists(st.sampled_from(["a", "b", "the", " ", "\n", "{", '"', "4", "40", "寿", "司"])).map("".join)


@given(words | st.text(), words | st.text())
def test_the_pieces_put_together_are_the_texts(before: str, after: str) -> None:
    diff = diff_words(before, after)
    assert "".join(piece.text for piece in diff.before) == before
    assert "".join(piece.text for piece in diff.after) == after
    same = [["".join(p.text.split()) for p in side if p.kind == "same"] for side in (diff.before, diff.after)]
    if not diff.note:
        assert "".join(same[0]) == "".join(same[1])


def test_a_changed_word_is_marked_on_both_sides() -> None:
    diff = diff_words('{"quantity": 4, "item": "lamp"}', '{"quantity": 40, "item": "lamp"}')
    assert Piece("only", "4") in diff.before
    assert Piece("only", "40") in diff.after
    assert "".join(piece.text for piece in diff.before if piece.kind == "only") == "4"


def test_added_words_are_marked_on_one_side_only() -> None:
    diff = diff_words("Paris", "Sure, it is Paris.")
    assert diff.before == (Piece("same", "Paris"),)
    assert diff.after == (Piece("only", "Sure, it is "), Piece("same", "Paris"), Piece("only", "."))


def test_scripts_without_spaces_are_compared_sign_by_sign() -> None:
    diff = diff_words("東京は首都です", "京都は首都です")
    assert Piece("same", "は首都です") in diff.after


def test_equal_texts_are_not_marked_and_empty_ones_have_no_pieces() -> None:
    assert diff_words("a b", "a b").before == (Piece("same", "a b"),)
    assert diff_words("", "").before == ()


def test_what_the_marks_can_not_show_is_said() -> None:
    assert diff_words("a b", "a  b").note == "the same words, other white space"
    assert diff_words("a b", "c d").note == "no word in common"
    assert diff_words("a " * 1000, "a " * 999).note == "too long to compare word by word"


def test_repetitive_answers_are_little_work() -> None:
    """A small model that repeats itself is difflib's worst case: what is compared stays below the limit."""
    assert diff_words("order " * 5_000 + "end", "order " * 4_000).pairs <= 200_000
    assert diff_words("a b c " * 140, "b a c " * 140 + "d").pairs <= 200_000


def test_single_words_that_were_exchanged_are_marked_in_their_places():
    before, after = (
        "It is 12, as all who count know. So says old.",
        "It is 13, as all who count know. So says new.",
    )
    diff = diff_words(before, after)
    assert [(piece.kind, piece.text) for piece in diff.before] == [
        ("same", "It is "),
        ("only", "12"),
        ("same", ", as all who count know. So says "),
        ("only", "old"),
        ("same", "."),
    ]
    assert "".join(piece.text for piece in diff.after) == after


def test_a_word_that_moved_all_others_is_found_by_search():
    diff = diff_words("a b c d e f", "x a b c d e")
    assert [piece.text for piece in diff.before if piece.kind == "only"] == ["f"]
    assert [piece.text.strip() for piece in diff.after if piece.kind == "only"] == ["x"]
