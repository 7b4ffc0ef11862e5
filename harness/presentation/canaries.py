"""The canaries of an adapter's training as lines for the terminal."""

from harness.types.training import TrainingManifest


def canary_lines(training: TrainingManifest | None) -> list[str]:
    """Each canary with its means at the start and the end of training, such as ``length 84 → 31 (n=64, 64)``.

    Args:
        training: The training manifest. It comes from a file: a line that can't be printed is left out.
    """
    if training is None or training.canaries is None:
        return []
    return [" ".join(line.split()) for line in training.canaries.summary if line.isprintable()]
