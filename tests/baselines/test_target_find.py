"""What ``--gate-baseline`` names: a model, an accepted name, a stored run, or nothing."""

from dataclasses import replace

import pytest

from harness.baselines.accept import accept_run
from harness.baselines.target import find_baseline, shared_base
from harness.engines.open import describe_model
from harness.errors import BaselineError
from harness.history.store import open_history
from harness.types import GateRecord, ModelRef

ADAPTER = ModelRef(label="new", base_model="b", base_sha256="b0", adapter_dir="new", adapter_sha256="a1")
WHOLE = ModelRef(label="whole", base_model="whole", base_sha256="w0")


@pytest.fixture
def found(tmp_path):
    def find(wanted, candidates=(ADAPTER,)):
        return find_baseline(wanted, candidates, tmp_path, tmp_path / "history.sqlite")

    return find


@pytest.fixture
def run(make_run, make_result):
    return make_run([make_result("s/a")], run_id="20260131-120000-beef")


def test_none_compares_with_nothing(found):
    assert found("none").kind == "none"


def test_base_is_what_the_candidates_were_trained_on(found):
    target = found("base", [ADAPTER, replace(ADAPTER, label="other", adapter_sha256="a2")])
    assert (target.kind, target.live_model) == (
        "model",
        ModelRef(label="b", base_model="b", base_sha256="b0"),
    )


def test_a_whole_model_without_a_base_is_compared_with_nothing(found):
    assert found("base", [WHOLE]).kind == "none"


def test_several_models_must_share_a_base():
    with pytest.raises(BaselineError, match=r"share no base \(none\)"):
        shared_base([WHOLE, replace(WHOLE, label="x", base_sha256="w1")])
    with pytest.raises(BaselineError, match=r"share no base \(b, c\)"):
        shared_base([ADAPTER, replace(ADAPTER, base_model="c", base_sha256="c0")])


def test_models_of_unknown_weights_share_the_base_that_their_server_names_for_them(judge_server, found):
    """Each description of unknown weights has another identity."""
    judge_server.listed = [{"id": "a", "parent": "b"}, {"id": "c", "parent": "b"}, {"id": "b"}, {"id": "d"}]
    url = judge_server.url
    models = [describe_model(f"openai:{name}@{url}") for name in "ac"]
    assert found("base", models).live_model.label == f"openai:b@{url}"
    judge_server.listed[1]["parent"] = "d"
    models = [describe_model(f"openai:{name}@{url}") for name in "ac"]
    with pytest.raises(BaselineError, match=r"share no base \(openai:b@.*, openai:d@"):
        found("base", models)


def test_a_directory_is_a_model(found, tiny_model_dir):
    target = found(str(tiny_model_dir))
    assert (target.kind, target.live_model.label) == ("model", str(tiny_model_dir))


def test_an_accepted_name_comes_before_a_stored_run(found, run, tmp_path):
    accept_run(run, "shipped", "why", tmp_path)
    target = found("shipped")
    assert (target.kind, target.accepted.name) == ("accepted", "shipped")


def test_a_stored_run_is_found_by_its_id(found, run, tmp_path):
    with open_history(tmp_path / "history.sqlite") as history:
        history.save(GateRecord(run=run))
    target = found(run.id)
    assert (target.kind, target.run.id, target.model) == ("run", run.id, run.model)


def test_a_name_of_nothing_is_refused_with_what_is_allowed(found):
    with pytest.raises(
        BaselineError, match=r"--gate-baseline 20260101: no such directory, .*allowed: base, none"
    ):
        found("20260101")
