"""The configuration is strict, also inside the list of tasks."""

from pathlib import Path

import pytest

from harness.errors import InputError
from trainers.config_file import example, load_config
from trainers.multitask.config import LoraSettings, MultitaskConfig, TaskSettings

GOOD = """\
base: minilm
output: out
tasks:
  - {name: intent, kind: label, data: intent.jsonl}
  - {name: names, kind: entities, data: [a.jsonl, b.jsonl], eval_data: c.jsonl}
"""


def load(tmp_path, text):
    path = tmp_path / "multitask.yaml"
    path.write_text(text)
    return load_config(path, MultitaskConfig)


def test_paths_are_meant_from_the_file(tmp_path):
    config = load(tmp_path, GOOD)
    assert config.output == tmp_path / "out"
    assert config.tasks[1].data == (tmp_path / "a.jsonl", tmp_path / "b.jsonl")
    assert config.tasks[1].eval_data == (tmp_path / "c.jsonl",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD + "lr: 1\n", r"multitask.yaml:6: lr: unknown key \(allowed: base, output"),
        (
            GOOD.replace("kind: label", "kind: ner"),
            r"multitask.yaml:4: tasks.0.kind: found 'ner' \(allowed: 'label'",
        ),
        (
            GOOD.replace("kind: label", "knd: label"),
            r"multitask.yaml:4: tasks.0.(kind: the key is missing|knd: unknown)",
        ),
        (
            GOOD.replace("name: intent", "rate: 1, name: intent"),
            r"multitask.yaml:4: tasks.0.rate: unknown key \(allowed: name, kind, data",
        ),
        (GOOD.replace("name: intent", "name: In tent"), r"multitask.yaml:4: tasks.0.name: found 'In tent'"),
        (GOOD.replace("name: names", "name: intent"), "tasks: a name occurs twice: intent, intent"),
        (GOOD + "mode: per-task\n", "mode: per-task needs encoder: lora"),
        (GOOD + "mode: sequential\ngradients: pcgrad\n", "gradients: pcgrad needs mode: joint"),
        (GOOD + "gradients: sum\nsampling: proportional\n", "gradients: sum uses every task at every step"),
        (GOOD + "max_steps: 1\n", "max_steps: 1 can't be divided among 2 tasks"),
        (GOOD + "temperature: 0.5\n", r"temperature: found 0.5 \(allowed: greater than or equal to 1\)"),
        ("base: minilm\noutput: out\ntasks: []\n", "tasks: found"),
        (GOOD + "temperature: 3\n", "temperature: read with sampling: temperature, not with balanced"),
        (GOOD + "lora: {r: 4}\n", "lora: read with encoder: lora, not with full"),
        (GOOD + "max_answer_tokens: 5\n", "max_answer_tokens: read by tasks of kind span"),
    ],
)
def test_a_fault_is_named(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        load(tmp_path, text)


def test_the_example_names_every_key(tmp_path):
    text = example(
        MultitaskConfig, {"base": "minilm", "tasks": "[{name: a, kind: span, data: a.jsonl}]", "output": "o"}
    )
    assert load(tmp_path, text).tasks[0].kind == "span"
    assert [name for name in MultitaskConfig.model_fields if f"{name}:" not in text] == []


def test_every_key_has_a_row_on_its_page():
    page = (Path(__file__).parents[3] / "docs" / "multitask.md").read_text()
    sections = [(MultitaskConfig, ""), (TaskSettings, "tasks."), (LoraSettings, "lora.")]
    names = [f"{above}{name}" for kind, above in sections for name in kind.model_fields]
    assert [name for name in names if f"| `{name}` |" not in page] == []
