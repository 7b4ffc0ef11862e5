"""Names of models, metrics and files for people, and identifiers of weights."""

from collections.abc import Mapping
from pathlib import Path, PurePath

from harness.types import UNKNOWN_WEIGHTS, Finding, GoldenCase, MetricFacts, ModelRef
from reports.html.text import one_line

PASS_RATE = "pass-rate"
_SHA_DIGITS = 10
_PARTS = 3
_DESCRIPTION = 160


def short_label(model: ModelRef) -> str:
    """A model's short name; for an absolute path the last part (the manifest has more)."""
    return _last_part(model.label)


def _last_part(label: str) -> str:
    return one_line(PurePath(label).name if PurePath(label).is_absolute() else label) or one_line(label)


def model_detail(model: ModelRef) -> str:
    """The shortened hashes of a model's weights."""
    if model.is_logged:
        return "known by its name alone"
    if model.adapter_sha256 is None:
        return " ".join(base_identity(model, "weights", _SHA_DIGITS))
    return f"adapter sha256 {model.adapter_sha256[:_SHA_DIGITS]} on {_last_part(model.base_model)}"


def base_identity(model: ModelRef, what: str, digits: int | None = None) -> tuple[str, str]:
    """What identifies a base's weights: a hash of them only where files were read.

    Args:
        model: The model.
        what: What its base is, in the name.
        digits: The most characters of a hash; None for all of it.

    Returns:
        The name and the value.
    """
    if model.base_sha256.startswith(UNKNOWN_WEIGHTS):
        return "weights", "unknown"
    # Of a server's model it is what that lists, or what the user vouches for.
    name = f"{what} sha256" if model.engine is None else "identity"
    return name, model.base_sha256[:digits]


def metric_name(metric: str, facts: Mapping[str, MetricFacts]) -> str:
    """A metric's name; one that is compared by its logarithm, such as perplexity, is shown as that.

    Args:
        metric: Its name in the run.
        facts: The facts about its metrics in the run.
    """
    if metric == PASS_RATE:
        return "pass rate"
    return f"log {metric}" if metric in facts and facts[metric].logarithmic else metric


def metric_title(finding: Finding, facts: Mapping[str, MetricFacts]) -> str:
    """The set's name, and the metric's name unless it is the pass rate.

    Args:
        finding: About one metric.
        facts: The facts about its metrics in the run.
    """
    return _title(finding.set_name or "", finding, facts)


def quoted_title(finding: Finding, facts: Mapping[str, MetricFacts]) -> str:
    """The title for a sentence, with the set's name in quotes: a set may be called ``general``.

    Args:
        finding: About one metric.
        facts: The facts about its metrics in the run.
    """
    return _title(quoted(finding.set_name or ""), finding, facts)


def quoted(name: str) -> str:
    """A name in quotes, which set it apart from the words of a sentence."""
    return f"“{name}”"


def _title(name: str, finding: Finding, facts: Mapping[str, MetricFacts]) -> str:
    if finding.metric is None or finding.metric == PASS_RATE:
        return name
    return f"{name} {metric_name(finding.metric, facts)}"


def description_of(case: GoldenCase) -> str:
    """What the case's author wrote about it; may be empty."""
    found = case.description or case.metadata.get("description")
    return one_line(found, _DESCRIPTION) if isinstance(found, str) else ""


def shown_path(path: str, project: Path | None) -> str:
    """A path as a reader elsewhere can use it: relative to the project, or else its last parts.

    Args:
        path: The path in the record.
        project: The project's root, if it is known.

    Returns:
        For example ``golden_sets/orders.yaml`` or ``…/packages/probes.yaml``; no directory of the machine.
    """
    pure = PurePath(path)
    if not pure.is_absolute():
        return path
    if project is not None and pure.is_relative_to(project):
        return str(pure.relative_to(project))
    parts = pure.parts[1:]
    return str(PurePath(*parts)) if not parts else "…/" + "/".join(parts[-_PARTS:])
