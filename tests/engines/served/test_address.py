"""Which key goes to which server."""

import pytest

from harness.engines.served.address import find_key, without_key

BOTH = {"TUNEGATE_JUDGE_API_KEY": "mine", "OPENAI_API_KEY": "theirs"}


@pytest.mark.parametrize(
    "url", ["https://api.openai.com/v1", "http://127.0.0.1:8000/v1", "https://judge.example/v1"]
)
def test_the_judge_s_own_key_goes_to_any_judge(url):
    assert find_key(BOTH, url, own="TUNEGATE_JUDGE_API_KEY") == "mine"


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("https://api.openai.com/v1", "theirs"),
        ("https://eu.api.openai.com/v1", "theirs"),
        ("http://localhost:8000/v1", "theirs"),
        ("https://judge.example/v1", None),
        ("https://api.openai.com.example/v1", None),
        ("https://notopenai.com/v1", None),
    ],
)
def test_openai_s_key_goes_to_openai_and_this_machine_only(url, key):
    assert (
        find_key(
            {"OPENAI_API_KEY": "theirs", "TUNEGATE_JUDGE_API_KEY": ""}, url, own="TUNEGATE_JUDGE_API_KEY"
        )
        == key
    )


def test_no_key_is_none():
    assert find_key({}, "https://api.openai.com/v1", own="TUNEGATE_JUDGE_API_KEY") is None
    assert without_key("text", None) == "text"
    assert without_key("a mine b", "mine") == "a *** b"
