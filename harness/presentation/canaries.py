"""What an adapter's training noted of reward hacking, as lines for a person."""

from collections.abc import Mapping

from harness.types import JsonValue


def canary_lines(training: Mapping[str, JsonValue]) -> list[str]:
    """Each canary with its means at the start and the end of training, such as ``length 84 → 31 (n=64, 64)``.

    Args:
        training: The training manifest, as it was found on disk: what isn't as it should be is left out.
    """
    canaries = training.get("canaries")
    summary = canaries.get("summary") if isinstance(canaries, Mapping) else None
    if not isinstance(summary, list):
        return []
    return [" ".join(line.split()) for line in summary if isinstance(line, str) and line.isprintable()]
