"""An answer that ends early has the scores of the whole one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import GoldenError, SettingsError
from harness.golden.decided import condition_of, is_decided, looks_for_json
from harness.golden.load import load_golden_set
from harness.metrics.definition import ScoringRequest
from harness.metrics.text import contains, contains_all, contains_any, icontains, regex
from harness.plugin.fixtures import generation_settings
from harness.types import Check, Completion, GoldenCase, Message

METRICS = {
    "contains": contains,
    "icontains": icontains,
    "contains-any": contains_any,
    "contains-all": contains_all,
    "regex": regex,
}
PATTERNS = ("a+b", "^a", "(ab|c)d?", "[^a]b", r"\d{2,}", "(a)\\1", r"\Aé", "a.c")
letters = st.text(alphabet="abcdAéE\u0301 1\u1100\u1161\u11a8\n", max_size=12)
checks = st.one_of(
    st.builds(lambda text: Check(type="contains", value=text), letters.filter(bool)),
    st.builds(lambda text: Check(type="icontains", value=text), letters.filter(bool)),
    st.builds(
        lambda name, texts: Check(type=name, value=texts),
        st.sampled_from(["contains-any", "contains-all"]),
        st.lists(letters.filter(bool), min_size=1, max_size=3),
    ),
    st.builds(lambda pattern: Check(type="regex", value=pattern), st.sampled_from(PATTERNS)),
)


def score(check, text):
    case = GoldenCase(id="c", set_name="s", messages=(Message(role="user", content="?"),), checks=(check,))
    answer = Completion(text=text, stop_reason="stop", prompt_tokens=1, completion_tokens=1, latency_s=0.0)
    (found,) = METRICS[check.type]([ScoringRequest(case=case, check=check, completion=answer, text=text)])
    return found.value


@given(checks, letters, letters)
def test_what_decides_a_beginning_is_the_score_of_the_whole(check, beginning, rest):
    condition = condition_of(check, ())
    assert condition is not None
    if is_decided([condition], beginning):
        assert score(check, beginning) == score(check, beginning + rest) == 1.0


@pytest.mark.parametrize(
    ("check", "begun", "decided"),
    [
        (Check(type="contains", value="12"), "It is 12", False),  # 12 may become 12̈
        (Check(type="contains", value="12"), "It is 12.", True),
        (Check(type="not-contains", value="12"), "It is 12.", True),
        (Check(type="contains", value="12"), "It is 13.", False),
        (Check(type="contains", value="cafe"), "cafe\u0301 ", False),
        (Check(type="icontains", value="PARIS"), "in Paris.", True),
        (Check(type="contains-all", value=["a", "b"]), "a and ", False),
        (Check(type="contains-all", value=["a", "b"]), "a and b ", True),
        (Check(type="contains-any", value=["x", "b"]), "a and b ", True),
        (Check(type="regex", value=r"\d+"), "It is 1", True),
        (Check(type="regex", value=r"."), "\ufffd", False),  # half of a character
    ],
)
def test_a_check_is_decided_once_it_has_found_what_it_looks_for(check, begun, decided):
    assert is_decided([condition_of(check, ())], begun) is decided


def test_json_is_looked_for_by_whoever_knows_it():
    """Each check its own schema; without that nothing is decided."""
    conditions = [
        condition_of(Check(type=name, value=7), ()) for name in ("contains-json", "not-contains-json")
    ]
    assert looks_for_json(conditions)
    assert not looks_for_json([condition_of(Check(type="contains", value="json"), ())])
    asked = []
    assert is_decided(conditions, "{}\ufffd", lambda answer, schema: not asked.append((answer, schema)))
    assert asked == [("{}", 7), ("{}", 7)]
    assert not is_decided(conditions, "{}")


def test_references_are_what_a_check_without_a_value_looks_for():
    condition = condition_of(Check(type="contains"), ("four", "4"))
    assert is_decided([condition], "It is 4, so")
    assert not is_decided([condition], "It is 5, so")
    assert condition_of(Check(type="contains"), ()) is None


@pytest.mark.parametrize(
    "check",
    [
        *(
            Check(type="regex", value=pattern)
            for pattern in ("a$", r"a\b", r"a\Z", "a(?!b)", "a(?=b)", "(?>a)")
        ),
        *(
            Check(type=name)
            for name in ("is-json", "equals", "rouge-l", "length", "llm-rubric", "starts-with")
        ),
        Check(type="contains", value="a", transform=("strip",)),
        Check(type="contains", value=3),
    ],
)
def test_what_the_rest_of_an_answer_may_change_is_never_decided(check):
    assert condition_of(check, ("a",)) is None


SET = """\
name: s
generation: {{stop_when_decided: true, max_new_tokens: 40}}
cases:
  - id: a
    prompt: What is one?
    references: ["one"]
    checks: [{checks}]
"""


def test_a_set_carries_what_decides_its_answers(tmp_path):
    (tmp_path / "s.yaml").write_text(SET.format(checks="{type: contains}, {type: regex, value: on+}"))
    (case,) = load_golden_set(tmp_path / "s.yaml").cases
    assert case.generation.decided_by == (
        {"any": ["one"], "fold": False},
        {"pattern": "on+", "ignore_case": False},
    )
    (tmp_path / "s.yaml").write_text(SET.format(checks="{type: contains}").replace("true", "false"))
    (plain,) = load_golden_set(tmp_path / "s.yaml").cases
    assert plain.generation.decided_by == ()
    assert plain.content_sha256 != case.content_sha256


def test_a_check_that_is_known_only_at_the_end_is_refused(tmp_path):
    (tmp_path / "s.yaml").write_text(SET.format(checks="{type: contains}, {type: is-json}"))
    with pytest.raises(
        GoldenError, match="stop_when_decided: is-json is known only when the answer has ended"
    ):
        load_golden_set(tmp_path / "s.yaml")


def test_settings_given_in_python_have_no_checks_that_could_decide():
    with pytest.raises(SettingsError, match="only the checks of a golden case decide"):
        generation_settings({"stop_when_decided": True}, "generate")
