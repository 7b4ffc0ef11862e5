"""A path is shown as a reader on another machine can use it."""

from pathlib import Path

import pytest

from reports.html.names import shown_path


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
