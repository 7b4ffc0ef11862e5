"""The judge's key: from the environment to the request, and nowhere else."""

from collections.abc import Mapping

from harness.judge.spec import KEY_VARIABLES


def find_key(environment: Mapping[str, str]) -> str | None:
    """The key that the environment holds; None for a server that asks for none."""
    return next((environment[name] for name in KEY_VARIABLES if environment.get(name)), None)


def without_key(text: str, key: str | None) -> str:
    """The text with the key blotted out: servers repeat it in their complaints."""
    if not key:
        return text
    return text.replace(key, "***")
