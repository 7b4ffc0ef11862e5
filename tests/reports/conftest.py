"""The invented gate, the browser that opens its report, and what somebody else's text may do to it."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from harness.types import (
    Completion,
    Finding,
    GateRecord,
    Message,
    MetricError,
    NoteFinding,
    Outcome,
    Score,
)
from harness.types.training import TrainingManifest
from tests.reports.invented_gates import make_record


@pytest.fixture(scope="session")
def invented() -> Callable[..., GateRecord]:
    """The function that makes a record."""
    return make_record


# Closed after each file: while Playwright runs its event loop runs, and no other test of the process can run one.
@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium, the system's own or Playwright's; without one the test is skipped.

    With TUNEGATE_REQUIRE_BROWSER=1 a missing browser is a failure.
    """
    if os.environ.get("TUNEGATE_REQUIRE_BROWSER") == "1":
        from playwright import sync_api
    else:
        sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    # Chromium refuses its sandbox to root, which containers run as.
    arguments = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with sync_api.sync_playwright() as playwright:
        try:
            started = playwright.chromium.launch(executable_path=found, args=arguments)
        except sync_api.Error as error:
            problem = f"no Chromium could be started: {str(error).strip().splitlines()[0]}"
            if os.environ.get("TUNEGATE_REQUIRE_BROWSER") == "1":
                pytest.fail(problem)
            pytest.skip(f"{problem} (install one, or: playwright install chromium)")
        yield started
        started.close()


def spoil(record: GateRecord, text: str) -> GateRecord:
    """Put a text wherever somebody else's text can stand, on both sides of the gate."""
    run = record.run

    def spoiled(results: tuple, answer: str) -> tuple:
        first, second, *rest = results
        case = replace(
            first.case,
            id=text,
            messages=(Message(role="system", content=text), Message(role="user", content=text)),
            references=(text,),
            retrieved_context=(text,),
            tags=(text,),
            cluster=text,
            xfail=text,
        )
        done = Completion(
            text=answer, stop_reason="stop", prompt_tokens=1, completion_tokens=1, latency_s=0.1
        )
        scores = (Score(metric="equals", value=0.0, passed=False, explanation=text),)
        errors = (MetricError(metric=text, error=text, traceback=text),)
        return (
            replace(first, case=case, completion=done, scores=scores),
            replace(second, errors=errors, outcome=Outcome.ERRORED),
            *rest,
        )

    assert record.baseline is not None
    assert record.verdict is not None
    spoiled_training = TrainingManifest(method=text, damaged={"losses": text, text: {text: [text]}})
    model = replace(run.model, label=text, base_model=text, training=spoiled_training)
    environment = replace(run.environment, packages={text: text}, platform=text, commit=text)
    sets = tuple(replace(golden_set, path=text, content_sha256=text) for golden_set in run.golden_sets)
    return replace(
        record,
        run=replace(
            *(run,),
            id=text,
            started_at=text,
            model=model,
            environment=environment,
            golden_sets=sets,
            results=spoiled(run.results, text),
        ),
        baseline=replace(
            record.baseline, model=model, results=spoiled(record.baseline.results, f"{text} and more")
        ),
        verdict=replace(record.verdict, findings=(Finding(data=NoteFinding(text=text)),)),
    )


@pytest.fixture(name="spoiled", scope="session")
def spoil_fixture() -> Callable[[GateRecord, str], GateRecord]:
    """The function that puts a text wherever somebody else's text can stand."""
    return spoil
