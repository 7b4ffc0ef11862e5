"""How a model's answers to one case vary without any change."""

from dataclasses import dataclass

# Reruns of ``tunegate noise``, unless another number is given.
USUAL_RERUNS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Stability:
    """A model's answers to one case, resampled without any change.

    Attributes:
        passed: Answers that passed.
        answers: All answers that passed or failed.
    """

    passed: int
    answers: int
