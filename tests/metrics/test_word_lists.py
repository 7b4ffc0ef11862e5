"""Words of a list in answers."""

import pytest

from harness.errors import GoldenError
from harness.golden.load import load_golden_set
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
        ("返金します", []),
    ],
)
def test_entries_are_found_whatever_their_form(text, found):
    assert entries_in(text, ["refund", "guarant*", "money back", "straße", "a.b"]) == found


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
