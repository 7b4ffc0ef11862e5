"""Addresses of servers, and which key goes to which of them."""

import pytest

from harness.engines.served.address import (
    find_key,
    read_reference,
    refuse_secrets,
    without_key,
    without_proxy,
)
from harness.errors import SettingsError

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


def read(reference):
    return read_reference(reference, "model openai", "openai:MODEL@URL", ["KEY"])


@pytest.mark.parametrize(
    ("reference", "urls"),
    [
        ("m@http://[::1]:8000/v1/", ("http://[::1]:8000/v1",)),
        ("m@https://h/v1,http://i:1/v1,https://h/v1", ("https://h/v1", "http://i:1/v1")),
        ("org/m:7b@http://h/deep/path", ("http://h/deep/path",)),
        ("m", ("https://api.openai.com/v1",)),
    ],
)
def test_addresses_are_read(reference, urls):
    assert read(reference)[1] == urls


@pytest.mark.parametrize(
    "place",
    [
        "http://user:zx@qv@h/v1",
        "http://user:zx/qv@h/v1",
        "http://user:zx,qv@h/v1",
        "http://user:zx?qv@h/v1",
        "http://user:zx#qv@h/v1",
        "http://user:zx qv@h/v1",
        "http://zxqv@h/v1",
        "HTTP://user:zxqv@h/v1",
        "http://h/v1,http://user:zxqv@[h/v1",
        "user:zxqv@h:8000/v1",
        "http://h/v1?key=zxqv",
        "http://h/v1#zx\nqv",
    ],
)
def test_no_message_shows_what_may_be_a_key(place):
    with pytest.raises(SettingsError) as refused:
        read(f"m@{place}")
    assert not any(part in str(refused.value) for part in ("zx", "qv"))


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("m@localhost:8000/v1", "no model at an address"),
        ("m@http://h/v1/chat/completions", "leave '/chat/completions' out"),
        ("m@http://h/v1/completions/", "leave '/completions/' out"),
        ("m@http://h:port/v1", "is not an address"),
        ("m@http:///v1", "names no server"),
    ],
)
def test_other_forms_are_refused_before_anything_is_sent(reference, reason):
    with pytest.raises(SettingsError, match=reason):
        read(reference)


def test_a_key_is_one_word():
    found = [find_key({"TUNEGATE_MODEL_API_KEY": key}, "http://h/v1") for key in ("zxqv\n", " zxqv", "\n")]
    assert found == ["zxqv", "zxqv", None]
    for key in ("zx\nqv", "zx qv", "zxqvé"):
        with pytest.raises(SettingsError, match="TUNEGATE_MODEL_API_KEY: the key has a space") as refused:
            find_key({"TUNEGATE_MODEL_API_KEY": key}, "http://h/v1")
        assert "zx" not in str(refused.value)
    # A key that is not sent is nobody's concern.
    assert find_key({"OPENAI_API_KEY": "a b"}, "http://h/v1") is None


@pytest.mark.parametrize("arguments", ["--api-key zx", "--seed 1 --api_key=zx", "--hf-token zx"])
def test_arguments_with_a_key_are_refused(arguments):
    with pytest.raises(SettingsError, match="would be stored with the run") as refused:
        refuse_secrets(arguments)
    assert "zx" not in str(refused.value)
    refuse_secrets("--tensor-parallel-size 2 --apiary x")


@pytest.mark.parametrize(
    ("url", "pattern"),
    [
        ("http://127.0.0.1:8000/v1", "all://127.0.0.1"),
        ("https://LOCALHOST/v1", "all://localhost"),
        ("http://[::1]:8000/v1", "all://[::1]"),
    ],
)
def test_this_machine_is_asked_without_a_proxy(url, pattern):
    assert without_proxy(url) == {pattern: None}
    assert without_proxy("http://10.0.0.7:8000/v1") == {}
