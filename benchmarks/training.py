"""Does each training method learn? Held-out figures before and after, on the real base model.

    make bench-trainers          or          python benchmarks/training.py [METHOD ...] [--again]

Each method is trained as a user would, from its configuration in benchmarks/training/, then gated with
pytest. Rows are kept in demo_output/training/rows.json: what is there is not done again unless ``--again``
asks for it. Takes about ten minutes a method on two CPU cores.

The gradient check loads the 4-bit base with the trained adapter, runs it forward in eval mode, and compares
the gradient of every LoRA matrix with that through a dequantised copy of the base: the least cosine of all.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
CONFIGS = Path(__file__).with_name("training")
OUTPUT = ROOT / "demo_output" / "training"
HEADER = (
    "method",
    "held-out figure",
    "n",
    "before",
    "after",
    "p (no better)",
    "s",
    "GB",
    "gradients",
    "gate",
)
CHECK_TEXT = "The tide comes in twice a day, and the harbour fills slowly with water and boats."


def measured(command: Sequence[str], log: Path) -> tuple[float, float]:
    """Run a command to its end: seconds, and peak resident memory in GB."""
    started = time.monotonic()
    with log.open("w", encoding="utf-8") as file:
        process = subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{log.read_text(encoding='utf-8')[-3000:]}")
    return time.monotonic() - started, usage.ru_maxrss / 1e6


def least_gradient_cosine(adapter: Path) -> float:
    """Least cosine, over a trained adapter's LoRA matrices, of the 4-bit base's gradients and a copy's."""
    import torch
    from bitsandbytes.functional import dequantize_4bit
    from bitsandbytes.nn import Linear4bit
    from peft import PeftModel
    from transformers import AutoTokenizer

    from harness.models.resolve import resolve_model
    from trainers.run.base_model import load_base

    config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    base = resolve_model(config["base_model_name_or_path"])
    head = "reward" if config["task_type"] == "SEQ_CLS" else "text"
    ids = AutoTokenizer.from_pretrained(base)(CHECK_TEXT, return_tensors="pt")["input_ids"]
    quantised = load_base(base, "nf4", torch.float32, head=head)
    plain = load_base(base, "none", torch.float32, head=head)
    layers = dict(plain.named_modules())
    for name, module in quantised.named_modules():
        if isinstance(module, Linear4bit):
            weight = module.weight
            layers[name].weight.data = dequantize_4bit(weight.data, weight.quant_state).float()
    gradients = []
    for model in (quantised, plain):
        model.config.pad_token_id = 0
        adapted = PeftModel.from_pretrained(
            model, str(adapter), is_trainable=True, autocast_adapter_dtype=True
        )
        adapted.eval()
        with torch.no_grad():
            adapted(input_ids=ids)
        adapted.train()
        logits = adapted(input_ids=ids).logits.float()
        loss = (
            logits.sum()
            if head == "reward"
            else torch.nn.functional.cross_entropy(logits[0, :-1], ids[0, 1:])
        )
        loss.backward()
        gradients.append(
            {
                name: parameter.grad.flatten().double()
                for name, parameter in adapted.named_parameters()
                if "lora_" in name and parameter.grad is not None
            }
        )
    assert gradients[0].keys() == gradients[1].keys() != set()
    return min(
        torch.nn.functional.cosine_similarity(gradients[0][name], gradients[1][name], dim=0).item()
        for name in gradients[0]
    )


def held_out(manifest: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, str]:
    """The figure that says whether the method learnt: of held-out data, or of the gated task."""
    found = manifest.get("held_out")
    if found is None:
        row = next(
            row for row in record["comparison"]["metrics"] if not row["set_name"].startswith("general")
        )
        before, after = (row[side]["mean"] for side in ("baseline", "candidate"))
        # The gate's own p-value is of "no drop"; of "no better" the interval of the drop tells.
        return {
            "figure": f"{row['set_name']} {row['metric']}",
            "n": str(row["n"]),
            "before": _with_interval(before),
            "after": _with_interval(after),
            "p": _rise(row["drop"]),
        }
    if "change" in found:
        change = found["change"]
        return {
            "figure": "nats per token",
            "n": str(found["n"]),
            "before": f"{found['before_nats_per_token']:.3f}",
            "after": f"{found['after_nats_per_token']:.3f}",
            "p": f"change {change['estimate']:+.3f} [{change['low']:+.3f}, {change['high']:+.3f}]",
        }
    return {
        "figure": found.get("figure", "chosen preferred"),
        "n": str(found["n"]),
        "before": _with_interval(found["before"]),
        "after": _with_interval(found["after"]),
        "p": f"{found['p_no_better']:.2g}",
    }


def _rise(drop: Mapping[str, float]) -> str:
    return f"rise {-drop['estimate']:.2f} [{-drop['high']:.2f}, {-drop['low']:.2f}]"


def _with_interval(share: Mapping[str, float]) -> str:
    return f"{share['estimate']:.2f} [{share['low']:.2f}, {share['high']:.2f}]"


def bench(method: str, config: Path) -> dict[str, str]:
    """Train, check and gate one method."""
    place = OUTPUT / method
    place.mkdir(parents=True, exist_ok=True)
    adapter = place / "adapter"
    settings = yaml.safe_load(config.read_text(encoding="utf-8"))
    module = f"trainers.methods.{settings.pop('method', method)}"
    gate = settings.pop("gate", ["golden_sets/general"])
    # A configuration's paths are meant from itself; the copy without our own keys lies elsewhere.
    ready = config.with_name(f".{config.name}")
    ready.write_text(yaml.safe_dump(settings), encoding="utf-8")
    try:
        seconds, memory = measured(
            [sys.executable, "-m", module, str(ready), "--output", str(adapter)], place / "training.log"
        )
    finally:
        ready.unlink()
    print(f"    trained in {seconds:.0f} s", file=sys.stderr, flush=True)
    manifest = json.loads((adapter / "training_manifest.json").read_text(encoding="utf-8"))
    check = subprocess.run(
        [sys.executable, __file__, "--gradients", str(adapter)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    record: dict[str, Any] = {}
    verdict = "judges, is not gated"
    if gate:
        json_file = place / "gate.json"
        json_file.unlink(missing_ok=True)
        options = [f"--gate-directory={OUTPUT / '.tunegate'}", f"--gate-json={json_file}"]
        golden = [f"--gate-golden={path}" for path in gate]
        with (place / "gate.log").open("w", encoding="utf-8") as log:
            subprocess.run(
                [sys.executable, "-m", "pytest", f"--model={adapter}", *options, *golden],
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
                cwd=ROOT,
            )
        record = json.loads(json_file.read_text(encoding="utf-8"))
        verdict = _told(record)
    figure = held_out(manifest, record)
    return {
        "method": method,
        "held-out figure": figure["figure"],
        "n": figure["n"],
        "before": figure["before"],
        "after": figure["after"],
        "p (no better)": figure["p"],
        "s": f"{seconds:.0f}",
        "GB": f"{memory:.1f}",
        "gradients": check.stdout.strip(),
        "gate": verdict,
    }


def _told(record: Mapping[str, Any]) -> str:
    kept = record["comparison"]["forgetting"]["overall"]
    return f"{record['verdict']['outcome']}; keeps {kept['retained']} of {kept['passed_by_baseline']}"


def main() -> int:
    """Bench the wanted methods and print the table."""
    configs = {path.stem: path for path in sorted(CONFIGS.glob("[!.]*.yaml"))}
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("methods", nargs="*", help=f"of {', '.join(configs)}; all by default")
    parser.add_argument("--again", action="store_true", help="also what was done before")
    parser.add_argument("--gradients", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.gradients:
        print(f"{least_gradient_cosine(arguments.gradients):.5f}")
        return 0
    if unknown := [method for method in arguments.methods if method not in configs]:
        parser.error(f"no method {unknown[0]} (allowed: {', '.join(configs)})")
    kept = OUTPUT / "rows.json"
    rows = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    for method in arguments.methods or configs:
        if method not in rows or arguments.again:
            print(f"==> {method}", file=sys.stderr, flush=True)
            rows[method] = bench(method, configs[method])
            kept.write_text(json.dumps(rows, indent=2), encoding="utf-8")
    print("| " + " | ".join(HEADER) + " |\n|" + "---|" * len(HEADER))
    for row in rows.values():
        print("| " + " | ".join(row[name] for name in HEADER) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
