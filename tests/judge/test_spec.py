"""How a judge is written."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.engines.served.address import DEFAULT_URL
from harness.errors import SettingsError
from harness.judge.spec import parse_spec


@pytest.mark.parametrize(
    ("text", "kind", "model", "url"),
    [
        ("openai:m@http://127.0.0.1:8000/v1", "openai", "m", "http://127.0.0.1:8000/v1"),
        ("openai:org/m:7b@http://h/v1/", "openai", "org/m:7b", "http://h/v1"),
        ("openai:gpt-x", "openai", "gpt-x", DEFAULT_URL),
        ("local:smollm2", "local", "smollm2", None),
        ("reward:adapters/judge", "reward", "adapters/judge", None),
    ],
)
def test_the_forms(text, kind, model, url):
    spec = parse_spec(text)
    assert (spec.kind, spec.model, spec.url) == (kind, model, url)
    assert parse_spec(str(spec)) == spec


@pytest.mark.parametrize(
    ("text", "model", "threshold"),
    [("reward:a/b@0.5", "a/b", 0.5), ("reward:a@-2", "a", -2.0), ("reward:a@b", "a@b", 0.0)],
)
def test_a_reward_model_may_have_a_threshold(text, model, threshold):
    spec = parse_spec(text)
    assert (spec.model, spec.threshold) == (model, threshold)
    assert str(spec) == text


@pytest.mark.parametrize(
    "text", ["", "gpt-x", "openai:", "local: ", "http:x", "openai:http://h/v1", "openai:m m@http://h"]
)
def test_anything_else_is_refused_with_what_is_allowed(text):
    with pytest.raises(SettingsError, match="allowed"):
        parse_spec(text)


@pytest.mark.parametrize(
    "url", ["http://me:hunter2@h/v1", "https://h/v1?key=hunter2", "https://h/v1#hunter2"]
)
def test_a_key_in_the_address_is_refused_and_not_repeated(url):
    with pytest.raises(SettingsError) as caught:
        parse_spec(f"openai:m@{url}")
    assert "hunter2" not in str(caught.value)


@given(st.text())
def test_any_text_is_read_or_refused(text):
    with contextlib.suppress(SettingsError):
        parse_spec(text)
