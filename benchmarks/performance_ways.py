"""The ways in which the same cases are answered, each in processes of its own, and what they take.

Used by ``performance.py``. A way is a function of a :class:`Job`; answers are read from its directory, so
that texts can be compared.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

NEW_TOKENS = 32
# A way that takes longer is ended: all that is known is that it takes more.
MOST_S = 1800.0
SYSTEM = (
    "You read orders of a shop for kitchenware and write them as JSON with the keys name, city, item and "
    "quantity, in this order, without any other text. Quantities are whole numbers. Write each name as the "
    'customer does. Examples: \'Bob from Paris ordered 4 kettles.\' is {"name": "Bob", "city": "Paris", '
    '"item": "kettle", "quantity": 4}; \'Ann in Rome wants a pan.\' is {"name": "Ann", "city": "Rome", '
    '"item": "pan", "quantity": 1}.'
)
_NAMES = ("Ada", "Bruno", "Chloe", "Dario", "Elif", "Femi", "Greta", "Hugo", "Ines", "Jonas", "Kira", "Luca")
_CITIES = ("Oslo", "Lima", "Cairo", "Delhi", "Quito", "Seoul", "Turin", "Accra", "Perth", "Minsk", "Basel")
_ITEMS = ("kettle", "pan", "spoon", "teapot", "bowl", "whisk", "ladle")
BARE = """
import json, sys, time
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer
base, adapter, prompts, answers, batch, threads, sides = json.loads(sys.argv[1])
if threads:
    torch.set_num_threads(threads)
prompts = json.load(open(prompts))
tokenizer = AutoTokenizer.from_pretrained(base, padding_side="left")
tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
texts = [tokenizer.apply_chat_template(p, tokenize=False, add_generation_prompt=True) for p in prompts]
pad = tokenizer.pad_token_id
order = sorted(range(len(texts)), key=lambda n: -len(texts[n]))
found = {}
for side in sides:
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).eval()
    if side == "candidate":
        model = PeftModel.from_pretrained(model, adapter).eval()
    for start in range(0, len(order), batch):
        rows = order[start : start + batch]
        ids = tokenizer([texts[n] for n in rows], return_tensors="pt", padding=True, add_special_tokens=False)
        with torch.inference_mode():
            out = model.generate(**ids, max_new_tokens=NEW_TOKENS, do_sample=False, pad_token_id=pad)
        for n, row in zip(rows, out):
            found[f"{side}/{n}"] = tokenizer.decode(row[ids["input_ids"].shape[1]:], skip_special_tokens=True)
json.dump(found, open(answers, "w"))
""".replace("NEW_TOKENS", str(NEW_TOKENS))
ONE_CALL = """
import json, pytest, torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer
base, adapter, prompts, answers, *_ = json.load(open("job.json"))
PROMPTS, FOUND = json.load(open(prompts)), {}
@pytest.fixture(scope="session", params=["candidate", "baseline"])
def model(request):
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).eval()
    if request.param == "candidate":
        model = PeftModel.from_pretrained(model, adapter).eval()
    yield request.param, model
    json.dump(FOUND, open(answers, "w"))
@pytest.fixture(scope="session")
def tokenizer():
    return AutoTokenizer.from_pretrained(base)
@pytest.mark.parametrize("n", range(len(PROMPTS)))
def test_case(model, tokenizer, n):
    side, loaded = model
    wanted = {"add_generation_prompt": True, "return_tensors": "pt", "return_dict": True}
    ids = tokenizer.apply_chat_template(PROMPTS[n], **wanted)
    with torch.inference_mode():
        out = loaded.generate(**ids, max_new_tokens=NEW_TOKENS, do_sample=False)
    FOUND[f"{side}/{n}"] = tokenizer.decode(out[0, ids["input_ids"].shape[1]:], skip_special_tokens=True)
""".replace("NEW_TOKENS", str(NEW_TOKENS))


KINDS = ("distinct", "shared")


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """How much is measured.

    Attributes:
        quick: Only what fits into a few minutes.
        sizes: Numbers of cases that a model answers.
        scale: Numbers of cases with made-up answers.
        base: The base model.
        kinds: Of the prompts in the part ``speed``.
        ways: Those of the part ``speed`` that are measured; empty for all.
        peers: An interpreter with lm-eval and inspect_ai; None without them.
        promptfoo: Its executable; None without it.
        work: A directory for what is kept between steps.
    """

    quick: bool
    sizes: Sequence[int]
    scale: Sequence[int]
    base: str
    kinds: Sequence[str]
    ways: Sequence[str]
    peers: str | None
    promptfoo: str | None
    work: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Rows that are measured one after the other.

    Attributes:
        rows: Their names.
        run: Measures each of them once, and gives its figures as soon as it has them.
        late: Whether other steps go first where time is short: the larger, the later.
        once: Whether it is measured in the first repetition alone.
    """

    rows: Sequence[str]
    run: Callable[[], Iterator[tuple[str, dict[str, float]]]]
    late: int = 0
    once: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Cases for a base and an adapter of it.

    Attributes:
        directory: An empty one for this job alone.
        peers: An interpreter with lm-eval and inspect_ai; None without them.
        promptfoo: Its executable; None without it.
    """

    base: Path
    adapter: Path
    prompts: Sequence[Sequence[Mapping[str, str]]]
    directory: Path
    peers: str | None = None
    promptfoo: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceUse:
    """What a process and those that it started took.

    Attributes:
        peak_mb: The largest resident memory of one of them.
    """

    wall_s: float
    cpu_s: float
    peak_mb: float = 0.0

    @property
    def figures(self) -> dict[str, float]:
        """By name."""
        return {"wall_s": self.wall_s, "cpu_s": self.cpu_s, "peak_mb": self.peak_mb}


def prompts_of(cases: int, *, shared: bool) -> list[list[dict[str, str]]]:
    """Conversations of a benchmark: all different, or with the same system prompt before them.

    Args:
        cases: How many.
        shared: Whether they begin with the same system prompt.
    """
    found = []
    for n in range(cases):
        name, city, item = _NAMES[n % 12], _CITIES[n * 7 % 11], _ITEMS[n * 5 % 7]
        text = f"{name} from {city} ordered {2 + n} of the {item}s, please."
        if shared:
            found.append([{"role": "system", "content": SYSTEM}, {"role": "user", "content": text}])
        else:
            detail = (
                f" It is order {n * 37 % 991} of {city}'s branch, and {name} asks for the {item} with a lid."
            )
            found.append(
                [{"role": "user", "content": f"{name}, {n}: {text}{detail * (1 + n % 2)} Write it as JSON."}]
            )
    return found


class FailedRun(Exception):  # noqa: N818 # it says what it is
    """A command failed or took too long; the message is what it printed last."""


class UnfinishedRun(FailedRun):
    """A command that was ended when its time was over.

    Attributes:
        wall_s: The seconds until then: the whole takes more.
    """

    def __init__(self, wall_s: float) -> None:
        """Note how long it ran."""
        super().__init__(f"not finished after {wall_s:.0f} seconds, when it was ended")
        self.wall_s = wall_s


# Waits for all processes of a command, also those that outlive the one that started them: what nobody
# waits for is counted nowhere.
_WATCH = """
import ctypes, os, subprocess, sys
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
status = subprocess.call(sys.argv[1:])
try:
    while True:
        os.wait()
except ChildProcessError:
    os._exit(status if status >= 0 else 128 - status)
"""


def run(
    command: Sequence[str],
    directory: Path,
    threads: int | None = None,
    statuses: frozenset[int] = frozenset({0}),
    further: Mapping[str, str] | None = None,
    most_s: float = MOST_S,
) -> ResourceUse:
    """Run a command and measure it.

    Args:
        command: Its words.
        directory: Where it runs; what it prints is kept there.
        threads: OMP_NUM_THREADS; None leaves it out.
        statuses: Exit statuses of a run that did its work.
        further: More of the environment.
        most_s: After so many seconds it is ended.

    Raises:
        FailedRun: It failed.
        UnfinishedRun: It took longer than ``most_s``.
    """
    environment = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    environment |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "HF_DATASETS_OFFLINE": "1"}
    environment |= further or {}
    if threads is not None:
        environment["OMP_NUM_THREADS"] = str(threads)
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    with (directory / "said.txt").open("wb") as said:
        line = [sys.executable, "-ISc", _WATCH, *command]
        process = subprocess.Popen(
            line, cwd=directory, env=environment, stdout=said, stderr=said, start_new_session=True
        )
        end = threading.Timer(most_s, os.killpg, (process.pid, signal.SIGKILL))
        end.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        finally:
            end.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    wall_s, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    taken = ResourceUse(wall_s=wall_s, cpu_s=cpu_s, peak_mb=usage.ru_maxrss / 1024)
    if wall_s >= most_s:
        raise UnfinishedRun(wall_s)
    if process.returncode not in statuses:
        lines = (directory / "said.txt").read_text("utf-8", "replace").strip().splitlines() or [""]
        # Some programs print their version, or a count, after the reason.
        reason = next((line for line in reversed(lines) if "rror" in line), lines[-1])
        raise FailedRun(f"exit status {process.returncode}: {reason.strip()[-300:]}")
    return taken


# Passed, or regressed and failed cases.
GATED = frozenset({0, 1})
GATE = (
    *("-m", "pytest", "-q", "-p", "no:cacheprovider", "--disable-plugin-autoload"),
    *("-p", "tunegate.pytest_plugin", "--gate-no-forgetting"),
)


def write_project(job: Job, wanted: str = "{") -> None:
    """A project with one golden set of the job's conversations.

    Args:
        job: The job.
        wanted: What every answer should contain.
    """
    rows = [{"id": f"c{n}", "messages": list(each)} for n, each in enumerate(job.prompts)]
    golden = {
        "name": "orders",
        "generation": {"max_new_tokens": NEW_TOKENS},
        "defaults": {"checks": [{"type": "contains", "value": wanted}]},
        "cases": rows,
    }
    (job.directory / "golden_sets").mkdir(parents=True, exist_ok=True)
    (job.directory / "golden_sets" / "orders.yaml").write_text(json.dumps(golden), encoding="utf-8")
    (job.directory / "pyproject.toml").write_text(
        "[tool.pytest.ini_options]\n[tool.tunegate]\n", encoding="utf-8"
    )


def gate(job: Job, *options: str, threads: int | None = None, model: Path | None = None) -> ResourceUse:
    """Our gate on base and candidate, or with ``model`` on that alone.

    Args:
        job: The job, whose project may have answers from before.
        options: Further options of pytest.
        threads: OMP_NUM_THREADS; None leaves it out.
        model: Another model than the adapter.
    """
    if not (job.directory / "golden_sets").exists():
        write_project(job)
    record = job.directory / "record.json"
    line = [sys.executable, *GATE, f"--model={model or job.adapter}", f"--gate-json={record}", *options]
    return run(line, job.directory, threads, GATED)


def gated_texts(job: Job) -> dict[str, str]:
    """The answers of the latest gate by side and case, as the other ways name them."""
    facts = json.loads((job.directory / "record.json").read_text(encoding="utf-8"))
    return {
        f"{side}/{each['case']['id'][1:]}": each["completion"]["text"]
        for side, key in (("candidate", "run"), ("baseline", "baseline"))
        for each in (facts.get(key) or {}).get("results", ())
    }


def job_of(job: Job, batch: int, threads: int | None) -> list[object]:
    """Write a job's prompts, and give what a script reads.

    Args:
        job: The job.
        batch: Rows of a batch.
        threads: torch's threads.
    """
    (job.directory / "prompts.json").write_text(json.dumps(list(map(list, job.prompts))), encoding="utf-8")
    paths = [str(job.base), str(job.adapter), str(job.directory / "prompts.json")]
    return [*paths, str(job.directory / "answers.json"), batch, threads, ["candidate", "baseline"]]


def bare_loop(job: Job, batch: int, threads: int | None, most_s: float = MOST_S) -> ResourceUse:
    """A script's loop over ``generate``, sorted by length, for both models one after the other.

    Args:
        job: The job.
        batch: Rows of a batch.
        threads: torch's threads.
        most_s: After so many seconds it is ended.
    """
    line = [sys.executable, "-c", BARE, json.dumps(job_of(job, batch, threads))]
    return run(line, job.directory, most_s=most_s)


def one_call(job: Job) -> ResourceUse:
    """A test for each case, with one call of ``generate``."""
    (job.directory / "job.json").write_text(json.dumps(job_of(job, 1, None)), encoding="utf-8")
    (job.directory / "test_cases.py").write_text(ONE_CALL, encoding="utf-8")
    plain = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--disable-plugin-autoload", "test_cases.py"]
    return run([sys.executable, *plain], job.directory)


def other_texts(job: Job) -> dict[str, str]:
    """The answers that a script of ours has written."""
    found: dict[str, str] = json.loads((job.directory / "answers.json").read_text(encoding="utf-8"))
    return found


def together(taken: Sequence[ResourceUse]) -> ResourceUse:
    """Several processes, one after the other."""
    return ResourceUse(
        wall_s=sum(each.wall_s for each in taken),
        cpu_s=sum(each.cpu_s for each in taken),
        peak_mb=max(each.peak_mb for each in taken),
    )
