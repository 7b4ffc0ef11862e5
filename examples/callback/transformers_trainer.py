"""The same with the bare ``Trainer`` of transformers: all weights are trained, and the start is the baseline.

python examples/callback/transformers_trainer.py --output out/full --learning-rate 1e-5
"""

import argparse
from pathlib import Path

from datasets import load_dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer, TrainingArguments

from harness.models.resolve import resolve_model
from trainers.callback import GateCallback

EXAMPLES = Path(__file__).parents[1]


def main(arguments: list[str] | None = None) -> Trainer:
    """Train; the trainer is returned, finished or stopped."""
    chosen = _parse(arguments)
    base = resolve_model(chosen.base)
    tokenizer = AutoTokenizer.from_pretrained(base)
    rows = load_dataset("json", data_files=[str(file) for file in chosen.data], split="train")

    def tokens(row: dict[str, str]) -> dict[str, list[int]]:
        turns = [{"role": "user", "content": row["prompt"]}]
        asked = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=False)
        answer = tokenizer(row["completion"], add_special_tokens=False)["input_ids"]
        answer = [*answer, tokenizer.eos_token_id]
        # Tokens of the prompt have no loss.
        return {"input_ids": [*asked, *answer], "labels": [*[-100] * len(asked), *answer]}

    gate = GateCallback(chosen.golden, margin=chosen.margin, forgetting=chosen.forgetting)
    trainer = Trainer(
        model=AutoModelForCausalLM.from_pretrained(base, dtype="float32"),
        processing_class=tokenizer,
        train_dataset=rows.map(tokens, remove_columns=rows.column_names),
        args=TrainingArguments(
            output_dir=str(chosen.output),
            learning_rate=chosen.learning_rate,
            lr_scheduler_type="constant",
            max_steps=chosen.max_steps,
            save_steps=chosen.save_steps,
            save_total_limit=1,
            per_device_train_batch_size=1,
            gradient_accumulation_steps=4,
            train_sampling_strategy="sequential" if chosen.in_order else "random",
            logging_steps=1,
            report_to="none",
            use_cpu=chosen.cpu,
        ),
        callbacks=[gate],
    )
    gate.follow(trainer)  # the verdicts reach the trackers too
    trainer.train()
    print(f"best checkpoint: {gate.best}")
    return trainer


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
    parser.add_argument("--learning-rate", type=float, default=1e-5)
    parser.add_argument("--max-steps", type=int, default=24)
    parser.add_argument("--save-steps", type=int, default=6)
    parser.add_argument("--margin", type=float)
    parser.add_argument("--no-forgetting", dest="forgetting", action="store_false")
    parser.add_argument("--in-order", action="store_true", help="take the rows as they stand in the files")
    parser.add_argument("--cpu", action="store_true")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
