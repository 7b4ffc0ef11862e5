"""Words of a list in answers."""

import pytest

from harness.errors import GoldenError
from harness.golden.load import load_golden_set
from harness.metrics.text import TooSlowError
from harness.metrics.word_lists import entries_in, listed
from harness.run.scoring import score_cases
from harness.types import Completion, Outcome


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("You get a refund.", ["refund"]),
        ("REFUND", ["refund"]),
        ("re\u200bfund", ["refund"]),
        ("re\u00adfund", ["refund"]),
        ("ｒｅｆｕｎｄ", ["refund"]),
        ("refunds and prefund", []),
        ("We guarantee it, guaranteed", ["guarant*"]),
        ("money\n back", ["money back"]),
        ("", []),
        ("STRASSE", ["straße"]),
        ("a.b", ["a.b"]),
        ("axb", []),
    ],
)
def test_entries_are_found_whatever_their_form(text, found):
    assert entries_in(text, ["refund", "guarant*", "money back", "straße", "a.b"]) == found


@pytest.mark.parametrize(
    ("entry", "text", "is_found"),
    [
        # Scripts without spaces.
        ("猫", "黒猫です", True), ("法轮", "学法轮功", True), ("หมา", "ฉันมีหมาสองตัว", True), ("ខ្មែរ", "ភាសាខ្មែរ", True), ("ဘူး", "မသွားဘူး", True), ("返金", "返金します", True), ("死*", "必死", True),
        # Marks make other letters.
        ("कम", "कमी", False), ("हिन", "हिन्दी", False), ("मूर्ख", "वह मूर्ख है", True), ("क", "कि", False), ("cafe", "café", False), ("café", "cafe\u0301", True), ("หม", "หมา", True), ("กั", "กั้น", False),
        # Whatever is never drawn.
        ("bad", "b\u200bad", True), ("bad", "b\u2063ad", True), ("bad", "b\u202ead", True), ("bad", "b\u034fad", True), ("bad", "b\ufe0fad", True), ("bad", "b\u00adad", True), ("bad", "b\u0336a\u0336d\u0336", True), ("می‌روم", "میروم", True),
        # Other forms of letters, and emphasis.
        ("bad", "𝐛𝐚𝐝", True), ("bad", "ⓑⓐⓓ", True), ("bad", "ｂａｄ", True), ("İ", "i̇", True), ("ﬁne", "fine", True), ("bad", "*b*ad", True), ("bad", "_bad_", True), ("bad", "bad_word", True), ("bad", "~~bad~~", True),
        ("bad word", "bad-word", True), ("bad word", "bad\nword", True), ("bad-word", "bad word", True), ("bad word", "badword", False), ("bad", "badge", False), ("bad*", "badge", True), ("*bad", "toobad", True), ("b*d", "bad", True), ("b* d", "bad d", True),
        ("don't", "don’t", True), ("l’eau", "L'eau", True),
        ("c++", "C++!", True), ("-5", "it is -5", True), ("👍", "👍🏽", True), ("кот", "КОТ", True), ("кот", "который", False), ("bad", "b a d", False),
    ],
)  # fmt: skip
def test_entries_in_any_script_and_form(entry, text, is_found):
    assert bool(entries_in(text, [entry])) is is_found


def test_many_wildcards_are_stopped_in_time(score):
    with pytest.raises(TooSlowError, match="the list's entries"):
        score("word-list", "a" * 100_000 + "!", value=["a*a*a*a*a*b"])


def test_a_list_in_a_text():
    assert listed("# words\nrefund\n\n  money back \r\n#x") == ("refund", "money back")


def write(folder, value):
    path = folder / "set.yaml"
    path.write_text(
        f"name: x\ncases: [{{id: a, prompt: p, checks: [{{type: not-word-list, value: {value}}}]}}]"
    )
    return path


@pytest.mark.parametrize("value", ["[refund, money back]", "file://banned.txt"])
def test_a_guardrail(tmp_path, value):
    (tmp_path / "banned.txt").write_text("# never\nrefund\nmoney back\n")
    (case,) = load_golden_set(write(tmp_path, value)).cases
    for text, outcome in (("No.", Outcome.PASSED), ("A Refund!", Outcome.FAILED)):
        answer = Completion(
            text=text, stop_reason="stop", prompt_tokens=1, completion_tokens=1, latency_s=0.1
        )
        assert score_cases([case], {case.key: answer})[0].outcome is outcome


@pytest.mark.parametrize("value", ["[]", "['']", "['*']", "3", "' '", "[a, '']"])
def test_an_empty_list_is_refused(tmp_path, value):
    with pytest.raises(GoldenError, match="value"):
        load_golden_set(write(tmp_path, value))


@pytest.mark.parametrize(
    ("entry", "text"),
    [("!", "hey!"), ("...", "wait..."), ("👍", "ok👍"), (":)", "hi:)"), (".net", "ASP.NET"), ("$", "only 5$"), ("c++", "in C++ and")],
)  # fmt: skip
def test_a_sign_at_an_entry_s_edge_needs_no_space_around_it(entry, text):
    assert entries_in(text, [entry]) == [entry]
    assert entries_in(text, ["ne", "wai", "k"]) == []
