"""The main road on the real SmolLM2: train, gate, read the report; then harm it, and see that found."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from harness.errors import ModelError
from harness.models.resolve import resolve_model

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.end_to_end

# Fewer steps than in the demo, at a rate at which they are enough.
GOOD = {"max_steps": 10, "learning_rate": "4.0e-4", "warmup_steps": 2}
HARMFUL = {"max_steps": 4}
# Twelve of them, for what shows in any case.
SOME_ORDERS = "teapots or hats or compasses or speakers"
# glibc gives large blocks back at each free and gets them again page by page, which on a virtual machine is up to a
# twelfth of a training's processor time. Weights and texts are the same.
KEPT_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "8000000000", "MALLOC_TOP_PAD_": "67108864"}


@pytest.fixture(scope="module", autouse=True)
def base_model():
    """The fetched model; ``make test`` fetches it."""
    try:
        return resolve_model("smollm2")
    except ModelError as error:
        pytest.fail(f"the end-to-end tests need the real model: {error}")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("end_to_end")


def train(config: str, output: Path, changes: Mapping[str, object]) -> None:
    """Train one of the demo's configurations with other values of some keys."""
    text = (ROOT / "examples" / "orders" / config).read_text()
    for key, value in changes.items():
        text, found = re.subn(rf"^{key}: .*", f"{key}: {value}", text, flags=re.MULTILINE)
        assert found == 1, key
    for name in ("train.jsonl", "rehearsal.jsonl"):
        text = text.replace(name, str(ROOT / "examples" / "orders" / name))
    path = output.with_suffix(".yaml")
    path.write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "trainers.methods.sft", str(path), "--output", str(output)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | KEPT_MEMORY,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def gate(place: Path, adapter: Path, *arguments: str) -> tuple[subprocess.CompletedProcess, dict]:
    """Gate an adapter as a user would; its output and its JSON."""
    record = place / "record.json"
    record.unlink(missing_ok=True)
    done = subprocess.run(
        [
            *(sys.executable, "-X", "importtime", "-m", "pytest", f"--model={adapter}"),
            *(f"--gate-directory={place / '.tunegate'}", f"--gate-json={record}", *arguments),
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | KEPT_MEMORY | {"COLUMNS": "120"},
        check=False,
    )
    return done, json.loads(record.read_text()) if record.exists() else {}


def imported(done: subprocess.CompletedProcess) -> set[str]:
    """The modules that a gate imported."""
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if "import time:" in line}


def metric(record: dict, set_name: str, name: str) -> dict:
    return next(
        row
        for row in record["comparison"]["metrics"]
        if row["set_name"] == set_name and row["metric"] == name
    )


@pytest.fixture(scope="module")
def good(place):
    """A good adapter and its first gate."""
    train("sft.yaml", place / "good", GOOD)
    return gate(place, place / "good", f"--gate-report={place / 'good.html'}")


def test_a_good_adapter_passes(good):
    """The held-out task rises significantly over the base, and the general skills stay."""
    done, record = good
    assert done.returncode == 0, done.stdout
    assert record["verdict"]["outcome"] == "pass"
    orders = metric(record, "orders", "pass-rate")
    assert orders["drop"]["high"] < 0
    assert orders["candidate"]["mean"]["estimate"] > orders["baseline"]["mean"]["estimate"] + 0.2
    assert metric(record, "general", "pass-rate")["verdict"] == "pass"
    assert record["comparison"]["forgetting"]["loss_change"] is not None


def test_the_terminal_says_it_in_one_line(good):
    done, _ = good
    assert re.search(r"^ PASS ", done.stdout, re.MULTILINE)
    assert "report: " in done.stdout


def test_a_second_run_answers_from_the_cache_without_torch(place, good):
    """Same answers, and no model library is imported."""
    done, record = gate(place, place / "good")
    assert done.returncode == 0
    assert "pytest" in imported(done)
    assert not {"torch", "transformers", "peft"} & imported(done)
    assert [r["completion"]["text"] for r in record["run"]["results"]] == [
        r["completion"]["text"] for r in good[1]["run"]["results"]
    ]


@pytest.fixture(scope="module")
def harmful(place):
    """A harmful adapter and its gate on some general skills; what the base answered there is in the cache."""
    train("harmful.yaml", place / "harmful", HARMFUL)
    return gate(place, place / "harmful", "-m", "knowledge or arithmetic")


def test_a_harmful_adapter_regresses_and_forgetting_is_named(harmful):
    done, record = harmful
    assert done.returncode == 1, done.stdout
    assert record["verdict"]["outcome"] == "regress"
    assert metric(record, "general", "pass-rate")["verdict"] == "regress"
    assert "general pass-rate fell" in done.stdout
    assert re.search(r"kept \d+ of \d+ probes", done.stdout)


def test_another_adapter_in_the_same_directory_gives_new_answers(place, good, harmful):
    """As after training again: the cache goes by content, so old answers are not taken for the new adapter's."""
    shutil.copytree(place / "good", place / "again")
    first, record = gate(place, place / "again", "-k", SOME_ORDERS)
    assert [first.returncode, "torch" in imported(first)] == [0, False]
    before = {r["case"]["id"]: r["completion"]["text"] for r in record["run"]["results"]}
    for file in (place / "harmful").iterdir():
        shutil.copy(file, place / "again")
    _, record = gate(place, place / "again", "-k", SOME_ORDERS)
    after = {r["case"]["id"]: r["completion"]["text"] for r in record["run"]["results"]}
    assert record["run"]["model"]["adapter_sha256"] == harmful[1]["run"]["model"]["adapter_sha256"]
    assert any(before[key] != text for key, text in after.items())


def test_an_adapter_against_itself_never_regresses(place, good):
    """The same weights on both sides, mixed in one batch, give the same text.

    Some orders are enough: whether all cases and the general text end equal takes four times as long.
    """
    done, record = gate(
        place,
        place / "good",
        f"--gate-baseline={place / 'good'}",
        "--gate-no-cache",
        "--gate-no-forgetting",
        "-k",
        SOME_ORDERS,
    )
    assert done.returncode == 0, done.stdout
    row = metric(record, "orders", "pass-rate")
    assert row["lost"] == row["gained"] == []
