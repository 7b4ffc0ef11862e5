"""lm-eval and inspect_ai with a model of their own, on the same cases."""

import json

from benchmarks.performance_ways import NEW_TOKENS, FailedRun, Job, ResourceUse, job_of, run, together

LM_EVAL = """\
task: orders
dataset_path: json
dataset_kwargs: {{data_files: {{test: {rows}}}}}
test_split: test
output_type: generate_until
doc_to_text: "{{{{question}}}}"
doc_to_target: "{{{{answer}}}}"
description: {system}
generation_kwargs: {{until: ["<|im_end|>"], max_gen_toks: {tokens}, do_sample: false, temperature: 0.0}}
metric_list: [{{metric: exact_match}}]
"""
INSPECT = """
import json
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.model import ChatMessageSystem, ChatMessageUser, GenerateConfig
from inspect_ai.scorer import includes
from inspect_ai.solver import generate
KINDS = {"system": ChatMessageSystem, "user": ChatMessageUser}
@task
def orders():
    rows = json.load(open("prompts.json"))
    turns = [[KINDS[turn["role"]](content=turn["content"]) for turn in row] for row in rows]
    samples = [Sample(input=each, target="{") for each in turns]
    settings = GenerateConfig(max_tokens=NEW_TOKENS)
    return Task(dataset=samples, solver=generate(), scorer=includes(), config=settings)
""".replace("NEW_TOKENS", str(NEW_TOKENS))


def lm_eval(job: Job) -> ResourceUse:
    """EleutherAI's lm-eval with its ``hf`` model, for both models one after the other."""
    assert job.peers is not None
    write_lm_eval_task(job)
    taken = []
    for adapter in (f",peft={job.adapter}", ""):
        model = f"pretrained={job.base},dtype=float32{adapter}"
        line = [job.peers, "-m", "lm_eval", "--model", "hf", "--model_args", model, "--batch_size", "16"]
        line += ["--include_path", str(job.directory), "--tasks", "orders", "--apply_chat_template"]
        taken.append(run(line, job.directory))
    return together(taken)


def write_lm_eval_task(job: Job) -> None:
    """The job's conversations as a task of lm-eval, called ``orders``."""
    system = job.prompts[0][0]["content"] if job.prompts[0][0]["role"] == "system" else ""
    rows = [{"question": each[-1]["content"], "answer": "{"} for each in job.prompts]
    path = job.directory / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    task = LM_EVAL.format(rows=path, tokens=NEW_TOKENS, system=json.dumps(system))
    (job.directory / "orders.yaml").write_text(task, encoding="utf-8")


def inspect(job: Job) -> ResourceUse:
    """inspect_ai with its ``hf`` provider, for both models one after the other."""
    assert job.peers is not None
    job_of(job, 1, None)
    (job.directory / "orders.py").write_text(INSPECT, encoding="utf-8")
    taken = []
    for model in (job.adapter, job.base):
        line = [
            job.peers,
            "-m",
            "inspect_ai",
            "eval",
            "orders.py",
            "--model",
            "hf/local",
            "--display",
            "none",
        ]
        line += ["-M", f"model_path={model}", "-M", f"tokenizer_path={job.base}", "-M", "dtype=float32"]
        line += ["-M", "do_sample=false", "-M", "batch_size=16", "--max-connections", "16"]
        taken.append(run([*line, "--log-format", "json"], job.directory))
    _check_inspect(job)
    return together(taken)


def _check_inspect(job: Job) -> None:
    """inspect_ai exits with 0 whatever becomes of its samples: its logs tell."""
    logs = [json.loads(path.read_text("utf-8")) for path in (job.directory / "logs").glob("*.json")]
    for log in logs:
        answered = [each for each in log.get("samples", ()) if each["output"]["completion"]]
        if log["status"] != "success" or len(answered) < len(job.prompts):
            raise FailedRun(f"inspect_ai: {log['status']}, {len(answered)} of {len(job.prompts)} answered")
    if len(logs) != 2:
        raise FailedRun(f"inspect_ai wrote {len(logs)} logs for two models")
