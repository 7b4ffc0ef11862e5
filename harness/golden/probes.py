"""Where the bundled forgetting probes are, and the levels from which others are chosen."""

from pathlib import Path


def probe_directory() -> Path:
    """The directory of the ``general`` golden sets: inside the installed package, or in a checkout."""
    packaged = Path(__file__).with_name("general")
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "golden_sets" / "general"


def level_directory() -> Path:
    """The directory of the three levels, from which a base's own probes are chosen; no gate asks them."""
    return Path(__file__).with_name("levels")
