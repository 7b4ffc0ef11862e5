"""A base that knows its golden cases, rows that it knows too, and rows that ruin it."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

CASES = 40
# The harmful rows begin behind so many steps of four rows.
HARMLESS_STEPS = 8
ANSWERS = {f"what is w{number}": f"w{number} is one" for number in range(CASES)}


@dataclass
class Place:
    """A project with golden sets and data.

    Attributes:
        known: Rows that the base answers so already: learning them changes nothing.
        turning: The same for eight steps, then rows that ruin it.
    """

    path: Path
    base: Path
    golden: Path
    known: Path
    turning: Path

    def arguments(self, data: Path, *further: str) -> list[str]:
        """The command line of an example; further arguments come last and win."""
        return [
            *("--base", str(self.base), "--data", str(data), "--golden", str(self.golden), "--cpu"),
            *(
                "--output",
                str(self.output),
                "--no-forgetting",
                "--in-order",
                "--save-steps",
                "4",
                "--margin",
                "0.3",
            ),
            *("--learning-rate", "5e-3", "--max-steps", "24", *further),
        ]

    @property
    def output(self) -> Path:
        return self.path / "out"

    def state(self, step: int) -> dict:
        return json.loads((self.output / f"checkpoint-{step}" / "trainer_state.json").read_text())


@pytest.fixture(scope="session")
def knowing_base(tiny_model_dir, tmp_path_factory) -> Path:
    """The tiny model, trained until it gives all the answers."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model_dir)
    model = AutoModelForCausalLM.from_pretrained(tiny_model_dir)
    asked = [
        tokenizer.apply_chat_template(
            [{"role": "user", "content": question}], add_generation_prompt=True, tokenize=False
        )
        for question in ANSWERS
    ]
    texts = [f"{prompt}{answer} <|end|>" for prompt, answer in zip(asked, ANSWERS.values(), strict=True)]
    ids = torch.tensor(tokenizer(texts, add_special_tokens=False)["input_ids"])
    labels = ids.clone()
    labels[:, : len(tokenizer(asked[0], add_special_tokens=False)["input_ids"])] = -100
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(300):
        loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert loss.item() < 0.01
    directory = tmp_path_factory.mktemp("knowing_base")
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


@pytest.fixture
def place(tmp_path, knowing_base, monkeypatch) -> Place:
    golden = tmp_path / "golden.yaml"
    cases = [
        {
            "id": question.rpartition(" ")[2],
            "prompt": question,
            "references": [answer],
            "checks": [{"type": "equals"}],
        }
        for question, answer in ANSWERS.items()
    ]
    golden.write_text(json.dumps({"name": "kept", "generation": {"max_new_tokens": 6}, "cases": cases}))
    same = [{"prompt": question, "completion": answer} for question, answer in ANSWERS.items()]
    bad = [{"prompt": question, "completion": "cat sat on mat"} for question in ANSWERS]
    known, turning = tmp_path / "known.jsonl", tmp_path / "turning.jsonl"
    _write(known, same * 3)
    _write(turning, same[: HARMLESS_STEPS * 4] + bad * 4)
    (tmp_path / "pyproject.toml").write_text("[tool.tunegate]\n")
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("TUNEGATE_")]:
        monkeypatch.delenv(name)
    return Place(path=tmp_path, base=knowing_base, golden=golden, known=known, turning=turning)


def _write(path: Path, rows: list[dict]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture(scope="session")
def example():
    """Loads a script of examples/callback by its name."""

    def load(name: str):
        path = Path(__file__).parents[3] / "examples" / "callback" / f"{name}.py"
        spec = spec_from_file_location(name, path)
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def make_trainer(place):
    """A TRL trainer on rows that the base knows: ``make_trainer(GateCallback(...), max_steps=8)``."""

    def make(*callbacks, rows: Path | None = None, lora: Mapping = {}, four_bits: bool = False, **arguments):
        from datasets import load_dataset
        from peft import LoraConfig
        from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig
        from trl import SFTConfig, SFTTrainer

        quantization = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4") if four_bits else None
        usual = {"max_steps": 8, "save_steps": 4, "learning_rate": 5e-3, "per_device_train_batch_size": 4}
        return SFTTrainer(
            model=AutoModelForCausalLM.from_pretrained(
                place.base, dtype="float32", quantization_config=quantization
            ),
            processing_class=AutoTokenizer.from_pretrained(place.base),
            train_dataset=load_dataset("json", data_files=str(rows or place.known), split="train"),
            peft_config=LoraConfig(r=8, target_modules="all-linear", task_type="CAUSAL_LM", **lora),
            args=SFTConfig(
                output_dir=str(place.output),
                report_to="none",
                use_cpu=True,
                **{**usual, **arguments},
            ),
            callbacks=list(callbacks),
        )

    return make
