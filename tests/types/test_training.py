"""The training manifest: what every method wrote before it was typed is read, and nothing of it is lost."""

import json
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from harness.engines.adapter import read_training
from harness.errors import AdapterError
from harness.types import ModelRef
from harness.types.storage import decode, encode, plain
from harness.types.training import TrainingManifest, stored_manifest

# One of each method, as tunegate 0.1.0 wrote it before there was a type for it.
EARLIER = sorted((Path(__file__).parent / "manifests").glob("*.json"))
METHODS = {"sft", "dpo", "orpo", "kto", "reward", "continual", "grpo", "rft", "rloo", "multitask"}


def document(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def test_every_method_is_among_them():
    assert {document(path)["method"] for path in EARLIER} == METHODS


@pytest.mark.parametrize("path", EARLIER, ids=lambda path: path.stem)
def test_an_earlier_manifest_is_read_whole(path, tmp_path):
    written = document(path)
    (tmp_path / "training_manifest.json").write_bytes(path.read_bytes())
    manifest = read_training(tmp_path)
    assert plain(manifest) == written
    assert manifest.model_extra == {}
    assert len(manifest.losses) == manifest.steps == len(written["losses"]) > 0
    assert manifest.data.sha256 == written["data"]["sha256"]
    assert manifest.damaged == {}


@pytest.mark.parametrize("path", EARLIER, ids=lambda path: path.stem)
def test_an_earlier_record_keeps_its_manifest(path):
    """As a history holds it: the file's keys inside the model's."""
    fields = {"label": "m", "base_model": "b", "base_sha256": "0", "training": document(path)}
    model = decode(ModelRef, json.dumps(fields))
    assert isinstance(model.training, TrainingManifest)
    assert json.loads(encode(model))["training"] == fields["training"]
    assert decode(ModelRef, encode(model)) == model


def test_a_model_that_was_not_trained_here_has_none(tmp_path):
    assert read_training(tmp_path) is None
    fields = {"label": "m", "base_model": "b", "base_sha256": "0"}
    for stored in ({}, {"training": {}}, {"training": None}):
        assert TypeAdapter(ModelRef).validate_python({**fields, **stored}).training is None


def test_keys_of_a_later_version_are_kept():
    """At the top and inside."""
    later = {
        "schema_version": 2,
        "method": "sft",
        "losses": [{"step": 1, "loss": 0.5, "grad_norm": 1.25}],
        "data": {"sha256": "0", "mixture": {"a": 0.5}},
        "carbon_g": 12.5,
    }
    assert plain(TrainingManifest.model_validate(later)) == later


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"losses": "none"}, "losses: found 'none' ("),
        ({"losses": [{"step": 1}]}, "losses.0.loss: found {'step': 1} (Field required)"),
        ({"losses": [{"step": "1", "loss": 2.0}]}, "losses.0.step: found '1' ("),
        ({"base_sha256": 12}, "base_sha256: found 12 ("),
        ({"canaries": {"summary": [3]}}, "canaries.summary.0: found 3 ("),
        ({"config": "c" * 500}, "c" * 79 + "… ("),
        ({"data": None}, "data: found None ("),
    ],
)
def test_a_damaged_file_is_one_line(tmp_path, changes, message):
    path = tmp_path / "training_manifest.json"
    path.write_text(json.dumps({**document(EARLIER[0]), **changes}))
    with pytest.raises(AdapterError) as raised:
        read_training(tmp_path)
    line = str(raised.value)
    assert line.startswith(f"{path}: ")
    assert message in line
    assert line.endswith("; copy or train the adapter again")
    assert "\n" not in line


def test_a_key_of_a_later_version_that_is_read_otherwise_asks_for_an_update(tmp_path):
    (tmp_path / "training_manifest.json").write_text('{"schema_version": 2, "losses": {"file": "l.csv"}}')
    with pytest.raises(AdapterError, match="it is of a newer tunegate: update this one"):
        read_training(tmp_path)


def test_what_is_damaged_in_a_stored_record_is_set_aside():
    """A record must stay readable: the rest of the manifest is read."""
    stored = {"method": "sft", "losses": "none", "steps": 3, "own": [1]}
    manifest = stored_manifest(stored)
    assert isinstance(manifest, TrainingManifest)
    assert (manifest.method, manifest.steps, manifest.losses) == ("sft", 3, ())
    assert plain(manifest) == {"method": "sft", "steps": 3, "own": [1], "damaged": {"losses": "none"}}
    assert stored_manifest(plain(manifest)) == manifest


def test_losses_may_be_bare_numbers_counted_from_one():
    manifest = TrainingManifest.model_validate({"losses": [2.0, 1]})
    assert [(entry.step, entry.loss) for entry in manifest.losses] == [(1, 2.0), (2, 1.0)]
