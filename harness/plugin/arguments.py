"""What pytest collects where the command line names no path: the golden sets."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.golden.probes import probe_directory


def collect_golden_sets(
    config: pytest.Config, golden: Sequence[Path], more: Sequence[Path], *, forgetting: bool
) -> bool:
    """Set the paths to collect, unless the command line names its own.

    Args:
        config: The session's configuration.
        golden: Where golden sets are.
        more: Paths of the project's own tests, to be collected beside them.
        forgetting: Whether forgetting is measured.

    Returns:
        Whether the bundled probes have to be added to what pytest collects.

    Raises:
        pytest.UsageError: There is no golden set.
    """
    if config.args_source is pytest.Config.ArgsSource.ARGS:
        return False
    chosen = [path for path in golden if path.exists()]
    if not chosen:
        raise pytest.UsageError(
            f"no golden set: none of {', '.join(map(str, golden))} exists; "
            f"write one with: tunegate golden new golden_sets/mine.yaml"
        )
    config.args = [*map(str, chosen), *map(str, more)]
    # A project that keeps general probes of its own, or this checkout, is not asked the bundled ones too.
    probes = probe_directory()
    return forgetting and not any((path / "general").is_dir() or path == probes for path in chosen)
