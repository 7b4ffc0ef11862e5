"""A path is shown as a reader on another machine can use it, and a hash as what it is of."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.types import UNKNOWN_WEIGHTS, GateRecord, ModelRef
from reports.html.names import model_detail, shown_path
from reports.html.panels import manifest


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("golden_sets/orders.yaml", "golden_sets/orders.yaml"),
        ("/home/ada/project/golden_sets/orders.yaml", "golden_sets/orders.yaml"),
        ("/home/ada/venv/lib/python3/harness/golden/general/probes.yaml", "…/golden/general/probes.yaml"),
        ("smollm2", "smollm2"),
    ],
)
def test_no_directory_of_the_machine_is_shown(path: str, shown: str) -> None:
    assert shown_path(path, Path("/home/ada/project")) == shown


@pytest.mark.parametrize(
    ("sha256", "engine", "detail", "fact"),
    [
        ("0123456789abcdef", None, "weights sha256 0123456789", ("base sha256", "0123456789abcdef")),
        (f"{UNKNOWN_WEIGHTS}0123", "openai", "weights unknown", ("weights", "unknown")),
        ("0123456789abcdef", "openai", "identity 0123456789", ("identity", "0123456789abcdef")),
    ],
)
def test_only_weights_that_were_read_have_a_hash(
    invented: Callable[..., GateRecord], sha256: str, engine: str | None, detail: str, fact: tuple[str, str]
) -> None:
    """Of a server's model it would be one of its name, its address and the user's word."""
    model = ModelRef(label="m", base_model="m", base_sha256=sha256, engine=engine)
    record = invented()
    (facts,) = (
        {each.name: each.value.text for each in group.facts}
        for group in manifest(replace(record, run=replace(record.run, model=model)))
        if group.title == "Candidate"
    )
    assert model_detail(model) == detail
    assert list(facts.items())[-1] == fact
