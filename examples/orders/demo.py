"""The whole road on a real model: fetch, train a good adapter, gate it, train a harmful one, gate that.

    make demo            or            python examples/orders/demo.py

The first gate must pass (exit status 0), the second must find the regression (exit status 1); anything else
fails the demo. Adapters, history and both HTML reports are left in demo_output/.
"""

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
OUTPUT = ROOT / "demo_output"


@dataclass(frozen=True, slots=True)
class Step:
    """One command of the demo and the exit status that it must end with."""

    title: str
    command: list[str]
    expected_status: int = 0


def gate(adapter: str, report: str) -> list[str]:
    """The gate's command for one adapter; its history stays apart from the checkout's own."""
    return [
        *("pytest", f"--model={OUTPUT / adapter}", f"--gate-directory={OUTPUT / '.tunegate'}"),
        *(f"--gate-report={OUTPUT / report}.html", f"--gate-json={OUTPUT / report}.json"),
    ]


STEPS = [
    Step("Fetch the base model and the encoder", ["tunegate", "model", "fetch", "smollm2", "minilm"]),
    Step(
        "Train an adapter on 400 orders",
        ["tunegate", "train", "sft", "examples/orders/sft.yaml", "--output", str(OUTPUT / "good")],
    ),
    Step("Gate it against its base model", gate("good", "good")),
    Step(
        "Train a harmful adapter: few rows, a learning rate far too high",
        ["tunegate", "train", "sft", "examples/orders/harmful.yaml", "--output", str(OUTPUT / "harmful")],
    ),
    Step("Gate the harmful one", gate("harmful", "harmful"), expected_status=1),
]


def main() -> int:
    """Run all steps; 0 when every one ended as it should."""
    started = time.monotonic()
    for number, step in enumerate(STEPS, start=1):
        print(f"\n==> {number}/{len(STEPS)}  {step.title}\n    $ {' '.join(step.command)}\n", flush=True)
        status = subprocess.run(step.command, cwd=ROOT, check=False).returncode
        if status != step.expected_status:
            print(f"\n==> exit status {status}, expected {step.expected_status}: the demo stops here")
            return 1
    print(f"\n==> done in {(time.monotonic() - started) / 60:.1f} minutes")
    for name in ("good", "harmful"):
        verdict = json.loads((OUTPUT / f"{name}.json").read_text())["verdict"]["outcome"]
        print(f"    {name:8} {verdict.upper():8} {OUTPUT / name}.html")
    return 0


if __name__ == "__main__":
    sys.exit(main())
