"""Which installations the checks need."""

import importlib.util
from importlib import metadata

import pytest

from harness.errors import ModelError
from harness.metrics.libraries import (
    library_versions,
    missing_distributions,
    missing_extras,
    require_encoders,
)
from harness.registry import Metric, Registry, use_registry
from harness.types import Check, GoldenCase


def case_with(*types: str, skip: str | None = None, **options: str) -> GoldenCase:
    checks = tuple(Check(type=name, options=options) for name in types)
    return GoldenCase(id="case", set_name="set", messages=(), checks=checks, skip=skip)


@pytest.fixture
def bare_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python in which no optional library is found."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


@pytest.mark.usefixtures("bare_python")
def test_missing_extras_are_named_once() -> None:
    assert missing_extras([case_with("rouge-l", "bleu"), case_with("similar")]) == ["metrics"]
    assert missing_extras([case_with("perplexity", "bleu")]) == ["local", "metrics"]


@pytest.mark.usefixtures("bare_python")
def test_cheap_checks_and_skipped_cases_need_nothing() -> None:
    assert missing_extras([case_with("equals", "not-contains", "f1"), case_with("bleu", skip="later")]) == []


def test_what_is_installed_is_not_missing() -> None:
    assert missing_extras([case_with("rouge-l", "bleu", "bertscore", "similar", "perplexity")]) == []


def test_versions_are_those_of_the_installed_distributions() -> None:
    assert set(library_versions("rouge-l") or {}) == {"evaluate", "rouge-score"}
    assert library_versions("equals") == {}


def test_an_encoder_that_is_not_there_is_known_before_anything_runs() -> None:
    with pytest.raises(ModelError, match="nowhere"):
        require_encoders([case_with("bertscore", model="nowhere")])


def test_encoders_of_skipped_cases_are_not_looked_for() -> None:
    require_encoders([case_with("bertscore", skip="later", model="nowhere"), case_with("rouge-l")])


@pytest.mark.parametrize("module", ["gone", "gone.inner.part", "email.gone", ".relative", ""])
def test_a_library_of_a_plug_in_is_missing_whatever_its_name(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module's parent package may be missing too."""
    monkeypatch.setattr(metadata, "entry_points", lambda group: [])
    registry = Registry()
    metric = Metric(name="own", kind="graded", summary="Own.", function="x:y", libraries={"lib": module})
    registry.register("test", lambda registrar: registrar.add(metric))
    before = use_registry(registry)
    try:
        assert missing_distributions([case_with("own")]) == ["lib"]
    finally:
        use_registry(before)
