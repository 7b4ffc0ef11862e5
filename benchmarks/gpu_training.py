"""Do the trainers work on a real GPU? Every method and kind of weights with the settings that only CUDA has.

    python -m benchmarks.gpu_training [--memory]

Trains a tiny random base for a few steps: in 4 bits, with paged 8-bit AdamW, recomputed activations, bfloat16
and float16. Then: gradients through 4-bit weights after an eval forward, a resumed run, recomputation on and
off. ``--memory`` measures three steps of a random base of 1.2 billion parameters against ``tunegate
estimate`` instead. Prints a line a check; exit status 1 if one is wrong. About two minutes.
"""

import argparse
import json
import math
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

SAMPLED = {"num_generations": 4, "max_completion_length": 6}
CAT = [{"type": "regex", "pattern": "cat", "full": False}]
OF_METHOD: dict[str, dict[str, Any]] = {
    "continual": {"max_length": 32},
    "grpo": {**SAMPLED, "rewards": CAT},
    "rft": {**SAMPLED, "rewards": CAT, "rounds": 1, "threshold": 0, "save_steps": None},
    "rloo": {**SAMPLED, "reward_model": "../reward/out"},
    "ppo": {**SAMPLED, "reward_model": "../reward/out", "batch_size": 8},
}
METHODS = ("sft", "dpo", "orpo", "kto", "reward", "continual", "grpo", "rft", "rloo", "ppo")
IN_4_BITS: dict[str, dict[str, Any]] = {
    "dora": {"r": 4, "dora": True},
    "vera": {"method": "vera"},
    "oft": {"method": "oft", "block_size": 8},
    "ia3": {"method": "ia3"},
    "prefix": {"method": "prefix", "virtual_tokens": 4},
    "prompt": {"method": "prompt", "virtual_tokens": 4},
}
WHOLE: dict[str, dict[str, Any]] = {
    "loha": {"method": "loha", "r": 4},
    "lokr": {"method": "lokr", "r": 4},
    "full": {"method": "full"},
}


def rows_of(method: str) -> list[dict[str, Any]]:
    """Rows to learn, of the method's form."""
    if method == "continual":
        return [{"text": "the cat sat on a mat " * 20}, {"text": "one two three " * 30}]
    if method == "kto":
        return [{"prompt": f"what is w{i}", "completion": "one two", "label": bool(i % 2)} for i in range(16)]
    if method == "sft":
        return [{"prompt": f"what is w{i}", "completion": "one two three"} for i in range(12)]
    return [{"prompt": f"what is w{i}", "chosen": f"one two w{i}", "rejected": "cat sat"} for i in range(12)]


def make_base(directory: Path, **shape: int) -> Path:
    """A random Llama with a tokenizer of words.

    Args:
        directory: Where it is written.
        shape: Dimensions in place of the tiny ones.
    """
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = [f"w{i}" for i in range(50)] + [
        "the",
        "a",
        "cat",
        "sat",
        "on",
        "mat",
        "what",
        "is",
        "one",
        "two",
        "three",
    ]
    special = ["<pad>", "<unk>", "<bos>", "<|end|>", "<|user|>", "<|assistant|>"]
    vocabulary = {word: place for place, word in enumerate(special + words)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    names = {"pad_token": "<pad>", "unk_token": "<unk>", "bos_token": "<bos>", "eos_token": "<|end|>"}
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)
    fast.chat_template = (
        "{% for m in messages %}<|{{ m['role'] }}|> {{ m['content'] }} "
        "{% if m['role'] == 'assistant' %}<|end|>{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|> {% endif %}"
    )
    fast.save_pretrained(directory)
    tiny = {
        "vocab_size": len(vocabulary),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    }
    torch.manual_seed(0)
    tokens = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
    config = LlamaConfig(
        **{**tiny, **shape}, **tokens, tie_word_embeddings=True, max_position_embeddings=2048
    )
    with torch.device("cuda"):
        model = LlamaForCausalLM(config).to(torch.bfloat16)
    model.save_pretrained(directory)
    return directory


class Lab:
    """A directory in which methods are trained, and the checks' results."""

    def __init__(self, path: Path) -> None:
        """Make the tiny base there."""
        self.path, self.base = path, make_base(path / "base")
        self.wrong: list[str] = []

    def train(self, name: str, method: str, *arguments: str, **settings: Any) -> tuple[int, Path]:
        """Train in a directory of its own; exit status and output.

        Args:
            name: The directory's name.
            method: The method.
            arguments: Further ones of the command line.
            settings: Keys of the configuration; None leaves one out.
        """
        from harness.registry import load_function
        from trainers.methods.catalogue import METHODS as KNOWN
        from trainers.run.entry import run_module

        place = self.path / name
        place.mkdir(exist_ok=True)
        lines = "".join(json.dumps(row) + "\n" for row in rows_of(method))
        (place / "rows.jsonl").write_text(lines, encoding="utf-8")
        usual = {"base": str(self.base), "data": "rows.jsonl", "output": "out", "peft": {"r": 4}}
        usual |= {"learning_rate": 0.01, "max_steps": 4, "batch_size": 4, "save_steps": 2}
        given = {**usual, **OF_METHOD.get(method, {}), **settings}
        kept = {key: value for key, value in given.items() if value is not None}
        (place / "config.yaml").write_text(json.dumps(kept), encoding="utf-8")
        module = import_module(KNOWN[method].train.partition(":")[0])
        kind = load_function(KNOWN[method].config, method)
        config = str(place / "config.yaml")
        return run_module(method, kind, module.train, [config, *arguments]), place / "out"

    def check(self, name: str, run: Callable[[], tuple[bool, Mapping[str, Any]]]) -> None:
        """Run a check and print its line; a fault is a wrong check."""
        started = time.monotonic()
        try:
            right, found = run()
        except Exception as error:  # the other checks shall still run
            right, found = False, {"error": f"{type(error).__name__}: {error}"[:400]}
        if not right:
            self.wrong.append(name)
        seconds = time.monotonic() - started
        print(f"{'OK' if right else 'WRONG':6}{name}  {json.dumps(dict(found))}  {seconds:.1f} s", flush=True)

    def trains(self, name: str, method: str, **settings: Any) -> None:
        """Check that a method trains on the GPU, to finite losses and weights."""

        def run() -> tuple[bool, Mapping[str, Any]]:
            status, output = self.train(name, method, **settings)
            manifest = json.loads((output / "training_manifest.json").read_text(encoding="utf-8"))
            losses = [entry["loss"] for entry in manifest["losses"]]
            finite = all(map(math.isfinite, losses)) and all(
                t.isfinite().all() for t in weights(output).values()
            )
            right = status == 0 and finite and manifest["device"].startswith("cuda")
            return right, {"dtype": manifest["compute_dtype"], "losses": [round(loss, 3) for loss in losses]}

        self.check(name, run)


def weights(output: Path) -> dict[str, Any]:
    """All learnt tensors of an output directory."""
    from safetensors.torch import load_file

    return {key: value for file in output.glob("*.safetensors") for key, value in load_file(file).items()}


def apart(one: Path, two: Path) -> float:
    """The largest difference of two outputs' weights."""
    first, second = weights(one), weights(two)
    return max(float((first[name].float() - second[name].float()).abs().max()) for name in first)


@contextmanager
def stopped_after(step: int) -> Iterator[None]:
    """As if Ctrl-C were pressed in that step."""
    from trainers.run.progress import Watch

    plain = Watch.on_step_end

    def stop(self: Any, args: Any, state: Any, control: Any, **others: Any) -> None:
        self.interrupted = state.global_step == step
        plain(self, args, state, control, **others)

    Watch.on_step_end = stop  # type: ignore[method-assign]
    try:
        yield
    finally:
        Watch.on_step_end = plain  # type: ignore[method-assign]


def resumed(lab: Lab) -> tuple[bool, Mapping[str, Any]]:
    """A run that was stopped and resumed, with paged states, against an unbroken one."""
    _, whole = lab.train("whole", "sft", max_steps=6)
    with stopped_after(2):
        stopped, output = lab.train("resumed", "sft", max_steps=6)
    again, output = lab.train("resumed", "sft", "--resume", max_steps=6)
    difference = apart(whole, output)
    return (stopped, again) == (2, 0) and difference < 0.01, {"apart": difference}


def recomputed(lab: Lab) -> tuple[bool, Mapping[str, Any]]:
    """Recomputed activations against kept ones, in float32."""
    found = {}
    for method in ("sft", "dpo", "orpo", "kto", "grpo", "ppo"):
        given = {"quantization": "none", "dtype": "float32", "max_steps": 2}
        outputs = [
            lab.train(f"{method}-{on}", method, **given, trl={"gradient_checkpointing": on})[1]
            for on in (True, False)
        ]
        found[method] = apart(*outputs)
    return max(found.values()) < 1e-3, found


def memory(lab: Lab, kind: str) -> tuple[bool, Mapping[str, Any]]:
    """Peak memory of three steps against the estimate, in GiB."""
    import torch

    from trainers.estimate.memory import GIB, WEIGHTS, Setup, estimate, total_bytes
    from trainers.estimate.shape import shape_of_model

    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    place = lab.path / f"memory-{kind}"
    place.mkdir()
    row = {"prompt": "what is w1", "completion": " ".join(["one two three cat"] * 126)}
    (place / "long.jsonl").write_text((json.dumps(row) + "\n") * 24, encoding="utf-8")
    peft = {"method": "full"} if kind == "full" else None
    stored = "nf4" if kind == "qlora" else "none"
    given = {
        "data": "long.jsonl",
        "peft": peft,
        "quantization": stored,
        "batch_size": 8,
        "learning_rate": None,
    }
    status, _ = lab.train(place.name, "sft", **given, max_steps=3)
    found = {
        "allocated": torch.cuda.max_memory_allocated() / GIB,
        "reserved": torch.cuda.max_memory_reserved() / GIB,
    }
    weights = next(name for name in WEIGHTS if name == kind)
    setup = Setup(weights=weights, batch_size=8, length=512)
    found["estimate"] = total_bytes(estimate(shape_of_model(str(lab.base)), setup)) / GIB
    return status == 0, {name: round(value, 2) for name, value in found.items()}


def main() -> int:
    """Run all checks, or those of memory."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--memory", action="store_true")
    chosen = parser.parse_args()
    if not torch.cuda.is_available():
        parser.error("there is no GPU")
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}")
    with tempfile.TemporaryDirectory() as directory:
        lab = Lab(Path(directory))
        if chosen.memory:
            sizes = {"vocab_size": 128_256, "hidden_size": 2048, "intermediate_size": 8192}
            heads = {"num_attention_heads": 32, "num_key_value_heads": 8, "num_hidden_layers": 16}
            lab.base = make_base(lab.path / "large", **sizes, **heads)
            for kind in ("qlora", "lora", "full"):
                lab.check(kind, lambda kind=kind: memory(lab, kind))  # type: ignore[misc]
            return bool(lab.wrong)
        for method in METHODS:
            lab.trains(method, method)
        for kind, peft in IN_4_BITS.items():
            lab.trains(f"sft, {kind} in 4 bits", "sft", peft=peft)
        for kind, peft in WHOLE.items():
            given = {"peft": peft, "quantization": "none", "learning_rate": 0.003}
            lab.trains(f"sft, {kind}", "sft", **given)
        lab.trains("sft in float16", "sft", dtype="float16")
        lab.trains("full in float16", "sft", dtype="float16", quantization="none", peft={"method": "full"})
        lab.check("a resumed run ends like an unbroken one", lambda: resumed(lab))
        lab.check("recomputing changes nothing", lambda: recomputed(lab))
        print(f"wrong: {', '.join(lab.wrong) or 'none'}")
    return bool(lab.wrong)


if __name__ == "__main__":
    sys.exit(main())
