"""How near the estimate of memory comes: peak resident memory of real training steps against it.

    python -m benchmarks.memory [--only nf4|none|full] [--batch-size 8] [--data examples/orders/train.jsonl]

Trains SmolLM2 for three steps, each setting in a process of its own, and prints estimate / measured. The
first line is what a process takes that only imports the libraries. The factors of
trainers/estimate/memory.py were taken from the default batches and data: other ones show what the estimate is
worth.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from harness.models.resolve import resolve_model
from trainers.data.conversations import load_examples
from trainers.estimate.memory import GIB, PROCESS_BYTES_CPU, Setup, estimate, total_bytes
from trainers.estimate.shape import shape_of_model

ROOT = Path(__file__).parents[1]
BASE, STEPS = "smollm2", 3
DATA = ROOT / "examples/orders/train.jsonl"
IMPORTS = "import torch, bitsandbytes; from trl import SFTConfig, SFTTrainer; from peft import LoraConfig"
SETTINGS = {
    "nf4": ("qlora", {}),
    "none": ("lora", {"quantization": "none"}),
    "full": ("full", {"quantization": "none", "peft": {"method": "full"}}),
}


def peak_bytes(command: list[str]) -> int:
    """Largest resident memory of a process, in bytes.

    Raises:
        SystemExit: The process failed.
    """
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    said = process.stderr.read().decode(errors="replace")
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}\n{said}")
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def longest_row(data: Path, rows: int) -> int:
    """Tokens of the longest of the rows that are trained on, chat template included."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(resolve_model(BASE))
    used = load_examples([data], rows).rows
    texts = [tokenizer.apply_chat_template(row["prompt"] + row["completion"], tokenize=False) for row in used]
    return max(len(ids) for ids in tokenizer(texts, add_special_tokens=False)["input_ids"])


def measured(directory: Path, data: Path, batch_size: int, settings: dict[str, object]) -> int:
    """Peak memory of three steps, in bytes."""
    config = {
        "base": BASE,
        "dtype": "float32",
        "data": str(data),
        "output": str(directory / "out"),
        "max_rows": batch_size * STEPS,
        "max_steps": STEPS,
        "batch_size": batch_size,
        **settings,
    }
    path = directory / "config.yaml"
    path.write_text(json.dumps(config), encoding="utf-8")
    return peak_bytes([sys.executable, "-m", "trainers.methods.sft", str(path)])


def main() -> None:
    """Measure each setting and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", choices=SETTINGS, default=None)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--data", type=Path, default=DATA)
    chosen = parser.parse_args()
    only, data, batch_size = chosen.only, chosen.data.resolve(), chosen.batch_size
    imports = peak_bytes([sys.executable, "-c", IMPORTS])
    print(f"process that only imports: {imports / GIB:.2f} GiB (estimate: {PROCESS_BYTES_CPU / GIB:.2f})")
    length, shape = longest_row(data, batch_size * STEPS), shape_of_model(BASE)
    print(f"{BASE}, batches of {batch_size} × {length} tokens, float32")
    for name, (weights, settings) in SETTINGS.items():
        if only not in {None, name}:
            continue
        setup = Setup(
            weights=weights,
            batch_size=batch_size,
            length=length,
            dtype="float32",
            optimizer="adamw-pure",
            checkpointing=False,
            device="cpu",
        )
        expected = total_bytes(estimate(shape, setup))
        with tempfile.TemporaryDirectory() as directory:
            found = measured(Path(directory), data, batch_size, settings)
        print(
            f"{weights:6} estimate {expected / GIB:.2f} GiB, measured {found / GIB:.2f} GiB, "
            f"ratio {expected / found:.2f}"
        )


if __name__ == "__main__":
    main()
