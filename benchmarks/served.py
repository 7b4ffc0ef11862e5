"""Other programs, and our own gate, on ``tunegate serve``, compared with the model on this machine.

    python benchmarks/served.py [--only client|lm-eval|gate] [--lm-eval PYTHON] [--base BASE]

PYTHON is an interpreter with lm-eval (``pip install 'lm-eval[api]'``); without it that part is left out. The
base is SmolLM2 (``tunegate model fetch smollm2``) unless BASE is given, the adapter a small random one.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

QUESTIONS = 40
TASK = """\
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
doc_to_text: "{{{{question}}}}"
{kind}
"""
CHOICE = """\
output_type: multiple_choice
doc_to_choice: "{{choices}}"
doc_to_target: "{{gold}}"
metric_list: [{metric: acc}]
"""
WRITE = """\
output_type: generate_until
doc_to_target: "{{answer}}"
generation_kwargs: {until: ["\\n"], max_gen_toks: 12, do_sample: false, temperature: 0.0}
metric_list: [{metric: exact_match}]
"""
CASES = "\n".join(
    f"  - {{id: s{a}-{b}, prompt: 'What is {a} plus {b}? Answer with the number.', "
    f"checks: [{{type: contains, value: '{a + b}'}}]}}"
    for a in range(2, 6)
    for b in range(3, 8)
)


def main() -> None:
    """Run all parts and print what each found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lm-eval", metavar="PYTHON", help="an interpreter with lm-eval")
    parser.add_argument("--only", choices=("client", "lm-eval", "gate"), help="one part alone")
    parser.add_argument("--base", default="smollm2", help="another base: its name or directory")
    options = parser.parse_args()
    from harness.models.resolve import resolve_model

    base = resolve_model(options.base)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        adapter = make_adapter(base, work / "adapter")
        with serving(adapter) as url:
            if options.only in {None, "client"}:
                print(f"client: {asked_by_client(url, adapter)}", flush=True)
            if options.only in {None, "lm-eval"} and options.lm_eval:
                found = scored_by_lm_eval(options.lm_eval, url, base, work)
                print(
                    f"lm-eval: {found.likelihoods} log-likelihoods differ by at most "
                    f"{found.largest_difference:.2g}, {found.texts_equal} of {QUESTIONS} texts are equal "
                    f"(hf {found.seconds[0]:.0f} s, served {found.seconds[1]:.0f} s)",
                    flush=True,
                )
            if options.only in {None, "gate"}:
                print(f"gate: {gated(url, adapter, work)}", flush=True)


def make_adapter(base: Path, directory: Path) -> Path:
    """A LoRA with small random weights, which changes some answers."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(1)
    config = LoraConfig(r=8, target_modules="all-linear", task_type="CAUSAL_LM")
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(0, 0.02)
    model.save_pretrained(directory)
    path = directory / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "base_model_name_or_path": str(base)}))
    return directory


@contextmanager
def serving(adapter: Path) -> Iterator[str]:
    """A server with the adapter and its base; gives the address."""
    code = "from harness.cli.main import main; main()"
    line = [sys.executable, "-c", code, "serve", "--model", str(adapter), "--port", "0", "--runtime-adapters"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()


def asked_by_client(url: str, adapter: Path) -> str:
    """Answers by the official client, compared with those of the engine."""
    import openai

    from harness.engines.base import CANDIDATE, GenerationRequest
    from harness.engines.open import choose_plan, describe_model, open_sides
    from harness.types import GenerationSettings, Message

    prompts = [f"Name {number} animals." for number in range(2, 10)]
    with openai.OpenAI(base_url=url, api_key="none") as client:
        told = [
            client.chat.completions.create(
                model=adapter.name, messages=[{"role": "user", "content": prompt}], max_tokens=24
            )
            .choices[0]
            .message.content
            for prompt in prompts
        ]
    model = describe_model(str(adapter))
    requests = [
        GenerationRequest(
            key=prompt,
            side=CANDIDATE,
            messages=(Message(role="user", content=prompt),),
            settings=GenerationSettings(max_new_tokens=24),
        )
        for prompt in prompts
    ]
    found: dict[int, object] = {}
    engine = open_sides({CANDIDATE: model}, choose_plan("float32", "cpu", 4096, [model]))
    engine.generate(requests, found.update)
    equal = sum(told[place] == found[place].text for place in found)  # type: ignore[attr-defined] # completions
    return f"{equal} of {len(told)} answers equal the engine's"


@dataclass(frozen=True, slots=True, kw_only=True)
class HarnessScores:
    """What lm-eval finds through the server, beside its own ``hf``.

    Attributes:
        likelihoods: How many log-likelihoods were compared.
        largest_difference: Of two of them, in nats.
        greediness_equal: How many continuations both call the likeliest, or both don't.
        texts_equal: How many written texts are equal.
        seconds: What each took, ``hf`` first.
    """

    likelihoods: int
    largest_difference: float
    greediness_equal: int
    texts_equal: int
    seconds: tuple[float, float]


def scored_by_lm_eval(python: str, url: str, base: Path, work: Path) -> HarnessScores:
    """Likelihoods and texts by lm-eval from the server, compared with its own ``hf``."""
    tasks = work / "tasks"
    tasks.mkdir()
    rows = []
    for number in range(QUESTIONS):
        right = 3 + number % 7 + number
        choices = [f" {right + step}" for step in (0, 1, -1, 10)]
        question = f"Q: What is {3 + number % 7} plus {number}?\nA:"
        rows.append({"question": question, "choices": choices, "gold": 0, "answer": str(right)})
    (tasks / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name, kind in (("sums_choice", CHOICE), ("sums_write", WRITE)):
        text = TASK.format(name=name, data=tasks / "rows.jsonl", kind=kind)
        (tasks / f"{name}.yaml").write_text(text)
    server = (
        f"model={base.name},base_url={url}/completions,tokenizer={base},tokenizer_backend=huggingface,"
        f"num_concurrent=4,max_retries=1"
    )
    here, elapsed_here = _lm_eval(python, tasks, work / "hf", "hf", f"pretrained={base},dtype=float32")
    there, elapsed_there = _lm_eval(python, tasks, work / "served", "local-completions", server)
    pairs = [
        (one, other)
        for first, second in zip(here["sums_choice"], there["sums_choice"], strict=True)
        for one, other in zip(first, second, strict=True)
    ]
    return HarnessScores(
        likelihoods=len(pairs),
        largest_difference=max(abs(float(one[0]) - float(other[0])) for one, other in pairs),
        greediness_equal=sum(one[1] == other[1] for one, other in pairs),
        texts_equal=sum(
            str(one[0]).strip() == str(other[0]).strip()
            for one, other in zip(here["sums_write"], there["sums_write"], strict=True)
        ),
        seconds=(elapsed_here, elapsed_there),
    )


def _lm_eval(
    python: str, tasks: Path, output: Path, model: str, arguments: str
) -> tuple[dict[str, list[list[object]]], float]:
    """The filtered responses of each task's samples, in the order of the questions, and the seconds."""
    line = [
        python,
        "-m",
        "lm_eval",
        "--model",
        model,
        "--model_args",
        arguments,
        "--include_path",
        str(tasks),
    ]
    line += [
        "--tasks",
        "sums_choice,sums_write",
        "--batch_size",
        "8",
        "--log_samples",
        "--output_path",
        str(output),
    ]
    started = time.perf_counter()
    done = subprocess.run(
        line, check=False, capture_output=True, text=True, env={**os.environ, "HF_DATASETS_OFFLINE": "1"}
    )
    if done.returncode:
        raise SystemExit(f"lm-eval {model}: {done.stderr[-2000:]}")
    found = {}
    for name in ("sums_choice", "sums_write"):
        (path,) = output.rglob(f"samples_{name}_*.jsonl")
        samples = sorted(map(json.loads, path.read_text().splitlines()), key=lambda sample: sample["doc_id"])
        found[name] = [sample["filtered_resps"] for sample in samples]
    return found, time.perf_counter() - started


def gated(url: str, adapter: Path, work: Path) -> str:
    """Verdicts and answers of the gate here, by served name, and with the adapter loaded into the server."""
    project = work / "project"
    (project / "golden_sets").mkdir(parents=True)
    (project / "pyproject.toml").write_text("[tool.tunegate]\n")
    (project / "golden_sets" / "sums.yaml").write_text(
        f"name: sums\ngeneration: {{max_new_tokens: 12}}\ncases:\n{CASES}\n"
    )
    ways = {
        "here": [f"--model={adapter}"],
        "openai": [f"--model=openai:{adapter.name}@{url}"],
        "vllm": [f"--model={adapter}", "--gate-engine=vllm", f"--gate-server={url}"],
    }
    found = {}
    for name, arguments in ways.items():
        record = work / f"{name}.json"
        line = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "--gate-no-forgetting",
            *arguments,
        ]
        done = subprocess.run(
            [*line, f"--gate-json={record}"], cwd=project, capture_output=True, text=True, check=False
        )
        if not record.is_file():
            raise SystemExit(done.stdout[-2000:] + done.stderr[-2000:])
        facts = json.loads(record.read_text())
        texts = {each["case"]["id"]: each["completion"]["text"] for each in facts["run"]["results"]}
        verdict = re.sub(r"\W", "", str(facts["verdict"]["outcome"]))
        found[name] = (verdict, texts)
    equal = {
        name: sum(texts[key] == found["here"][1][key] for key in texts) for name, (_, texts) in found.items()
    }
    return ", ".join(
        f"{name} {found[name][0]} ({equal[name]} of {len(found[name][1])} texts equal)" for name in found
    )


if __name__ == "__main__":
    main()
