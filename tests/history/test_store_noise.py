"""Noise records count for what scores a case today: its checks' versions and encoders are in their names."""

from dataclasses import replace

from harness.history.store import _scored_content, noted_stability, open_history
from harness.registry import active
from harness.run.session import metric_facts
from harness.types import Check, ExecutionPlan, GoldenCase, Message, ModelRef, Stability

PLAN = ExecutionPlan(engine="transformers", dtype="float32", device="cpu", batch_tokens=4096)
MODEL = ModelRef(label="base", base_model="base", base_sha256="b" * 64)
CASE = GoldenCase(
    id="a",
    set_name="small",
    messages=(Message(role="user", content="what is w1"),),
    checks=(Check(type="regex", value="w"),),
)


def next_version(checks):
    """The facts of checks after an upgrade."""
    return {name: replace(facts, version="9") for name, facts in metric_facts(checks).items()}


def test_a_note_of_another_version_of_a_check_is_not_used(tmp_path, monkeypatch):
    """Version 2 of a check may fail what version 1 passed: the same model would regress against its own record."""
    model, cases = MODEL, [CASE]
    told = []
    monkeypatch.setattr(type(active()), "note", lambda self, warning: told.append(warning))
    with open_history(tmp_path / "h.sqlite") as history:
        history.save_noise(
            model, "float32", cases, {"small/a": Stability(passed=20, answers=20)}, metric_facts
        )
        noted = history.load_noise()
        assert noted_stability(noted, model, PLAN, cases, metric_facts)["small/a"].passed == 20
        assert told == []
        assert noted_stability(noted, model, PLAN, cases, next_version) == {}
        assert [each.split(": ")[0] for each in told] == [
            f"the noise record of {model.label} is not used for 1 of its cases"
        ]
        history.save_noise(
            model, "float32", cases, {"small/a": Stability(passed=0, answers=20)}, next_version
        )
        noted = history.load_noise()
    assert noted_stability(noted, model, PLAN, cases, next_version)["small/a"].passed == 0
    assert len(told) == 1


def test_a_note_of_an_earlier_version_says_nothing_of_its_checks(monkeypatch):
    model, case = MODEL, CASE
    told = []
    monkeypatch.setattr(type(active()), "note", lambda self, warning: told.append(warning))
    name = (model.base_sha256, model.adapter_sha256 or "", "float32", case.set_name, case.id)
    earlier = {(*name, case.content_sha256): Stability(passed=5, answers=5)}
    assert noted_stability(earlier, model, PLAN, [case], metric_facts) == {}
    assert len(told) == 1
    of_another_case = {(*name, "0" * 64): Stability(passed=5, answers=5)}
    assert noted_stability(of_another_case, model, PLAN, [case], metric_facts) == {}
    assert len(told) == 1


def test_an_exchanged_encoder_s_scores_are_no_reruns():
    """What scores beside a check's code is in the record's name, too."""
    model, case = MODEL, CASE

    def scored_by(sha256):
        return lambda checks: {
            name: replace(facts, scored_by={"encoder minilm": sha256})
            for name, facts in metric_facts(checks).items()
        }

    name = (model.base_sha256, model.adapter_sha256 or "", "float32", case.set_name, case.id)
    noted = {(*name, _scored_content(case, scored_by("one"))): Stability(passed=5, answers=5)}
    assert list(noted_stability(noted, model, PLAN, [case], scored_by("one"))) == [case.key]
    assert noted_stability(noted, model, PLAN, [case], scored_by("other")) == {}
