"""The callback in whole trainings of a tiny model that knows its golden cases."""

import json
import shutil
from types import SimpleNamespace

import pytest
import torch
from peft import load_peft_weights
from transformers import TrainerCallback

from harness.engines.open import describe_model
from harness.errors import BaselineError, EngineError, InputError, SettingsError
from harness.history.store import open_history
from harness.types import GateVerdict
from reports.html import render_report
from trainers.callback import GateCallback
from trainers.callback.live_checks import check_model
from trainers.callback.looks import looks_in

pytestmark = pytest.mark.training


def gate_of(trainer) -> GateCallback:
    return next(each for each in trainer.callback_handler.callbacks if isinstance(each, GateCallback))


def outcomes(trainer) -> list[str]:
    return [look.outcome.value for look in gate_of(trainer).looks]


@pytest.mark.parametrize("script", ["trl_sft", "transformers_trainer"])
def test_a_harmful_training_is_stopped_at_the_first_look_after_it_turned_bad(example, place, script, capsys):
    trainer = example(script).main(place.arguments(place.turning, *slower(script)))
    gate = gate_of(trainer)
    *before, last = gate.looks
    assert {look.outcome for look in before} == {GateVerdict.PASS}
    assert len(before) >= 2  # the harmless part
    assert last.outcome is GateVerdict.REGRESS
    assert trainer.state.global_step == last.step < 24
    assert "stopping: the regression is sure at this level" in capsys.readouterr().out
    # The best checkpoint is one from before, and it is a model that the gate can open.
    assert gate.best == place.output / "gate-best"
    best = describe_model(str(gate.best))
    with open_history(place.path / ".tunegate" / "history.sqlite") as history:
        stored = history.load_run(before[0].run_id)
        assert (best.adapter_sha256, best.base_sha256) == (
            stored.model.adapter_sha256,
            stored.model.base_sha256,
        )
        assert history.load_run(last.run_id).model.label.endswith(f"checkpoint-{last.step}")
        page = render_report(history.load_record(last.run_id))
        assert "REGRESS" in page


def slower(script: str) -> list[str]:
    """Training all weights needs a smaller rate than training an adapter."""
    return ["--learning-rate", "2e-3"] if script == "transformers_trainer" else []


@pytest.mark.parametrize("script", ["trl_sft", "transformers_trainer"])
def test_a_good_training_goes_through(example, place, script):
    trainer = example(script).main(place.arguments(place.known, "--save-steps", "8", *slower(script)))
    assert trainer.state.global_step == 24
    assert outcomes(trainer) == ["pass"] * 3
    gate = gate_of(trainer)
    assert gate.best is not None
    assert sum(look.level for look in gate.looks) == pytest.approx(0.05)
    # The looks are in the state of each checkpoint, the last one's included.
    assert len(looks_in(place.state(24)["log_history"])) == 3


@pytest.mark.parametrize("four_bits", [False, True])
def test_looks_disturb_nothing(place, make_trainer, four_bits):
    """The weights are those of a training without looks: random streams, modes and adapters are put back.

    On a base in 4 bits answering must not change how gradients are computed.
    """
    lora = {"lora_dropout": 0.2}
    weights = []
    for gates in ((), (GateCallback(place.golden, forgetting=False, stop=False),)):
        make_trainer(*gates, lora=lora, four_bits=four_bits).train()
        weights.append(load_peft_weights(str(place.output / "checkpoint-8"), device="cpu"))
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


class Tracker(TrainerCallback):
    def __init__(self):
        self.seen = []

    def on_log(self, args, state, control, logs=None, **_):
        self.seen.append(dict(logs))


def test_trackers_get_numbers(place, make_trainer):
    gate, tracker = GateCallback(place.golden, forgetting=False), Tracker()
    trainer = make_trainer(tracker, gate)
    gate.follow(trainer)
    trainer.train()
    seen = [logs for logs in tracker.seen if "gate/verdict" in logs]
    assert len(seen) == 2
    assert seen[0]["gate/kept/value"] == 1.0
    assert all(isinstance(value, int | float) for logs in seen for value in logs.values())


def test_a_resumed_training_goes_on_with_the_level_that_is_left(place, make_trainer):
    trainer = make_trainer(GateCallback(place.golden, forgetting=False), max_steps=16)
    trainer.train()
    first = gate_of(trainer).looks
    again = make_trainer(GateCallback(place.golden, forgetting=False), max_steps=16)
    again.train(resume_from_checkpoint=str(place.output / "checkpoint-4"))
    looks = gate_of(again).looks
    assert [look.step for look in looks] == [4, 8, 12, 16]
    assert looks[0] == first[0]
    assert {look.baseline_id for look in looks} == {first[0].baseline_id}
    assert sum(look.level for look in looks) == pytest.approx(0.05)


def test_every_second_save_and_the_last(place, make_trainer):
    trainer = make_trainer(GateCallback(place.golden, forgetting=False, every=2), save_steps=2, max_steps=6)
    trainer.train()
    assert [look.step for look in gate_of(trainer).looks] == [4, 6]


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (EngineError("the model failed"), "the model failed"),
        (RuntimeError("a fault\nof ours"), "RuntimeError: a fault"),
        (OSError(28, "No space left on device"), "OSError: [Errno 28] No space left on device"),
    ],
)
def test_a_look_that_fails_is_told_and_ends_no_training(
    place, make_trainer, monkeypatch, capsys, fault, told
):
    trainer = make_trainer(gate := GateCallback(place.golden, forgetting=False), max_steps=2, save_steps=1)
    from trainers.callback import gate_callback

    answered = gate_callback.answer_live

    def fail_at_looks(*arguments, **options):
        if options.get("baseline") is not None:
            raise fault
        return answered(*arguments, **options)

    monkeypatch.setattr(gate_callback, "answer_live", fail_at_looks)
    trainer.train()
    assert trainer.state.global_step == 2
    assert gate.looks == []
    assert gate.best is None
    assert f"gate: step 1/2: the look failed: {told}" in capsys.readouterr().out
    errors = [each["gate/error"] for each in trainer.state.log_history if "gate/error" in each]
    assert len(errors) == 2
    assert errors[0].startswith(told)


class LosesItsNumbers(TrainerCallback):
    def on_step_end(self, args, state, control, model=None, **_):
        if state.global_step == 2:
            for parameter in model.parameters():
                if parameter.requires_grad:
                    parameter.data.fill_(float("nan"))


@pytest.mark.parametrize("stop", [True, False])
def test_weights_that_are_no_numbers_end_a_training(place, make_trainer, capsys, stop):
    """They don't recover, and no look can answer with them."""
    gate = GateCallback(place.golden, forgetting=False, stop=stop)
    trainer = make_trainer(LosesItsNumbers(), gate, max_steps=3, save_steps=1)
    trainer.train()
    assert trainer.state.global_step == (2 if stop else 3)
    assert [look.step for look in gate.looks] == [1]
    said = "stopping: the trained weights are" if stop else "step 2/3: the trained weights are"
    assert f"{said} not finite any more" in capsys.readouterr().out


def test_a_look_that_no_disk_takes_still_judges(place, make_trainer, monkeypatch, capsys):
    from trainers.callback import gate_callback

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(gate_callback, "save", full)
    monkeypatch.setattr(gate_callback, "keep_checkpoint", full)
    monkeypatch.setattr(gate_callback.TrainerState, "save_to_json", full)
    gate = GateCallback(place.golden, forgetting=False, margin=0.15)
    control, state = SimpleNamespace(should_training_stop=False), gate_callback.TrainerState(max_steps=1)
    trainer = make_trainer(max_steps=1)
    parts = {"model": trainer.model, "processing_class": trainer.processing_class}
    gate.on_train_begin(trainer.args, state, control, **parts)
    checkpoint = place.output / "checkpoint-1"
    trainer.save_model(str(checkpoint))
    (checkpoint / "trainer_state.json").write_text("{}")
    state.global_step = 1
    gate.on_save(trainer.args, state, control, **parts)
    assert [look.outcome for look in gate.looks] == [GateVerdict.PASS]
    said = capsys.readouterr().out
    for problem in ("can't be stored", "was not kept", "is not in the checkpoint's state"):
        assert problem in said


def test_a_case_that_must_pass_stops_no_training(place, make_trainer, capsys):
    golden = json.loads(place.golden.read_text())
    golden["cases"].append(
        {
            "id": "new",
            "prompt": "the cat",
            "references": ["sat on the mat"],
            "checks": [{"type": "equals"}],
            "must_pass": True,
        }
    )
    place.golden.write_text(json.dumps(golden))
    trainer = make_trainer(GateCallback(place.golden, forgetting=False))
    trainer.train()
    assert trainer.state.global_step == 8
    assert outcomes(trainer) == ["regress"] * 2
    assert gate_of(trainer).best is None
    assert "cases that must pass don't yet" in capsys.readouterr().out


def test_forgetting_is_a_part_of_a_look_by_default(place, make_trainer):
    trainer = make_trainer(GateCallback(place.golden), max_steps=4)
    with pytest.raises(BaselineError, match="passes none of its 130 probes"):
        trainer.train()
    assert trainer.state.global_step == 0


@pytest.mark.parametrize(
    ("options", "arguments", "lora", "message"),
    [
        ({"baseline": "start", "where": "subprocess"}, {}, {}, "baseline='start' is in this process only"),
        ({"baseline": "none", "where": "subprocess"}, {}, {}, "baseline='none': a look has nothing to"),
        ({"baseline": "shiped", "where": "subprocess"}, {}, {}, "no run 'shiped'"),
        ({"engine": "vllm"}, {}, {}, "engine: the weights in training answer .* give where='subprocess'"),
        ({}, {"save_strategy": "no"}, {}, "give the trainer a save_strategy"),
        ({}, {}, {"init_lora_weights": "pissa"}, "give baseline='start'"),
        ({}, {}, {"bias": "all"}, "give baseline='start'"),
        ({"marign": 0.1}, {}, {}, "marign: not a setting of a look"),
        ({"accept": "v1"}, {}, {}, "accept: not a setting of a look"),
    ],
)
def test_what_cannot_work_is_refused_before_the_first_step(
    place, make_trainer, options, arguments, lora, message
):
    given = {"forgetting": False, **options}
    trainer = make_trainer(GateCallback(place.golden, **given), lora=lora, **arguments)
    with pytest.raises(InputError, match=message):
        trainer.train()
    assert trainer.state.global_step == 0


@pytest.mark.parametrize(
    "options",
    [
        {"every": 0},
        {"every": 1.5},
        {"every": "2"},
        {"every": True},
        {"stop": "no"},
        {"spending": "pockok"},
        {"where": "thread"},
        {"baseline": None},
        {"golden": 5},
    ],
)
def test_a_misspelt_argument_is_refused_at_once(options):
    """A shape or place that isn't known would silently be the other one."""
    (name,) = options
    with pytest.raises(SettingsError, match=f"GateCallback: {name}=.*allowed: "):
        GateCallback(**{"golden": "golden.yaml", **options})


def test_two_gates_in_one_training_are_refused(place, make_trainer):
    trainer = make_trainer(
        GateCallback(place.golden, forgetting=False), GateCallback(place.golden, forgetting=False)
    )
    with pytest.raises(SettingsError, match="there are two: give all golden sets to one"):
        trainer.train()
    assert trainer.state.global_step == 0


@pytest.mark.parametrize("baseline", ["base", "start"])
def test_golden_sets_that_changed_before_a_resume_have_a_baseline_or_are_refused(
    place, make_trainer, baseline
):
    """An old baseline that was never asked a case would leave the rest of the training unguarded."""
    gate = {"forgetting": False, "baseline": baseline}
    make_trainer(GateCallback(place.golden, **gate), max_steps=2, save_steps=1).train()
    golden = json.loads(place.golden.read_text())
    golden["cases"][3]["references"] = ["something else"]
    place.golden.write_text(json.dumps(golden))
    again = make_trainer(new := GateCallback(place.golden, **gate), max_steps=2, save_steps=1)
    start = str(place.output / "checkpoint-1")
    if baseline == "start":
        with pytest.raises(SettingsError, match="kept/w3: the model before the first step was not asked"):
            again.train(resume_from_checkpoint=start)
        return
    again.train(resume_from_checkpoint=start)
    assert new.looks[1].baseline_id != new.looks[0].baseline_id
    with open_history(place.path / ".tunegate" / "history.sqlite") as history:
        assert len(history.load_run(new.looks[1].baseline_id).results) == 40


@pytest.mark.parametrize("baseline", ["base", "start"])
def test_other_values_of_the_template_before_a_resume_have_a_baseline_or_are_refused(
    place, make_trainer, baseline
):
    """The old baseline answered other prompts: no case could be compared with it."""
    place.base = shutil.copytree(place.base, place.path / "toned")
    template = (place.base / "chat_template.jinja").read_text()
    (place.base / "chat_template.jinja").write_text("{{ tone }} " + template)
    gate = {"forgetting": False, "baseline": baseline}
    make_trainer(GateCallback(place.golden, **gate), max_steps=2, save_steps=1).train()
    (place.path / "pyproject.toml").write_text('[tool.tunegate.chat_template_kwargs]\ntone = "w7"\n')
    again = make_trainer(new := GateCallback(place.golden, **gate), max_steps=2, save_steps=1)
    start = str(place.output / "checkpoint-1")
    if baseline == "start":
        with pytest.raises(SettingsError, match="restore the golden sets and chat_template_kwargs"):
            again.train(resume_from_checkpoint=start)
        return
    again.train(resume_from_checkpoint=start)
    with open_history(place.path / ".tunegate" / "history.sqlite") as history:
        runs = [history.load_run(look.baseline_id) for look in new.looks]
        record = history.load_record("latest")
    assert [dict(run.plan.chat_template_kwargs) for run in runs] == [{}, {"tone": "w7"}]
    assert record.run.plan.chat_template_kwargs == {"tone": "w7"}
    assert {row.n for row in record.comparison.metrics} == {40}


def test_another_model_as_baseline_would_be_a_second_load(place, make_trainer):
    trainer = make_trainer(GateCallback(place.golden, forgetting=False, baseline=str(place.base)))
    with pytest.raises(SettingsError, match="where='subprocess'"):
        trainer.train()


def test_an_adapter_that_changes_its_base_has_the_start_as_baseline(place, make_trainer):
    gate = GateCallback(place.golden, forgetting=False, baseline="start", margin=0.15)
    trainer = make_trainer(gate, lora={"init_lora_weights": "pissa"}, learning_rate=1e-5)
    trainer.train()
    assert outcomes(trainer) == ["pass"] * 2


@pytest.mark.processes
def test_a_process_of_its_own_says_the_same(place, make_trainer):
    """The checkpoint's answers are those of the weights in training, to the letter."""
    trainer = make_trainer(gate := GateCallback(place.golden, forgetting=False), save_steps=8)
    trainer.train()
    other = make_trainer(
        GateCallback(place.golden, forgetting=False, where="subprocess"), save_steps=8, rows=place.known
    )
    other.train()
    with open_history(place.path / ".tunegate" / "history.sqlite") as history:
        runs = [history.load_run(each.looks[0].run_id) for each in (gate, gate_of(other))]
        bases = [history.load_run(each.looks[0].baseline_id) for each in (gate, gate_of(other))]
    for pair in (runs, bases):
        assert [each.completion.text for each in pair[0].results] == [
            each.completion.text for each in pair[1].results
        ]
        assert pair[0].model.base_sha256 == pair[1].model.base_sha256
    assert runs[0].model.adapter_sha256 == runs[1].model.adapter_sha256
    assert gate.looks[0].outcome is gate_of(other).looks[0].outcome


def test_a_stored_run_as_baseline(place, make_trainer):
    """As an accepted baseline: nothing is asked of the model before the first step."""
    trainer = make_trainer(GateCallback(place.golden, forgetting=False, margin=0.15))
    trainer.train()
    before = gate_of(trainer).looks[0].run_id
    again = make_trainer(GateCallback(place.golden, forgetting=False, margin=0.15, baseline=before))
    again.train()
    assert [look.baseline_id for look in gate_of(again).looks] == [before] * 2
    assert outcomes(again) == ["pass"] * 2


@pytest.mark.parametrize("key", ["fsdp", "deepspeed"])
def test_weights_that_are_spread_over_processes_can_t_answer_here(place, make_trainer, key):
    trainer = make_trainer()
    args = SimpleNamespace(**{"fsdp": "", "deepspeed": None, key: "full_shard"})
    with pytest.raises(SettingsError, match=r"spread over processes .* where='subprocess'"):
        check_model(trainer.model, trainer.processing_class, args)
