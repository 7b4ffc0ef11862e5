"""A training with TRL that is gated at each save, and stopped when it is sure to have become worse.

    python examples/callback/trl_sft.py --output out/good
    python examples/callback/trl_sft.py --output out/harmful --learning-rate 1e-2 --max-rows 8

The base and the golden sets are those of the demo; any causal language model and any golden sets will do.
"""

import argparse
from pathlib import Path

from datasets import load_dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer

from harness.models.resolve import resolve_model
from trainers.callback import GateCallback

EXAMPLES = Path(__file__).parents[1]


def main(arguments: list[str] | None = None) -> SFTTrainer:
    """Train; the trainer is returned, finished or stopped."""
    chosen = _parse(arguments)
    base = resolve_model(chosen.base)
    rows = load_dataset("json", data_files=[str(file) for file in chosen.data], split="train")
    if chosen.max_rows is not None:
        rows = rows.select(range(chosen.max_rows))
    gate = GateCallback(chosen.golden, margin=chosen.margin, forgetting=chosen.forgetting)
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(base, dtype="float32"),
        processing_class=AutoTokenizer.from_pretrained(base),
        train_dataset=rows.map(_as_chat, remove_columns=rows.column_names),
        peft_config=LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"),
        args=SFTConfig(
            output_dir=str(chosen.output),
            learning_rate=chosen.learning_rate,
            lr_scheduler_type="constant",
            max_steps=chosen.max_steps,
            save_steps=chosen.save_steps,
            save_total_limit=1,
            per_device_train_batch_size=4,
            train_sampling_strategy="sequential" if chosen.in_order else "random",
            logging_steps=1,
            report_to=chosen.report_to,
            use_cpu=chosen.cpu,
        ),
        callbacks=[gate],
    )
    gate.follow(trainer)  # the verdicts reach the trackers too
    trainer.train()
    print(f"best checkpoint: {gate.best}")
    return trainer


def _as_chat(row: dict[str, str]) -> dict[str, list[dict[str, str]]]:
    return {
        "prompt": [{"role": "user", "content": row["prompt"]}],
        "completion": [{"role": "assistant", "content": row["completion"]}],
    }


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--base", default="smollm2")
    parser.add_argument("--data", type=Path, nargs="+", default=[EXAMPLES / "orders" / "train.jsonl"])
    parser.add_argument(
        "--golden", type=Path, nargs="+", default=[EXAMPLES.parent / "golden_sets" / "orders.yaml"]
    )
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--max-rows", type=int)
    parser.add_argument("--learning-rate", type=float, default=2.5e-4)
    parser.add_argument("--max-steps", type=int, default=24)
    parser.add_argument("--save-steps", type=int, default=6)
    parser.add_argument("--margin", type=float)
    parser.add_argument("--no-forgetting", dest="forgetting", action="store_false")
    parser.add_argument("--report-to", default="none")
    parser.add_argument("--in-order", action="store_true", help="take the rows as they stand in the files")
    parser.add_argument("--cpu", action="store_true")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
