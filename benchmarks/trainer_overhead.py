"""What our SFT costs beside a bare TRL script that does the same steps, in one run.

    python benchmarks/trainer_overhead.py [--steps 24] [--times 2]

Both train the same rows with the same settings in processes of their own, in turn; printed is the
ratio of the shorter times, from the process's start to the written adapter. Ours looks for golden cases in
the data besides, hashes base and adapter and writes the manifest: seconds, whatever the number of steps.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
DATA = ROOT / "examples" / "orders" / "train.jsonl"

OURS = """\
base: smollm2
dtype: float32
data: {data}
output: {output}
max_steps: {steps}
"""

BARE = """
import json, sys
import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig
from trl import SFTConfig, SFTTrainer
from harness.models.resolve import resolve_model

base = resolve_model("smollm2")
rows = [json.loads(line) for line in open({data!r})]
rows = [
    {{
        "prompt": [{{"role": "user", "content": row["prompt"]}}],
        "completion": [{{"role": "assistant", "content": row["completion"]}}],
    }}
    for row in rows
]
model = AutoModelForCausalLM.from_pretrained(
    base,
    dtype=torch.float32,
    quantization_config=BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.float32,
    ),
)
trainer = SFTTrainer(
    model=model,
    args=SFTConfig(
        output_dir={output!r},
        max_steps={steps},
        per_device_train_batch_size=8,
        learning_rate=2e-4,
        completion_only_loss=True,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        report_to="none",
        logging_steps=1,
        save_steps=50,
        dataloader_pin_memory=False,
    ),
    train_dataset=Dataset.from_list(rows),
    processing_class=AutoTokenizer.from_pretrained(base),
    peft_config=LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"),
)
trainer.train()
trainer.save_model({output!r})
"""


def seconds(command: list[str]) -> float:
    """Wall time of a command."""
    started = time.monotonic()
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return time.monotonic() - started


def main() -> None:
    """Measure and print the ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--times", type=int, default=2, help="how often each is run")
    chosen = parser.parse_args()
    steps = chosen.steps
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        ours, bare = place / "ours.yaml", place / "bare.py"
        ours.write_text(OURS.format(data=DATA, output=place / "ours", steps=steps), encoding="utf-8")
        bare.write_text(
            BARE.format(data=str(DATA), output=str(place / "bare"), steps=steps), encoding="utf-8"
        )
        times: dict[str, list[float]] = {"ours": [], "bare": []}
        for _ in range(chosen.times):
            times["bare"].append(seconds([sys.executable, str(bare)]))
            times["ours"].append(seconds([sys.executable, "-m", "trainers.methods.sft", str(ours)]))
        print(f"{steps} steps: bare TRL {min(times['bare']):.1f} s, tunegate {min(times['ours']):.1f} s")
        print(f"ratio {min(times['ours']) / min(times['bare']):.3f}")


if __name__ == "__main__":
    main()
