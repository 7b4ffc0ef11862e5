"""How fast the engine answers, against what it replaces, measured side by side in one run.

    python benchmarks/generation.py [--cases 48] [--new-tokens 24]

Prints tokens a second and the ratio to the first row, for a base and a LoRA candidate answering the same
cases: one call a case (what a loop over ``model.generate`` does), our batches a side at a time, and our
mixed batches. Text must be equal in all three, or the benchmark fails.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from harness.engines.base import GenerationRequest
from harness.engines.open import base_of, choose_plan, describe_model, open_sides
from harness.models.resolve import resolve_model
from harness.types import GenerationSettings, Message


def make_adapter(base: str, directory: Path) -> None:
    """A random LoRA adapter: as much work as a trained one."""
    torch.manual_seed(0)
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(resolve_model(base)),
        LoraConfig(r=16, target_modules="all-linear", task_type="CAUSAL_LM"),
    )
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(0, 0.003)
    model.peft_config["default"].base_model_name_or_path = base
    model.save_pretrained(directory)


def main() -> int:
    """Measure and print; 1 if the texts differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--cases", type=int, default=48)
    parser.add_argument("--new-tokens", type=int, default=24)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        make_adapter("smollm2", Path(directory))
        candidate = describe_model(directory)
        sides = {"candidate": candidate, "baseline": base_of(candidate)}
        plan = choose_plan("float32", "cpu", 4096, list(sides.values()))
        plans = {
            "one case a call": replace(plan, mixed=False, batch_tokens=1),
            "batched, a side at a time": replace(plan, mixed=False),
            "batched, both sides mixed": plan,
        }
        requests = [
            GenerationRequest(
                key=f"{side}/{case}",
                side=side,
                messages=(Message(role="user", content=f"Tell me {'a bit ' * (case % 7)}about {case}."),),
                settings=GenerationSettings(max_new_tokens=arguments.new_tokens),
            )
            for side in sides
            for case in range(arguments.cases)
        ]
        speeds, texts = [], []
        for name, each in plans.items():
            engine = open_sides(sides, each)
            answers: dict = {}
            started = time.perf_counter()
            engine.generate(requests, answers.update)
            took_s = time.perf_counter() - started
            speeds.append(sum(answer.completion_tokens for answer in answers.values()) / took_s)
            texts.append([answers[index].text for index in range(len(requests))])
            print(f"{name:28} {speeds[-1]:7.1f} tokens/s  {speeds[-1] / speeds[0]:5.2f} x", flush=True)
    same = all(text == texts[0] for text in texts)
    print("texts equal in all three" if same else "texts DIFFER")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
