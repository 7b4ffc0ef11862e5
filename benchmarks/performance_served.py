"""The part of ``performance.py`` in which others, and our own gate, ask ``tunegate serve``.

A way asks a server for all conversations of a job by both models; another function gives the texts that it
got, by side and number, so that they can be compared with those of a gate without a server.
"""

import json
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from benchmarks.performance_peers import INSPECT, write_lm_eval_task
from benchmarks.performance_speed import fresh, job_for, make_adapter
from benchmarks.performance_ways import (
    GATE,
    GATED,
    NEW_TOKENS,
    Amount,
    FailedRun,
    Job,
    ResourceUse,
    Step,
    gate,
    gated_texts,
    job_of,
    other_texts,
    run,
    together,
    write_project,
)

# How many questions are under way together.
CONCURRENT = 16
_SIDES = ("candidate", "baseline")
_CHAT, _PLAIN = "local-chat-completions", "local-completions"
# What asks a server at an address: the time it took. Its texts are then read from the job's directory.
_Asks: TypeAlias = Callable[[Job, str], ResourceUse]
_Reads: TypeAlias = Callable[[Job], dict[str, str]]


def served(amount: Amount, rows: Mapping[str, Any]) -> list[Step]:
    """What asks ``tunegate serve``, beside our gate without a server.

    Args:
        amount: How much is measured.
        rows: Not needed.
    """
    del rows
    cases = amount.sizes[0]
    job = job_for(amount, cases, "served")
    known = job.directory / "texts.json"

    def here() -> Iterator[tuple[str, dict[str, float]]]:
        make_adapter(job)
        known.unlink(missing_ok=True)
        taken = fresh(job, "here", lambda each: gate(each, "--gate-no-cache"))
        found = {"texts": gated_texts(_in(job, "here")), "verdict": _verdict(_in(job, "here"))}
        known.write_text(json.dumps(found), encoding="utf-8")
        yield f"{cases} here", taken.figures

    def measured(way: str) -> Iterator[tuple[str, dict[str, float]]]:
        make_adapter(job)
        asks, reads = WAYS[way]
        with serving(job.adapter) as url:
            figures = fresh(job, way, asks, url).figures
        if known.exists():
            wanted = json.loads(known.read_text("utf-8"))
            figures |= equal_texts(reads(_in(job, way)), wanted["texts"])
            if way == "gate":
                figures["same_verdict"] = float(_verdict(_in(job, way)) == wanted["verdict"])
        yield f"{cases} {way}", figures

    asking = [way for way in WAYS if _installed(way, job)]
    found = [Step(rows=[f"{cases} here"], run=here, late=23)]
    return found + [Step(rows=[f"{cases} {way}"], run=partial(measured, way), late=24) for way in asking]


def _in(job: Job, way: str) -> Job:
    """The job in the directory that ``fresh`` gave to a way."""
    return replace(job, directory=job.directory / way.replace(" ", "-"))


def _installed(way: str, job: Job) -> bool:
    needed = {"client": True, "gate": True, "promptfoo": job.promptfoo is not None}
    return needed.get(way, job.peers is not None)


def equal_texts(found: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, float]:
    """How many texts are the wanted ones.

    Args:
        found: Texts by side and number.
        wanted: Those of the gate without a server.

    Raises:
        FailedRun: A text is missing.
    """
    if missing := sorted(set(wanted) - set(found)):
        raise FailedRun(f"{len(missing)} of {len(wanted)} have no answer, {missing[0]} first")
    equal = sum(found[each] == text for each, text in wanted.items())
    return {"equal": equal, "of": len(wanted)}


@contextmanager
def serving(adapter: Path) -> Iterator[str]:
    """A server with the adapter and its base; gives the address."""
    line = [sys.executable, "-m", "tunegate", "serve", "--model", str(adapter), "--port", "0"]
    quiet = subprocess.DEVNULL
    with (
        tempfile.TemporaryDirectory() as name,
        subprocess.Popen(line, stdout=subprocess.PIPE, stderr=quiet, text=True, cwd=name) as process,
    ):
        assert process.stdout is not None
        try:
            said = process.stdout.readline().split()
            if not said:
                raise FailedRun("the server did not start")
            yield said[-1]
        finally:
            process.terminate()


def names(url: str) -> Sequence[str]:
    """What the server calls the adapter and its base."""
    with urllib.request.urlopen(f"{url}/models") as reply:
        rows = json.load(reply)["data"]
    adapter = next(each for each in rows if each.get("parent"))  # encoders are served too
    return [adapter["id"], adapter["parent"]]


_CLIENT = """
import json, sys
from concurrent.futures import ThreadPoolExecutor
import openai
url, models, tokens, concurrent = json.loads(sys.argv[1])
prompts = json.load(open("prompts.json"))
with openai.OpenAI(base_url=url, api_key="none") as client, ThreadPoolExecutor(concurrent) as pool:
    def ask(asked):
        key, model, messages = asked
        given = {"max_tokens": tokens, "temperature": 0}
        reply = client.chat.completions.create(model=model, messages=messages, **given)
        return key, reply.choices[0].message.content
    asked = [(f"{side}/{n}", model, each) for side, model in models.items() for n, each in enumerate(prompts)]
    json.dump(dict(pool.map(ask, asked)), open("answers.json", "w"))
"""


def client(job: Job, url: str) -> ResourceUse:
    """The official client, for both models.

    Args:
        job: The job.
        url: The server's.
    """
    job_of(job, 1, None)
    models = dict(zip(_SIDES, names(url), strict=True))
    asked = json.dumps([url, models, NEW_TOKENS, CONCURRENT])
    return run([sys.executable, "-c", _CLIENT, asked], job.directory)


def own_gate(job: Job, url: str) -> ResourceUse:
    """Our gate, with both models behind the server.

    Args:
        job: The job.
        url: The server's.
    """
    write_project(job)
    candidate, base = names(url)
    line = [sys.executable, *GATE, f"--model=openai:{candidate}@{url}", "--gate-json=record.json"]
    line += [f"--gate-baseline=openai:{base}@{url}", "--gate-no-cache"]
    line += [f"--gate-server-concurrency={CONCURRENT}"]
    return run(line, job.directory, statuses=GATED)


def _verdict(job: Job) -> str:
    facts = json.loads((job.directory / "record.json").read_text(encoding="utf-8"))
    return str(facts["verdict"]["outcome"])


def lm_eval(kind: str, job: Job, url: str) -> ResourceUse:
    """lm-eval, for both models one after the other.

    Args:
        kind: Its model: ``local-chat-completions``, or ``local-completions``, whose template it fills in.
        job: The job.
        url: The server's.
    """
    assert job.peers is not None
    write_lm_eval_task(job)
    taken = []
    for side, model in zip(_SIDES, names(url), strict=True):
        given = f"model={model},num_concurrent={CONCURRENT},max_retries=1,"
        if kind == _CHAT:
            # It stops at this text too: one that no answer holds.
            given += f"base_url={url}/chat/completions,eos_string=<|im_end|>"
        else:
            given += f"base_url={url}/completions,tokenizer={job.base},tokenizer_backend=huggingface"
        line = [job.peers, "-m", "lm_eval", "--model", kind, "--model_args", given, "--log_samples"]
        line += ["--include_path", str(job.directory), "--tasks", "orders", "--apply_chat_template"]
        line += ["--output_path", f"logs-{side}"]
        taken.append(run(line, job.directory, further={"OPENAI_API_KEY": "none"}))
    return together(taken)


def lm_eval_texts(job: Job) -> dict[str, str]:
    """The answers in lm-eval's logs."""
    found = {}
    for side in _SIDES:
        (path,) = (job.directory / f"logs-{side}").rglob("samples_orders_*.jsonl")
        for row in map(json.loads, path.read_text("utf-8").splitlines()):
            found[f"{side}/{row['doc_id']}"] = row["resps"][0][0]
    return found


def inspect(job: Job, url: str) -> ResourceUse:
    """inspect_ai with its provider ``openai-api``, for both models one after the other.

    Args:
        job: The job.
        url: The server's.
    """
    assert job.peers is not None
    job_of(job, 1, None)
    (job.directory / "orders.py").write_text(INSPECT, encoding="utf-8")
    taken = []
    for side, model in zip(_SIDES, names(url), strict=True):
        line = [job.peers, "-m", "inspect_ai", "eval", "orders.py", "--model", f"openai-api/mine/{model}"]
        line += ["--display", "none", "--log-format", "json", "--log-dir", f"logs-{side}"]
        line += ["--max-connections", str(CONCURRENT), "--max-samples", str(CONCURRENT)]
        taken.append(run(line, job.directory, further={"MINE_BASE_URL": url, "MINE_API_KEY": "none"}))
    return together(taken)


def inspect_texts(job: Job) -> dict[str, str]:
    """The answers in inspect_ai's logs, which exits with 0 whatever becomes of its samples.

    Raises:
        FailedRun: A sample has an error.
    """
    found = {}
    for side in _SIDES:
        (path,) = (job.directory / f"logs-{side}").glob("*.json")
        log = json.loads(path.read_text("utf-8"))
        if log["status"] != "success":
            raise FailedRun(f"inspect_ai: {(log.get('error') or {}).get('message', log['status'])}")
        for sample in log["samples"]:
            if sample.get("error"):
                raise FailedRun(f"inspect_ai: {sample['error']['message']}")
            found[f"{side}/{sample['id'] - 1}"] = sample["output"]["completion"]
    return found


def promptfoo(job: Job, url: str) -> ResourceUse:
    """Promptfoo with its provider ``openai:chat``, both models in one run.

    Args:
        job: The job.
        url: The server's.
    """
    assert job.promptfoo is not None
    settings = {"apiBaseUrl": url, "apiKey": "none", "max_tokens": NEW_TOKENS, "temperature": 0}
    config = {
        # Texts are not templates of promptfoo's, whatever braces they hold.
        "prompts": [
            {"raw": f"{{% raw %}}{json.dumps(list(each))}{{% endraw %}}", "label": str(number)}
            for number, each in enumerate(job.prompts)
        ],
        "providers": [
            {"id": f"openai:chat:{model}", "label": side, "config": settings}
            for side, model in zip(_SIDES, names(url), strict=True)
        ],
        "tests": [{"vars": {"set": "orders"}}],  # it refuses one that says nothing
    }
    (job.directory / "promptfooconfig.json").write_text(json.dumps(config), encoding="utf-8")
    line = [job.promptfoo, "eval", "-c", "promptfooconfig.json", "-o", "out.json", "--no-cache", "--no-write"]
    line += ["--no-progress-bar", "--no-table", "--max-concurrency", str(CONCURRENT)]
    quiet = ("DISABLE_TELEMETRY", "DISABLE_UPDATE", "DISABLE_REMOTE_GENERATION")
    further = {f"PROMPTFOO_{name}": "true" for name in quiet}
    return run(line, job.directory, further={**further, "PROMPTFOO_CONFIG_DIR": str(job.directory / "home")})


def promptfoo_texts(job: Job) -> dict[str, str]:
    """The answers in promptfoo's output.

    Raises:
        FailedRun: An answer has an error.
    """
    found = {}
    for row in json.loads((job.directory / "out.json").read_text("utf-8"))["results"]["results"]:
        if row.get("error"):
            raise FailedRun(f"promptfoo: {row['error']}")
        found[f"{row['provider']['label']}/{row['prompt']['label']}"] = row["response"]["output"]
    return found


WAYS: Mapping[str, tuple[_Asks, _Reads]] = {
    "client": (client, other_texts),
    "gate": (own_gate, gated_texts),
    "lm-eval": (partial(lm_eval, _CHAT), lm_eval_texts),
    "lm-eval completions": (partial(lm_eval, _PLAIN), lm_eval_texts),
    "inspect": (inspect, inspect_texts),
    "promptfoo": (promptfoo, promptfoo_texts),
}
