"""What workers cost and bring: seconds, processor time and memory of one process, and of 1, 2 and 4 workers.

    python -m benchmarks.workers [--workers 1,2,4] [--cases 32] [--rounds 1] [--batch-tokens N]

SmolLM2 and a random model of a fifth of its size answer short and long prompts, each way in a process of its
own, in turns. *process* is the session's own one with a thread for each core; *chosen* marks what
``--gate-workers auto`` starts. PSS counts a page that n processes share 1/n times, so the sum is what all
of them take.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from harness.engines.base import CANDIDATE, GenerationRequest
from harness.engines.open import choose_plan, describe_model, open_sides
from harness.engines.workers.choose import chosen_workers, usable_cores
from harness.engines.workers.local import open_workers
from harness.models.resolve import resolve_model
from harness.provenance import available_bytes
from harness.types import GenerationSettings, Message

ROOT = Path(__file__).parents[1]
TEXT = "the ship left port at noon with nine crates of tea and two of glass bound for the north coast"
WORDS = TEXT.split(" ")
# Words of a prompt, and the most tokens of an answer.
LENGTHS = {"short": (24, 32), "long": (240, 96)}


@dataclass
class Watch:
    """Looks at this process and all below it while they work.

    Attributes:
        pss: The sums of their proportional set sizes, in MB, once there are workers.
        own: Of each worker the pages that no other process shares, in MB.
    """

    pss: list[float] = field(default_factory=list)
    own: list[float] = field(default_factory=list)
    _ticks: dict[int, int] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Look every two seconds: reading the size of a process takes a few hundredths of one."""
        while not self._stop.wait(2.0):
            self.look()

    def look(self) -> None:
        """Look once."""
        below = descendants(os.getpid())
        sizes = {process: memory(process) for process in [os.getpid(), *below]}
        # The workers are the children of the process with the models, which without them loads or tidies up.
        workers = [each for each in below[1:] if sizes[each]]
        if workers or not below:
            self.pss.append(sum(size.get("Pss", 0.0) for size in sizes.values()))
        self.own += [sizes[each].get("Private_Dirty", 0.0) for each in workers]
        self._ticks |= {each: found for each in below if (found := ticks(each))}

    def stop(self) -> float:
        """The processor time of all processes, in seconds."""
        self.look()
        self._stop.set()
        return time.process_time() + sum(self._ticks.values()) / os.sysconf("SC_CLK_TCK")


def descendants(process: int) -> list[int]:
    """The processes below one, parents first."""
    found: list[int] = []
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            children = [int(each) for each in task.read_text("ascii").split()]
        except OSError:
            continue
        for child in children:
            found += [child, *descendants(child)]
    return found


def memory(process: int) -> dict[str, float]:
    """A process's memory by kind, in MB."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text("ascii").splitlines()[1:]
    except OSError:
        return {}
    return {name: int(rest.split()[0]) / 1000 for name, _, rest in (line.partition(":") for line in lines)}


def ticks(process: int) -> int:
    """A process's own processor time, in clock ticks."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text("utf-8").rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])


def measure(base: str, length: str, workers: int, cases: int, batch_tokens: int | None) -> dict[str, float]:
    """One way: workers, or with 0 this process with a thread for each core."""
    words, new_tokens = LENGTHS[length]
    sides = {CANDIDATE: describe_model(base)}
    plan = choose_plan("float32", "cpu", batch_tokens, list(sides.values()))
    asked = [
        GenerationRequest(
            key=str(case),
            side=CANDIDATE,
            messages=(Message(role="user", content=" ".join(prompt(case, words))),),
            settings=GenerationSettings(max_new_tokens=new_tokens),
        )
        for case in range(cases)
    ]
    cores = usable_cores()
    engine = open_workers(sides, plan, workers, max(cores, workers)) if workers else open_sides(sides, plan)
    watch = Watch()
    watch.look()
    before = watch.stop()
    watch._stop.clear()
    thread = threading.Thread(target=watch.run)
    thread.start()
    began, found = time.perf_counter(), {}
    engine.generate(asked, found.update)
    seconds = time.perf_counter() - began
    cpu = watch.stop() - before
    thread.join()
    tokens = sum(each.completion_tokens for each in found.values())
    pss, own = (statistics.median(sizes or [0.0]) for sizes in (watch.pss, watch.own))
    return {"seconds": seconds, "cpu": cpu, "pss": pss, "own": own, "tokens": tokens}


def prompt(case: int, words: int) -> list[str]:
    """Words that no two cases have in common from the start."""
    return [str(case), *(WORDS[(case * 7 + place * (1 + case % 5)) % len(WORDS)] for place in range(words))]


def small_model(directory: Path) -> Path:
    """A random model of a fifth of SmolLM2's size, with its tokenizer."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    smollm2 = resolve_model("smollm2")
    config = AutoConfig.from_pretrained(smollm2)
    config.hidden_size, config.intermediate_size, config.num_hidden_layers = 288, 768, 10
    config.num_attention_heads, config.num_key_value_heads, config.head_dim = 9, 3, 32
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(directory)
    AutoTokenizer.from_pretrained(smollm2).save_pretrained(directory)
    return directory


def main() -> None:
    """Measure all ways in turns, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", default="1,2,4")
    parser.add_argument("--cases", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--batch-tokens", type=int, help="default: what suits the model")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(measure(*json.loads(asked.one))))
        return
    with tempfile.TemporaryDirectory() as name:
        bases = {"SmolLM2": "smollm2", "a fifth of it": str(small_model(Path(name)))}
        ways = [0, *map(int, asked.workers.split(","))]
        rows = [(base, length, way) for base in bases for length in LENGTHS for way in ways]
        found: dict[tuple[str, str, int], list[dict[str, float]]] = {row: [] for row in rows}
        for _ in range(asked.rounds):
            for base, length, way in rows:
                one = json.dumps([bases[base], length, way, asked.cases, asked.batch_tokens])
                command = [sys.executable, "-m", "benchmarks.workers", "--one", one]
                reply = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
                found[base, length, way].append(json.loads(reply.splitlines()[-1]))
                print(base, length, way, reply.splitlines()[-1], file=sys.stderr, flush=True)
        _show(bases, found)


def _show(bases: dict[str, str], found: dict[tuple[str, str, int], list[dict[str, float]]]) -> None:
    heads = (
        "model",
        "prompts",
        "answered by",
        "seconds",
        "CPU s",
        "tokens a CPU s",
        "PSS, MB",
        "its own, MB",
    )
    print(f"| {' | '.join(heads)} |")
    print("|---|---|---|---|---|---|---|---|")
    for (base, length, way), runs in found.items():
        value = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
        size = 2 * sum(file.stat().st_size for file in resolve_model(bases[base]).glob("*.safetensors"))
        models = [describe_model(bases[base])]
        plan = choose_plan("float32", "cpu", None, models)
        chosen = chosen_workers(plan, models, usable_cores(), size, available_bytes())
        who = f"{way} worker{'s' * (way != 1)}" if way else "process"
        mark = ", chosen" if way == chosen else ""
        print(
            f"| {base} | {length} | {who}{mark} | {value['seconds']:.1f} | {value['cpu']:.1f} | "
            f"{value['tokens'] / value['cpu']:.0f} | {value['pss']:.0f} | {value['own'] or 0:.0f} |"
        )
    print(f"\n{usable_cores()} cores, load {os.getloadavg()[0]:.1f} at the end")


if __name__ == "__main__":
    main()
