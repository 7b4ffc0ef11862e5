"""How many files of the harness one gate enters, and where it goes back up the layers.

    python benchmarks/road.py [--list]

A tiny random model and an adapter of it are gated in this process, with the bundled forgetting probes. A file
counts as entered when one of its functions runs, other than for its import. A step goes back up when a room
calls a function of a room above it, such as a callback; steps inside one room don't count.
"""

import argparse
import os
import sys
import tempfile
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
HARNESS = f"{ROOT / 'harness'}{os.sep}"
GOLDEN = ROOT / "golden_sets" / "orders.yaml"
TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|> {{ message['content'] }} <|end|> {% endfor %}"
    "{% if add_generation_prompt %}<|assistant|> {% endif %}"
)


@dataclass
class Road:
    """What was entered, by path below ``harness/``.

    Attributes:
        imported: Files whose module was run.
        entered: Files of which a function ran, other than for an import.
        steps: Caller and callee, where they are two files.
    """

    imported: set[str] = field(default_factory=set)
    entered: set[str] = field(default_factory=set)
    steps: set[tuple[str, str]] = field(default_factory=set)


def harness_file(frame: FrameType) -> str | None:
    """The frame's file below ``harness/``; None for any other."""
    name = frame.f_code.co_filename
    return name.removeprefix(HARNESS) if name.startswith(HARNESS) else None


@contextmanager
def followed(road: Road) -> Iterator[None]:
    """Note every call of a function of the harness, in all threads.

    A tracer that returns nothing is called once for each call of a Python function; a profiler would be
    called at each return too, and for functions of C.
    """

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event != "call" or (path := harness_file(frame)) is None:
            return
        if frame.f_code.co_name == "<module>":
            road.imported.add(path)
            return
        caller, up = None, frame.f_back
        while up is not None:
            if up.f_code.co_name == "<module>" and harness_file(up) is not None:
                return
            caller = caller or harness_file(up)
            up = up.f_back
        road.entered.add(path)
        if caller is not None and caller != path:
            road.steps.add((caller, path))

    threading.settrace(note)
    sys.settrace(note)
    try:
        yield
    finally:
        sys.settrace(None)
        threading.settrace(None)


def floors() -> dict[str, int]:
    """Each room's layer in the import contract, the top one 0."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(each["layers"] for each in contracts if each.get("containers") == ["harness"])
    return {
        room: floor for floor, layer in enumerate(layers) for room in layer.replace(":", "|").split(" | ")
    }


def climbs(road: Road) -> list[tuple[str, str]]:
    """The steps from a room to one above it."""
    floor = floors()

    def of(path: str) -> int:
        return floor[path.partition(os.sep)[0].removesuffix(".py")]

    return sorted(step for step in road.steps if of(step[0]) > of(step[1]))


def make_model(directory: Path) -> Path:
    """Save a random two-layer Llama of 64 words and a random adapter; returns the adapter's directory."""
    import torch
    from peft import LoraConfig, get_peft_model
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = ["<pad>", "<unk>", "<bos>", "<|end|>", "<|user|>", "<|assistant|>", "what", "is"]
    words += [f"w{number}" for number in range(64 - len(words))]
    tokenizer = Tokenizer(
        models.WordLevel({word: place for place, word in enumerate(words)}, unk_token="<unk>")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        unk_token="<unk>",
        bos_token="<bos>",
        eos_token="<|end|>",
    )
    fast.chat_template = TEMPLATE
    fast.save_pretrained(directory / "base")
    torch.manual_seed(0)
    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    special = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=64, initializer_range=0.5, **sizes, **special))
    model.save_pretrained(directory / "base")
    model.name_or_path = str(directory / "base")
    adapted = get_peft_model(
        model, LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False)
    )
    adapted.save_pretrained(directory / "adapter")
    return directory / "adapter"


def gate(directory: Path) -> Road:
    """Gate a new adapter in an empty project, and follow it."""
    import pytest

    adapter = make_model(directory / "models")
    project = directory / "project"
    (project / "golden_sets").mkdir(parents=True)
    (project / "pyproject.toml").write_text("")
    (project / "golden_sets" / "orders.yaml").write_bytes(GOLDEN.read_bytes())
    os.chdir(project)
    road = Road()
    with followed(road):
        status = pytest.main(["-q", f"--model={adapter}", "-p", "no:cacheprovider"])
    if status not in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
        raise SystemExit(f"the gate ended with status {status}")
    return road


def main() -> None:
    """Follow one gate and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--list", action="store_true", help="name the files, and the steps back up")
    wanted = parser.parse_args()
    started_in = Path.cwd()
    with tempfile.TemporaryDirectory() as name:
        road = gate(Path(name))
        os.chdir(started_in)
    up = climbs(road)
    if wanted.list:
        print("\n".join(sorted(road.entered)))
        print("\n".join(f"{caller} -> {called}" for caller, called in up))
    print(f"files of the harness imported  {len(road.imported):4}")
    print(f"files of the harness entered   {len(road.entered):4}")
    print(f"steps back up the layers       {len(up):4}")


if __name__ == "__main__":
    main()
