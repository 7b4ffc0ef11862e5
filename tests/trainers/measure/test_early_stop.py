"""Training stops when a golden subset gets no better, and the best checkpoint is what is written."""

import json

import pytest

pytestmark = pytest.mark.training

ROWS = [{"prompt": f"what is w{i}", "completion": "one two three"} for i in range(12)]


def golden(answer):
    case = {"id": "a", "prompt": "what is w1", "checks": [{"type": "equals", "value": answer}]}
    return json.dumps({"name": "stop", "generation": {"max_new_tokens": 6}, "cases": [case]})


def test_it_stops_and_keeps_the_first_best(make_project):
    """Nothing passes at any checkpoint: the first stays the best, and two more are waited for."""
    from safetensors.torch import load_file

    project = make_project(
        "sft", ROWS, max_steps=40, save_steps=2, early_stop={"golden": "stop.yaml", "patience": 2}
    )
    (project.path / "stop.yaml").write_text(golden("never said"))
    assert project.train() == 0
    manifest = project.manifest
    assert manifest["steps"] == 6
    assert manifest["early_stop"]["best_step"] == 2
    assert [score["passed"] for score in manifest["early_stop"]["scores"]] == [0, 0, 0]
    kept, saved, last = (
        load_file(directory / "adapter_model.safetensors")
        for directory in (
            project.output,
            project.path / "out.work" / "checkpoints" / "checkpoint-2",
            project.path / "out.work" / "checkpoints" / "checkpoint-6",
        )
    )
    assert all(kept[name].equal(saved[name]) for name in saved)
    assert not all(kept[name].equal(last[name]) for name in last)


def test_it_goes_on_while_it_gets_better(make_project):
    """Without a better checkpoint it would stop at step 12: the first one, and five that are waited for."""
    project = make_project(
        "sft",
        ROWS,
        max_steps=16,
        save_steps=2,
        learning_rate=0.01,
        early_stop={"golden": "stop.yaml", "patience": 5},
    )
    (project.path / "stop.yaml").write_text(golden("one two three"))
    assert project.train() == 0
    scores = [score["passed"] for score in project.manifest["early_stop"]["scores"]]
    assert (scores[0], scores[-1]) == (0, 1)
    assert project.manifest["steps"] > 12


def test_scores_from_before_an_interruption_still_count(make_project, monkeypatch):
    """The best checkpoint is one of before Ctrl-C: a resumed run knows it, and waits no longer than an unbroken one."""
    from trainers.measure.early_stop import GoldenStop

    plain = GoldenStop.on_save

    def press_ctrl_c(self, *arguments, **others):
        plain(self, *arguments, **others)
        self._run.watch.interrupted = True  # seen after the next step

    project = make_project(
        "sft", ROWS, max_steps=40, save_steps=2, early_stop={"golden": "stop.yaml", "patience": 2}
    )
    (project.path / "stop.yaml").write_text(golden("never said"))
    with monkeypatch.context() as patch:
        patch.setattr(GoldenStop, "on_save", press_ctrl_c)
        assert project.train() == 2
    assert project.train("--resume") == 0
    early_stop = project.manifest["early_stop"]
    assert [score["step"] for score in early_stop["scores"]] == [2, 3, 4]
    assert early_stop["best_step"] == 2
    assert project.manifest["steps"] == 4


def test_the_best_checkpoint_is_written_whatever_is_loaded_at_the_end(make_project, monkeypatch):
    """Even the last step's: what the library leaves in memory is not asked."""
    import torch
    from safetensors.torch import load_file

    from trainers.measure.early_stop import GoldenStop

    def spoil(self, args, state, control, model=None, **_):
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.requires_grad:
                    parameter.zero_()

    monkeypatch.setattr(GoldenStop, "on_train_end", spoil)
    project = make_project("sft", ROWS, max_steps=2, save_steps=2, early_stop={"golden": "stop.yaml"})
    (project.path / "stop.yaml").write_text(golden("never said"))
    assert project.train() == 0
    kept, saved = (
        load_file(directory / "adapter_model.safetensors")
        for directory in (project.output, project.path / "out.work" / "checkpoints" / "checkpoint-2")
    )
    assert all(kept[name].equal(saved[name]) for name in saved)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: x\ncases: []\n", "stop.yaml"),
        (
            "name: x\ncases: [{id: a, prompt: p, checks: [{type: llm-rubric, value: Good.}]}]\n",
            "early_stop: x/a: llm-rubric needs a judge",
        ),
    ],
)
def test_a_set_that_cannot_be_used_is_told_before_a_model_loads(
    make_project, capsys, monkeypatch, text, said
):
    monkeypatch.setattr("trainers.run.base_model.load_base", None)
    project = make_project("sft", ROWS, early_stop={"golden": "stop.yaml"})
    (project.path / "stop.yaml").write_text(text)
    assert project.train() == 4
    assert said in capsys.readouterr().err


def test_cases_without_a_verdict_are_told_and_without_any_it_ends(make_project, capsys, monkeypatch):
    """Nothing passed at any checkpoint then, and the first one was the result."""
    from harness.metrics.definition import score_function

    equals = score_function("equals")

    def breaking(requests):
        """As a metric that can't score an answer."""
        if any(request.case.id in broken for request in requests):
            raise ValueError("no such [thing]")
        return equals(requests)

    monkeypatch.setattr("harness.run.scoring.score_function", lambda _: breaking)
    project = make_project("sft", ROWS, max_steps=2, save_steps=2, early_stop={"golden": "stop.yaml"})
    case = json.loads(golden("never said"))
    case["cases"].append({**case["cases"][0], "id": "b"})
    (project.path / "stop.yaml").write_text(json.dumps(case))
    broken = {"a"}
    assert project.train() == 0
    assert "0 of 2 golden cases pass; 1 have no verdict, such as stop/a: equals: no such [thing]" in (
        capsys.readouterr().err
    )
    broken = {"a", "b"}
    assert project.train() == 4
    assert "early_stop: step 2: no case has a verdict: stop/a: equals: no such [thing]" in (
        capsys.readouterr().err
    )


def test_all_weights_are_those_of_the_best_checkpoint(make_project):
    from safetensors.torch import load_file

    full = {"peft": {"method": "full"}, "quantization": "none", "learning_rate": 0.003}
    stop = {"golden": "stop.yaml", "patience": 1}
    project = make_project("sft", ROWS, max_steps=40, save_steps=2, early_stop=stop, **full)
    (project.path / "stop.yaml").write_text(golden("never said"))
    assert project.train() == 0
    assert project.manifest["early_stop"]["best_step"] == 2
    assert project.manifest["steps"] == 4
    kept, best, last = (
        load_file(directory / "model.safetensors")
        for directory in (
            project.output,
            project.path / "out.work" / "checkpoints" / "checkpoint-2",
            project.path / "out.work" / "checkpoints" / "checkpoint-4",
        )
    )
    assert all(kept[name].equal(best[name]) for name in best)
    assert not all(kept[name].equal(last[name]) for name in last)
