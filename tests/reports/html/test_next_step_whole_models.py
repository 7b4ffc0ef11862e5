"""What to do with a whole model that was compared with nothing."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from harness.types import GateRecord, Outcome
from reports.html.next_step import next_step

Invented = Callable[..., GateRecord]


def whole(record: GateRecord, **changes: Any) -> GateRecord:
    """The record of a whole model."""
    model = replace(record.run.model, **{"adapter_dir": None, "adapter_sha256": None, **changes})
    return replace(record, run=replace(record.run, model=model))


def test_a_whole_model_that_can_not_be_accepted_is_mended_first(invented: Invented) -> None:
    """Accepting it ended with exit 4, or accepted what a must-pass case had failed."""
    broken = next_step(whole(invented(compared=False, errored=20)))
    assert broken.title == "Fix what is missing, then gate again."
    record = invented(compared=False, lost=1)
    failed = next(each for each in record.run.results if each.outcome is Outcome.FAILED)
    results = tuple(
        replace(each, case=replace(each.case, must_pass=True)) if each is failed else each
        for each in record.run.results
    )
    step = next_step(whole(replace(record, run=replace(record.run, results=results))))
    assert step.title == "Reject it."
    assert step.text.startswith("A must-pass case failed")


def test_a_whole_model_whose_base_is_known_is_gated_against_it(invented: Invented) -> None:
    record = invented(compared=False)
    assert record.run.model.training is not None
    trained = record.run.model.training.model_copy(update={"base": "hub/base"})
    step = next_step(whole(record, training=trained))
    assert step.title == "Gate it against a baseline."
