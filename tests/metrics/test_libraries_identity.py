"""Cache keys of expensive scores."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.metrics import libraries
from harness.metrics.encoders import find_encoder
from harness.metrics.libraries import cache_key
from harness.types import Check


def make_encoder(directory: Path, weights: bytes = b"weights") -> Path:
    (directory / "1_Pooling").mkdir(parents=True, exist_ok=True)
    (directory / "config.json").write_text('{"num_hidden_layers": 2}')
    (directory / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": true}')
    (directory / "model.safetensors").write_bytes(weights)
    return directory


def test_the_key_is_a_hash_and_stays_the_same(request_for) -> None:
    one, other = request_for("rouge-l", "a", "b"), request_for("rouge-l", "a", "b")

    assert cache_key(one) == cache_key(other)
    assert len(cache_key(one) or "") == 64


def test_everything_that_the_score_depends_on_changes_the_key(request_for) -> None:
    requests = [
        request_for("rouge-l", "a", "b"),
        request_for("rouge-1", "a", "b"),
        request_for("rouge-l", "a ", "b"),
        request_for("rouge-l", "a", "b", "c"),
        request_for("rouge-l", "a", "c", "b"),
        request_for("rouge-l", "a", "b", stem=True),
        request_for("rouge-l", "ab"),
    ]

    assert len({cache_key(request) for request in requests}) == len(requests)


def test_the_threshold_and_written_out_defaults_do_not(request_for) -> None:
    plain = request_for("rouge-l", "a", "b")
    strict = replace(plain, check=Check(type="rouge-l", threshold=0.9, line=7))

    assert cache_key(strict) == cache_key(plain)
    assert cache_key(request_for("rouge-l", "a", "b", stem=False)) == cache_key(plain)


def test_a_library_of_another_version_changes_the_key(request_for, monkeypatch: pytest.MonkeyPatch) -> None:
    before = cache_key(request_for("bleu", "a", "b"))
    monkeypatch.setattr(libraries, "library_versions", lambda name: {"sacrebleu": "0.1"})

    assert cache_key(request_for("bleu", "a", "b")) != before


@pytest.mark.parametrize("changed", ["model.safetensors", "1_Pooling/config.json", "config.json"])
def test_an_encoder_with_other_content_under_the_same_name_changes_the_key(
    request_for, tmp_path: Path, changed: str
) -> None:
    request = request_for("similar", "a", "b", model=str(make_encoder(tmp_path)))
    before = cache_key(request)
    (tmp_path / changed).write_text('{"another": 1}')
    find_encoder.cache_clear()  # as a new process would

    assert before is not None
    assert cache_key(request) != before


@pytest.mark.parametrize("check_type", ["equals", "is-json", "f1", "perplexity"])
def test_cheap_scores_have_no_key(request_for, check_type: str) -> None:
    assert cache_key(request_for(check_type, "a", "b")) is None


def test_without_library_or_encoder_there_is_no_key(request_for, monkeypatch: pytest.MonkeyPatch) -> None:
    """The metric is then asked, and says what is missing."""
    assert cache_key(request_for("similar", "a", "b", model="nowhere")) is None
    monkeypatch.setattr(libraries, "library_versions", lambda name: None)
    assert cache_key(request_for("bleu", "a", "b")) is None
