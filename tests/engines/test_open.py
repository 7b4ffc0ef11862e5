"""Several models out of what a user names, each distinguished by as little as it takes."""

import pytest

from harness.engines.open import describe_model, named_models, short_names
from harness.errors import ModelError


@pytest.fixture
def adapters(tmp_path):
    """Two directories that look like adapters, and one that doesn't."""
    for name in ("a", "b", "notes"):
        (tmp_path / "adapters" / name).mkdir(parents=True)
    for name in ("a", "b"):
        (tmp_path / "adapters" / name / "adapter_config.json").write_text("{}")
    return tmp_path / "adapters"


def test_a_directory_stands_for_the_adapters_in_it(adapters):
    assert named_models([str(adapters)]) == [str(adapters / "a"), str(adapters / "b")]


def test_a_model_named_twice_is_taken_once(adapters):
    """Also where it is named by another path, or within its directory."""
    references = [f"{adapters / 'a'}/", str(adapters / "a"), str(adapters), "smollm2", "smollm2"]
    assert named_models(references) == [f"{adapters / 'a'}/", str(adapters / "b"), "smollm2"]


@pytest.mark.parametrize("reference", ["", " "])
def test_no_name_is_not_the_working_directory(reference, adapters, monkeypatch):
    """A variable that is not set must not gate what happens to be there."""
    monkeypatch.chdir(adapters)
    assert named_models([reference]) == [reference]
    with pytest.raises(ModelError, match="no model is named"):
        describe_model(reference)


@pytest.mark.parametrize("own", ["adapter_config.json", "config.json", "multitask.json"])
def test_checkpoints_inside_a_model_are_not_gated_with_it(adapters, own):
    (adapters / own).write_text("{}")
    assert named_models([str(adapters)]) == [str(adapters)]


@pytest.mark.parametrize(
    ("references", "names"),
    [
        (["runs/mild", "runs/wild"], ["mild", "wild"]),
        (["first/lora", "second/lora", "second/dora"], ["first/lora", "second/lora", "dora"]),
        (["x/first/lora", "y/first/lora"], ["x/first/lora", "y/first/lora"]),
        (["org/name", "smollm2"], ["name", "smollm2"]),
        (["lora", "org/lora"], ["lora", "org/lora"]),
        (["openai:a@http://h:1/v1", "openai:org/b@http://i:1/v1"], ["a", "b"]),
        (["openai:a", "openai:b@http://h/v1,http://i/v1"], ["a", "b"]),
        (["openai:a@http://h/v1", "openai:a@http://i/v1"], ["http://h/v1/a", "http://i/v1/a"]),
        (
            ["openai:a@http://h/v1", "openai-completions:a@http://h/v1", "openai:b@2@http://h/v1"],
            ["openai/http://h/v1/a", "openai-completions/http://h/v1/a", "b@2"],
        ),
    ],
)
def test_a_name_is_the_last_part_and_more_where_two_are_equal(references, names, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert short_names(references) == names


def test_a_directory_is_named_by_where_it_is(adapters, monkeypatch):
    """Not by how it was reached."""
    monkeypatch.chdir(adapters / "a")
    assert short_names([".", "../b/"]) == ["a", "b"]
