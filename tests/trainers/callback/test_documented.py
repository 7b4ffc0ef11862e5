"""The code on the page, with stand-ins for the programs that are not installed here."""

import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from trainers.callback import GateCallback

PAGE = (Path(__file__).parents[3] / "docs" / "callback.md").read_text(encoding="utf-8")


def code_with(word: str) -> str:
    """The block of code on the page that has this word."""
    (block,) = [each for each in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if word in each]
    return block


def install(monkeypatch, name: str, **content) -> None:
    """A module that holds only what the page takes from it."""
    parts = name.split(".")
    for end in range(1, len(parts)):
        monkeypatch.setitem(sys.modules, ".".join(parts[:end]), ModuleType(".".join(parts[:end])))
    module = ModuleType(name)
    vars(module).update(content)
    monkeypatch.setitem(sys.modules, name, module)


@pytest.fixture
def project(place, monkeypatch):
    """The page's golden sets, without the probes that the tiny model fails throughout."""
    (place.path / "golden_sets").mkdir()
    place.golden.rename(place.path / "golden_sets" / "kept.yaml")
    (place.path / "pyproject.toml").write_text("[tool.tunegate]\nforgetting = false\n")
    return place


def test_axolotl(project, make_trainer, monkeypatch):
    install(monkeypatch, "axolotl.integrations.base", BasePlugin=object)
    names: dict = {}
    exec(code_with("axolotl"), names)
    trainer = make_trainer(max_steps=4)
    for callback in names["GatePlugin"]().add_callbacks_post_trainer(SimpleNamespace(), trainer):
        trainer.add_callback(callback)
    trainer.train()
    assert [entry["gate/outcome"] for entry in trainer.state.log_history if "gate/outcome" in entry] != []


def test_llama_factory(project, make_trainer, monkeypatch):
    seen = {}

    def run_exp(args, callbacks):
        seen.update(args)
        trainer = make_trainer(*callbacks, max_steps=4)
        trainer.train()
        seen["looks"] = callbacks[0].looks

    install(monkeypatch, "llamafactory.train.tuner", run_exp=run_exp)
    (project.path / "train.yaml").write_text("stage: sft\n")
    exec(code_with("llamafactory"), {})
    assert seen["stage"] == "sft"
    assert len(seen["looks"]) == 1


def test_trl(project, make_trainer):
    """The first block, with its own trainer in place of the one on the page."""
    before, _, after = code_with("SFTTrainer(").partition("trainer = SFTTrainer")
    names: dict = {}
    exec(before, names)
    assert isinstance(names["gate"], GateCallback)
    names["trainer"] = make_trainer(names["gate"], max_steps=4)
    exec(after.partition("\n")[2], names)
    assert len(names["gate"].looks) == 1
