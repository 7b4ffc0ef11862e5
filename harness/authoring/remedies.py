"""What helps where answers vary, in words: before the first run, and behind a verdict."""

from collections.abc import Sequence

from harness.types.stability import USUAL_RERUNS


def are_usual(reruns: int | None) -> bool:
    """Whether as many reruns are enough as ``tunegate noise`` makes, or nobody knows how many are."""
    return reruns is None or reruns <= USUAL_RERUNS


def noise_command(reruns: int | None) -> str:
    """The command that reruns the baseline, as often as it takes.

    Args:
        reruns: How many are enough; None where nobody knows.
    """
    return "tunegate noise" if are_usual(reruns) else f"tunegate noise -r {reruns}"


def more_cases(cases: int, reruns: int | None) -> str:
    """How many cases are enough.

    Args:
        cases: Their number.
        reruns: Of the noise record that it takes; None without one.
    """
    record = "" if reruns is None else f" with a noise record ({noise_command(reruns)})"
    return f"ask {cases} such cases or more{record}"


def one_of(ways: Sequence[str]) -> str:
    """Ways in a sentence, of which any helps; at least one."""
    return ", or ".join(filter(None, [", ".join(ways[:-1]), ways[-1]]))
