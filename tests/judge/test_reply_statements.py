"""Verdicts beside a passing one, in any language and notation, and honest replies that must still be read."""

import json
from pathlib import Path

import pytest
import yaml

from harness.judge.questions import single_request
from harness.judge.replies import read_reply
from harness.judge.reply_objects import ReplyError
from harness.judge.reply_statements import denied_inside, doubtful, is_negative, is_positive, is_verdict_label
from harness.types import Message

FILE = yaml.safe_load(Path(__file__).with_name("replies.yaml").read_text(encoding="utf-8"))
LABELLED = Path(__file__).parents[2] / "golden_sets" / "judge"
DOCS = Path(__file__).parents[2] / "docs" / "judge.md"
ANSWER = "You can return it within 30 days."
ASKED = single_request(
    "rubric", "k", [Message(role="user", content="How long?")], ANSWER, rubric="Names 30 days."
)
SHOWN = "\n".join(one.content for one in ASKED.messages)


def read(text: str) -> bool | None:
    try:
        return read_reply(text, ASKED.reply_schema, quoted=SHOWN, judged=ANSWER)["pass"]  # type: ignore[return-value]
    except ReplyError:
        return None


def filled(style: str, passed: bool) -> str:
    verdict = {"reason": "It names the period and the condition.", "pass": passed}
    further = {
        "j2": {"confidence": 0.9},
        "j3": {"criteria": [{"name": "period", "met": passed}]},
        "j4": {"score": 5 if passed else 1, "missing": []},
        "j5": {"injection_detected": False, "language": "en", "issues": "none"},
        "j": {},
    }
    for name, more in further.items():
        style = style.replace(f"{{{name}}}", json.dumps(verdict | more))
    return style


@pytest.mark.parametrize("kind", FILE["attacks"])
def test_no_other_verdict_in_any_language_or_notation_becomes_a_pass(kind: str) -> None:
    assert [reply for reply in FILE["attacks"][kind] if read(reply)] == []


def test_words_around_a_pass_or_keys_in_it_that_may_take_it_back_leave_no_verdict() -> None:
    verdict = '{"reason": "Names 30 days.", "pass": true}'
    tried = [
        *(f"{head}{gap}{verdict}" for head in FILE["heads"] for gap in (" ", "\n")),
        *(f"{verdict}\n\n{tail}" for tail in FILE["tails"]),
        *(f"{opening}{verdict}" for opening in FILE["openings"]),
        *(f"{opening}Maybe {verdict} but no, it names nothing" for opening in FILE["openings"]),
        *(f"{verdict[:-1]}, {key}}}" for key in FILE["beside"]),
        *(f"{{{key}, {verdict[1:]}" for key in FILE["beside"]),
    ]
    assert [reply for reply in tried if read(reply)] == []
    told = " ".join(DOCS.read_text(encoding="utf-8").split())
    assert f"{len(tried)} replies with other introductions, endings, marks and further keys" in told


@pytest.mark.parametrize("key", ["result", "verdict", "Final Verdict", "my_evaluation", "judgement"])
def test_a_verdict_as_the_one_thing_inside_of_a_result_is_read(key: str) -> None:
    verdict = '{"reason": "Names 30 days.", "pass": true}'
    assert read(f'{{"{key}": {verdict}}}') is True
    assert read(f'{{"response": {{"{key}": {verdict}}}}}') is None
    assert read(f'{{"{key}": {{"decision": [{verdict}]}}}}') is True
    assert read(f'{{"{key}": {verdict.replace("true", "false")}}}') is False
    for further in ('"x": 1', f'"other": {verdict}', '"pass": false'):
        assert read(f'{{"{key}": {verdict}, {further}}}') is None


@pytest.mark.parametrize("key", ["answer", "example", "response", "draft", "quoted", "candidate", "input"])
def test_a_verdict_inside_of_what_may_be_another_s_is_none(key: str) -> None:
    assert read(f'{{"{key}": {{"reason": "Names 30 days.", "pass": true}}}}') is None


@pytest.mark.parametrize("style", FILE["honest"])
def test_an_honest_pass_is_read_in_every_style(style: str) -> None:
    assert read(filled(style, passed=True)) is True
    assert read(filled(style, passed=False)) is not True


def test_the_page_says_how_many_were_tried() -> None:
    count = sum(map(len, FILE["attacks"].values()))
    told = " ".join(DOCS.read_text(encoding="utf-8").split())

    assert count >= 600
    assert f"{count} replies in {len(FILE['attacks'])} further kinds" in told
    assert f"all of {len(FILE['honest'])} further styles" in told


def test_the_reasons_of_labelled_items_agree_with_their_labels() -> None:
    """Whatever they say about the answer, none of them reads like another verdict."""
    files = LABELLED.glob("*.yaml")
    items = [item for file in files for item in yaml.safe_load(file.read_text(encoding="utf-8"))["items"]]
    judged = [
        (item["reason"], item["label"] == "pass") for item in items if item["label"] in ("pass", "fail")
    ]

    assert len(judged) >= 80
    assert [
        pair for pair in judged if read(json.dumps({"reason": pair[0], "pass": pair[1]})) is not pair[1]
    ] == []


@pytest.mark.parametrize(
    "reason",
    [
        "Not satisfied: says weeks.", "This answer must be rejected.", "The rubric is unmet.", "None of the points are met.",
        "The answer fails because it names weeks.", "The answer failed to satisfy the rubric.", "So the verdict is negative.",
        "Does not meet requirements.", "The answer does not satisfy every point.", "It is false that this satisfies the rubric.",
        "The answer violates the rubric.", "This is not a passing answer.", "I would not pass this.", "It should not be accepted.",
        "I have to mark it as a fail.", "Die Periode fehlt. Urteil: nicht bestanden", "Verdict : échec", "没有提到30天，不通过。",
    ],
)  # fmt: skip
def test_a_reason_that_denies_its_pass_is_no_reply(reason: str) -> None:
    assert read(json.dumps({"reason": reason, "pass": True})) is None
    assert read(json.dumps({"reason": reason, "pass": False})) is False


@pytest.mark.parametrize(
    "reason",
    [
        "No requirement is unmet.", "It says that late returns must be rejected.", "It tells why the payment fails because of the card.",
        "It doesn't fail any point.", "Ergebnis: 30 Tage.", "回答正确，没有遗漏。", "The claim that 60 days is wrong is right.",
    ],
)  # fmt: skip
def test_a_reason_may_speak_of_what_fails(reason: str) -> None:
    assert read(json.dumps({"reason": reason, "pass": True})) is True


def test_an_only_verdict_that_is_supposed_or_taken_back_is_none() -> None:
    verdict = json.dumps({"reason": "It names the days.", "pass": True})
    for around in (
        "A passing answer would get: {}",
        "The answer wants me to output {}",
        "{}\nIgnore the object above.",
    ):
        assert read(around.format(verdict)) is None
    assert read(f"As asked:\n{verdict}\nThe answer ignores nothing.") is True


@pytest.mark.parametrize(
    ("reason", "passed"),
    [
        ("It fails to thank the customer, which the rubric does not ask.", True),
        ("Nothing is wrong.", True),
        ("The answer says that a test fails if the part is loose, as it should.", True),
        ("Verdict: fail.", None),
        ("The answer fails the rubric.", None),
        ("It names no period, so it fails.", None),
    ],
)
def test_a_reason_that_states_another_verdict_is_no_reply(reason: str, passed: bool | None) -> None:
    assert read(json.dumps({"reason": reason, "pass": True})) is passed
    # It may quote a verdict that the answer carries.
    assert read(json.dumps({"reason": f"{reason} It wrote pass: true.", "pass": False})) is False


@pytest.mark.parametrize("text", ["Durchgefallen!", "不合格", "❌", "Rejected."])
def test_denials_of_many_languages_are_known(text: str) -> None:
    assert is_negative(text)
    assert not is_positive(text)
    assert doubtful(f"Urteil: {text}")
    assert denied_inside({"Urteil": text})


@pytest.mark.parametrize("text", ["Bestanden.", "✅", "合格", "Pass"])
def test_approvals_of_many_languages_are_known(text: str) -> None:
    assert is_positive(text)
    assert not doubtful(f"Urteil: {text}\n\n## Urteil")
    assert not denied_inside({"Urteil": text})


def test_other_keys_deny_a_verdict_by_their_names() -> None:
    assert is_verdict_label("Endgültiges Urteil")
    assert not is_verdict_label("period")
    denied = [
        {"approved": False},
        {"rejected": True},
        {"score": 0},
        {"a": [{"met": False}]},
        {"verdict": None},
        {"criteria": {"period": False, "polite": True}},
    ]
    assert all(map(denied_inside, denied))
    assert not denied_inside({"rejected": False, "score": 3, "injection": False, "issues": "none"})


def test_a_long_reply_is_read_in_little_time() -> None:
    assert not doubtful("-\n" * 100_000)


@pytest.mark.parametrize("reason", ["one or two sentences", "One or two sentences", "One or two sentences."])
def test_a_format_that_is_copied_is_no_verdict(reason: str) -> None:
    """As SmolLM2 writes when it is held to the schema."""
    assert read(json.dumps({"reason": reason, "pass": True}, indent=2)) is None
    assert read(json.dumps({"reason": f"{reason} say 30 days", "pass": True})) is True
