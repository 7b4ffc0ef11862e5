"""Every key of every trainer of a language model does something: two values, two results.

What a key of all methods does is shown on sft; the other methods are seen to read it.
"""

import json
import shutil
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from pydantic import BaseModel

from harness.registry import load_function
from tests.trainers.conftest import HELD_OUT, PAIRS, TEXTS, THUMBS
from tests.trainers.keys.conftest import Run, Values, files, status, weights, with_keys
from trainers.config import RunConfig, StrictModel
from trainers.methods.catalogue import METHODS

MODELS = sorted(set(METHODS) - {"multitask", "rlhf"})


def noted(name: str, run: Run) -> Any:
    """A part of the manifest."""
    assert run.status == 0
    return run.manifest[name]


def leaks(run: Run) -> Any:
    """What was found, and what wasn't looked for; without the settings of the search."""
    found = noted("data", run)["leakage"]
    return found["found"], found["embedding_skipped"]


def checkpoints(run: Run) -> list[str]:
    assert run.status == 0
    return sorted(path.name for path in (run.path / "out.work" / "checkpoints").glob("checkpoint-*"))


# A golden case that is one of sft's rows, and one of which a row holds 13 words.
GOLDEN = {"golden": "golden.yaml", "leakage.embedding": None}
HELD = {"seen": partial(noted, "held_out"), "why": "it measures"}
LEAKS = {"seen": leaks, "why": "it searches the data"}
PREFIX = {"peft": {"method": "prefix"}}
STOP = {"early_stop.golden": "stop.yaml", "save_steps": 1, "max_steps": 3}
LOW = {"type": "regex", "pattern": "w[0-9] ", "full": False}
HIGH = {"type": "regex", "pattern": "w4[0-9]", "full": False}
STOPPED = {"seen": partial(noted, "early_stop"), "why": "it stops, or keeps an earlier checkpoint"}

KEYS: dict[str, dict[str, Values]] = {
    "sft": {
        "base": Values(one="base", two="other-base"),
        "output": Values(one="out", two="elsewhere", seen=files, why="it is a place"),
        "data": Values(one="sft.jsonl", two="more.jsonl"),
        "golden": Values(one=None, two="golden.yaml", given={"leakage.allow": True}, **LEAKS),
        "leakage.allow": Values(one=False, two=True, given=GOLDEN, seen=status, why="it refuses"),
        "leakage.exact": Values(one=False, two=True, given={**GOLDEN, "leakage.allow": True}, **LEAKS),
        "leakage.ngram": Values(one=5, two=13, given={**GOLDEN, "leakage.allow": True}, **LEAKS),
        "leakage.embedding": Values(
            one=None, two=0.9, given={"golden": "golden.yaml", "leakage.allow": True}, **LEAKS
        ),
        "seed": Values(one=0, two=1),
        "adapter": Values(one=None, two="start", given={"peft": None}),
        "quantization": Values(one="none", two="nf4"),
        "dtype": Values(one="float32", two="bfloat16"),
        "peft.method": Values(one="lora", two="ia3", given={"peft": {}}),
        "peft.r": Values(one=4, two=2),
        "peft.alpha": Values(one=32, two=8),
        "peft.dropout": Values(one=0.0, two=0.5),
        "peft.rslora": Values(one=False, two=True),
        "peft.dora": Values(one=False, two=True),
        "peft.init": Values(one="default", two="gaussian"),
        "peft.target_modules": Values(one="all-linear", two=["q_proj"]),
        "peft.block_size": Values(one=8, two=16, given={"peft": {"method": "oft"}}),
        "peft.virtual_tokens": Values(one=2, two=3, given=PREFIX),
        "peft.init_text": Values(one="w1 w2", two="w3", given=PREFIX),
        "learning_rate": Values(one=0.02, two=0.01),
        "max_steps": Values(one=2, two=3),
        "epochs": Values(one=1, two=2, given={"max_steps": None}),
        "batch_size": Values(one=4, two=2),
        "gradient_accumulation": Values(one=1, two=2),
        "max_length": Values(one=64, two=8, seen=status, why="longer rows are refused"),
        "max_rows": Values(one=None, two=3),
        "warmup_steps": Values(one=0, two=1),
        "save_steps": Values(one=2, two=1, seen=checkpoints, why="it is for --resume and bisect"),
        "early_stop.golden": Values(one="stop.yaml", two="pass.yaml", given=STOP, **STOPPED),
        "early_stop.patience": Values(one=1, two=2, given=STOP, **STOPPED),
        "early_stop.max_cases": Values(one=1, two=2, given=STOP, **STOPPED),
        "eval_data": Values(one="more.jsonl", two="turns.jsonl", **HELD),
        "report_to": Values(one=None, two="trackio", seen=status, why="it is not installed here"),
        "chat_template": Values(one=None, two="zephyr"),
        "overlong": Values(one="drop", two="cut-prompt", given={"max_length": 13}),
        "learn": Values(one="last", two="all", given={"data": "turns.jsonl"}),
        "packing": Values(one=False, two=True, given={"max_length": 32}),
        "chat_template_kwargs": Values(one=None, two={"mark": "w3"}),
        "date": Values(one="2024-07-26", two="2024-07-05"),
        "trl": Values(one=None, two={"lr_scheduler_type": "constant"}),
    },
    "dpo": {
        "eval_data": Values(one="held_out.jsonl", two="few.jsonl", **HELD),
        "learning_rate": Values(one=0.02, two=0.01),
        "batch_size": Values(one=4, two=2),
        "beta": Values(one=0.1, two=0.5),
        "label_smoothing": Values(one=0.0, two=0.2),
    },
    "orpo": {"beta": Values(one=0.1, two=0.5)},
    "kto": {
        "batch_size": Values(one=4, two=2),
        "beta": Values(one=0.1, two=0.5),
        "desirable_weight": Values(one=1.0, two=2.0),
        "undesirable_weight": Values(one=1.0, two=2.0),
    },
    "reward": {
        "learning_rate": Values(one=0.02, two=0.01),
        "center_rewards": Values(one=None, two=0.5),
    },
    "continual": {
        "eval_data": Values(one="texts.txt", two="less.txt", **HELD),
        "max_length": Values(one=32, two=16),
    },
    "grpo": {
        "rewards": Values(one=[LOW], two=[HIGH]),
        "eval_data": Values(one="held_out.jsonl", two="few.jsonl", **HELD),
        "num_generations": Values(one=4, two=2),
        "max_completion_length": Values(one=4, two=6),
        "temperature": Values(one=1.0, two=0.7),
        "top_p": Values(one=1.0, two=0.5),
        "generation": Values(one="transformers", two="vllm", seen=status, why="vLLM is not installed here"),
        "vllm.server": Values(one=None, two="http://localhost:8000", seen=status, why="refused without vLLM"),
        "vllm.gpu_memory": Values(one=0.3, two=0.5, seen=status, why="refused without vLLM"),
        "score_reasoning": Values(one=False, two=True, given={"base": "thinking-base"}),
        "beta": Values(one=0.0, two=0.5, given={"max_completion_length": 8, "max_steps": 3}),
        "learning_rate": Values(one=0.02, two=0.01),
        "batch_size": Values(one=4, two=8),
    },
    "rft": {
        "rounds": Values(one=1, two=2),
        "threshold": Values(one=0.0, two=0.9),
        "keep": Values(one=1, two=3),
        "learning_rate": Values(one=0.02, two=0.01),
    },
    "ppo": {
        "reward_model": Values(one="judge", two="other-judge"),
        "rewards": Values(one=[], two=[{**HIGH, "weight": 5}]),
        "num_generations": Values(one=4, two=2),
        "beta": Values(one=0.0, two=0.5, given={"passes": 1}),
        "passes": Values(one=1, two=2),
        "clip_range": Values(one=0.2, two=1e-4, given={"max_steps": 4}),
        "discount": Values(one=1.0, two=0.5),
        "gae_lambda": Values(one=0.95, two=0.1),
        "value_weight": Values(one=0.1, two=1.0),
        "value_learning_rate": Values(one=1e-3, two=1e-1),
    },
    "rloo": {
        "reward_model": Values(one="judge", two="other-judge"),
        "rewards": Values(one=[], two=[{**HIGH, "weight": 5}], given={"max_completion_length": 8}),
        "beta": Values(one=0.0, two=0.5),
    },
}
CASES = [(method, key) for method, keys in KEYS.items() for key in keys]


def leaves(kind: type[BaseModel], section: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """The keys of a configuration, with those of its sections, each with the class that declares it."""
    for name, info in kind.model_fields.items():
        inner = info.annotation
        if isinstance(inner, type) and issubclass(inner, StrictModel):
            yield from leaves(inner, f"{section}{name}.")
        else:
            yield f"{section}{name}", next(base for base in kind.__mro__ if name in base.__annotations__)


def config_of(method: str) -> type[BaseModel]:
    return load_function(METHODS[method].config, method)


@pytest.fixture(scope="module")
def shared(tiny_model_dir, make_tiny_adapter, tmp_path_factory):
    """Models and adapters by the names that settings give them."""
    import torch
    from transformers import AutoModelForCausalLM

    directory = tmp_path_factory.mktemp("shared")
    base = shutil.copytree(tiny_model_dir, directory / "base")
    template = (base / "chat_template.jinja").read_text()
    (base / "chat_template.jinja").write_text(
        "w{{ strftime_now('%d') | int }} {{ mark | default('w1') }} " + template
    )
    thinking = shutil.copytree(base, directory / "thinking-base")
    (thinking / "chat_template.jinja").write_text(
        template.replace("<|assistant|> {%", "<|assistant|> <think> {%")
    )
    other = shutil.copytree(base, directory / "other-base")
    torch.manual_seed(1)
    AutoModelForCausalLM.from_config(AutoModelForCausalLM.from_pretrained(base).config).save_pretrained(other)
    make_tiny_adapter(base, directory / "start", spread=0.5)
    return directory


ROWS = [{"prompt": row["prompt"], "completion": row["chosen"]} for row in PAIRS]
TURNS = [{"role": "user", "content": "the cat"}, {"role": "assistant", "content": "sat"}]
LONG = {"prompt": "one two three the cat sat on a mat", "completion": "w40 w41"}
CASE = "  - {{id: {id}, prompt: {prompt}, checks: [{{type: {type}, value: nothing}}]}}\n"
GOLDEN_CASES = [
    ("a", "what is w3", "contains"),
    ("b", "w7 w8 w9 the cat sat on a w5 w4 w3 w2 w1 w6", "contains"),
]


def golden_set(*cases):
    return "name: g\ncases:\n" + "".join(CASE.format(id=i, prompt=p, type=t) for i, p, t in cases)


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


FILES = {
    "sft.jsonl": lines([*ROWS, LONG]),
    "turns.jsonl": lines([{"messages": [*TURNS, *TURNS]}] * 4),
    "more.jsonl": lines([*ROWS[3:], LONG]),
    "pairs.jsonl": lines(PAIRS),
    "thumbs.jsonl": lines(THUMBS),
    "prompts.jsonl": lines([{"prompt": f"what is w{number}"} for number in range(4)]),
    "held_out.jsonl": lines(HELD_OUT),
    "few.jsonl": lines(HELD_OUT[:6]),
    "texts.txt": TEXTS[0]["text"],
    "less.txt": TEXTS[1]["text"],
    "golden.yaml": golden_set(*GOLDEN_CASES),
    "stop.yaml": golden_set(("a", "say w9", "contains"), ("b", "say w8", "contains")),
    "pass.yaml": golden_set(("a", "say w9", "not-contains"), ("b", "say w8", "not-contains")),
}
USUAL = {
    "base": "base",
    "dtype": "float32",
    "quantization": "none",
    "output": "out",
    "peft": {"r": 4},
    "learning_rate": 0.02,
    "max_steps": 2,
    "batch_size": 4,
}
SAMPLED = {
    "data": "prompts.jsonl",
    "rewards": [LOW],
    "num_generations": 4,
    "max_completion_length": 4,
}
OF_METHOD = {
    "sft": {"data": "sft.jsonl"},
    "kto": {"data": "thumbs.jsonl"},
    "continual": {"data": "texts.txt", "max_length": 32},
    "grpo": SAMPLED,
    "rloo": {**SAMPLED, "reward_model": "judge"},
    "ppo": {**SAMPLED, "reward_model": "judge"},
    "rft": {**SAMPLED, "rounds": 1, "threshold": 0.0, "max_steps": 1},
}


@pytest.fixture
def train(shared, run_once):
    """Runs a method on the shared model, with some keys changed."""

    def named(value):
        if isinstance(value, dict):
            return {key: named(entry) for key, entry in value.items()}
        return str(shared / value) if isinstance(value, str) and (shared / value).is_dir() else value

    def run(method, changes=None, watched=None):
        settings = {**USUAL, **OF_METHOD.get(method, {"data": "pairs.jsonl"})}
        kind, train = config_of(method), load_function(METHODS[method].train, method)
        if method in {"rloo", "ppo"}:
            judges(run)
        changed = named(with_keys(settings, changes or {}))
        return run_once(method, kind, train if watched is None else watched(train), changed, FILES)

    def judges(run):
        """Two reward models, made when they are first needed."""
        for name, seed in (("judge", 0), ("other-judge", 1)):
            if not (shared / name).exists():
                shutil.copytree(run("reward", {"seed": seed}).output, shared / name)

    return run


def test_every_key_is_in_the_table():
    """A key has its entry under a method of the class that declares it: a new one has none."""
    shown = defaultdict(set)
    for method, keys in KEYS.items():
        for key, owner in leaves(config_of(method)):
            if key in keys:
                shown[owner].add(key)
    missing = [
        f"{method}: {key} of {owner.__name__}"
        for method in MODELS
        for key, owner in leaves(config_of(method))
        if key.partition(".")[0] not in config_of(method).unread
        and key not in shown[owner]
        and not (owner is RunConfig and key in KEYS["sft"])
    ]
    assert missing == []
    assert [f"{m}: {k}" for m, k in CASES if k not in dict(leaves(config_of(m)))] == []
    assert [f"{m}: {k}" for m, k in CASES if KEYS[m][k].seen is not weights and not KEYS[m][k].why] == []


@pytest.mark.matrix
@pytest.mark.parametrize(("method", "key"), CASES)
def test_two_values_give_two_results(train, method, key):
    values = KEYS[method][key]
    one, two = (train(method, {**values.given, key: value}) for value in (values.one, values.two))
    assert values.seen(one) != values.seen(two)


def test_the_same_values_give_the_same_result(train, run_once, tmp_path_factory):
    """Else the weights would differ for any key."""
    first = train("sft")
    again = train("sft", {"output": "out", "warmup_steps": 0})
    assert again.path != first.path
    assert weights(again) == weights(first)


@pytest.mark.parametrize("method", sorted(set(MODELS) - {"sft"}))
def test_a_key_of_all_methods_is_read_by_each(train, monkeypatch, method):
    read = set()

    def watched(function):
        def run(config, **options):
            plain = StrictModel.__getattribute__

            def noting(self, name):
                if self is config:
                    read.add(name)
                return plain(self, name)

            with monkeypatch.context() as patch:
                patch.setattr(StrictModel, "__getattribute__", noting, raising=False)
                return function(config, **options)

        return run

    # A run of its own: one that was made before was not watched.
    assert train(method, {"seed": 7}, watched).status == 0
    kind = config_of(method)
    assert set(kind.model_fields) - read - set(kind.unread) == set()
