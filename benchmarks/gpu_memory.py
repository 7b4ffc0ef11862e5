"""What a GPU's memory holds at most while all kinds of weights are trained, beside ``tunegate estimate``.

    python -m benchmarks.gpu_memory

Three steps of supervised fine-tuning on a random base of 1.2 billion parameters, batches of 8 × 512 tokens,
with the trainers' own settings on CUDA. Prints GiB: what PyTorch allocated and reserved, and the estimate.
About a minute; the base takes 2.5 GB of disk while it runs.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

SIZES = {
    "vocab_size": 128_256,
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "num_hidden_layers": 16,
}
_TRAINED = ("qlora", "lora", "full")


def make_base(directory: Path) -> None:
    """Write a random Llama of these sizes, with a tokenizer of words."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = ["<pad>", "<unk>", "<bos>", "<|end|>", "<|user|>", "<|assistant|>", "one", "two", "three"]
    tokenizer = Tokenizer(
        models.WordLevel({word: place for place, word in enumerate(words)}, unk_token="<unk>")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    names = {"pad_token": "<pad>", "unk_token": "<unk>", "bos_token": "<bos>", "eos_token": "<|end|>"}
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)
    fast.chat_template = (
        "{% for m in messages %}<|{{ m['role'] }}|> {{ m['content'] }} "
        "{% if m['role'] == 'assistant' %}<|end|>{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|> {% endif %}"
    )
    fast.save_pretrained(directory)
    tokens = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
    config = LlamaConfig(**SIZES, **tokens, tie_word_embeddings=True, max_position_embeddings=2048)
    with torch.device("cuda"):
        model = LlamaForCausalLM(config).to(torch.bfloat16)
    model.save_pretrained(directory)


def measure(base: Path, kind: str, directory: Path) -> dict[str, float]:
    """Train three steps in this process, which has done nothing else; GiB by what they are."""
    import torch

    from trainers.estimate.memory import GIB, WEIGHTS, Setup, estimate, total_bytes
    from trainers.estimate.shape import shape_of_model
    from trainers.methods.sft import SftConfig, train
    from trainers.run.entry import run_module

    row = {"prompt": "one two", "completion": " ".join(["one two three"] * 168)}
    (directory / "rows.jsonl").write_text((json.dumps(row) + "\n") * 24, encoding="utf-8")
    keys = {"base": str(base), "data": "rows.jsonl", "output": "out", "max_steps": 3}
    keys |= {"quantization": "nf4" if kind == "qlora" else "none"}
    keys |= {"peft": {"method": "full"}} if kind == "full" else {}
    config = directory / "config.yaml"
    config.write_text(json.dumps(keys), encoding="utf-8")
    if run_module("sft", SftConfig, train, [str(config)]) != 0:
        raise SystemExit(f"{kind}: not trained")
    setup = Setup(weights=next(name for name in WEIGHTS if name == kind), batch_size=8, length=512)
    return {
        "allocated": torch.cuda.max_memory_allocated() / GIB,
        "reserved": torch.cuda.max_memory_reserved() / GIB,
        "estimate": total_bytes(estimate(shape_of_model(str(base)), setup)) / GIB,
    }


def main() -> int:
    """Measure each kind in a process of its own."""
    if len(sys.argv) > 1:
        base, kind, directory = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
        print("measured", json.dumps(measure(base, kind, directory)))
        return 0
    with tempfile.TemporaryDirectory() as directory:
        base = Path(directory) / "base"
        make_base(base)
        for kind in _TRAINED:
            place = Path(directory) / kind
            place.mkdir()
            command = [sys.executable, "-m", "benchmarks.gpu_memory", str(base), kind, str(place)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            lines = [line for line in done.stdout.splitlines() if line.startswith("measured ")]
            if not lines:
                raise SystemExit(f"{kind} failed:\n{done.stderr[-2000:]}")
            found = json.loads(lines[0].removeprefix("measured "))
            print(f"{kind:6}" + "  ".join(f"{name} {value:.2f}" for name, value in found.items()), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
