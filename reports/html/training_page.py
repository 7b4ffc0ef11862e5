"""The page of a training: charts of everything that was logged, samples, canaries, settings. No script."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from harness.presentation.terminal import canary_lines
from reports.html import figures
from reports.html.case_view import excerpt
from reports.html.charts import is_drawn
from reports.html.line_charts import LineChart, line_chart
from reports.html.panels import manifest_facts
from reports.html.render import page_environment, page_policy, page_style
from reports.html.view import Fact
from reports.training_directory import TrainingFiles

_MOST_STEPS, _MOST_PROMPTS, _LONGEST = 6, 4, 1200
_BOOKKEEPING = {"step", "time_s", "epoch", "num_tokens", "num_input_tokens_seen", "total_flos"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Panel:
    """What one chart shows.

    Attributes:
        series: Keys of the log, by the line's name.
    """

    title: str
    series: Mapping[str, str]
    unit: str = ""


_PANELS = (
    _Panel(title="Loss", series={"training": "loss", "held out": "eval_loss"}),
    _Panel(title="Golden cases passed", series={"passed": "eval_golden_passed"}, unit="share"),
    _Panel(title="Reward", series={"mean": "reward", "spread": "reward_std"}),
    _Panel(title="KL to the start", series={"kl": "kl"}, unit="nats per token"),
    _Panel(title="Learning rate", series={"rate": "learning_rate"}),
    _Panel(title="Gradient norm", series={"norm": "grad_norm"}),
    _Panel(title="Speed", series={"speed": "tokens_per_s"}, unit="tokens per second"),
    _Panel(title="Memory", series={"most so far": "memory_gb"}, unit="GB"),
    _Panel(
        title="Token accuracy",
        series={"training": "mean_token_accuracy", "held out": "eval_mean_token_accuracy"},
        unit="share",
    ),
    _Panel(title="Entropy", series={"training": "entropy", "held out": "eval_entropy"}, unit="nats"),
    _Panel(title="Preferred the chosen answer", series={"share": "rewards/accuracies"}, unit="share"),
    _Panel(title="Margin of the chosen answer", series={"margin": "rewards/margins"}),
    # The same of a reward model, under the names of its trainer.
    _Panel(title="Preferred the chosen answer", series={"share": "accuracy"}, unit="share"),
    _Panel(title="Margin of the chosen answer", series={"margin": "margin"}),
    _Panel(title="Length of sampled answers", series={"mean": "completions/mean_length"}, unit="tokens"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SampledText:
    """One answer: its prompt, and what it is worth or should be."""

    step: int
    prompt: str
    answer: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPage:
    """All that the page shows.

    Attributes:
        state: Whether it is finished, in words.
        numbers: The first line of figures.
        charts: The charts that everybody knows; ``more`` has the rest.
        canaries: One line for each canary.
        drift: Charts of the canaries' means.
        samples: Answers of some steps, the first and the last included.
    """

    title: str
    state: str
    numbers: tuple[Fact, ...]
    charts: tuple[LineChart, ...]
    more: tuple[LineChart, ...]
    canaries: tuple[str, ...]
    drift: tuple[LineChart, ...]
    samples: tuple[SampledText, ...]
    facts: tuple[Fact, ...]
    kept: str


def render_training(files: TrainingFiles) -> str:
    """One self-contained HTML document, without script.

    Args:
        files: The training.
    """
    style = page_style("style.css", "training_page.css")
    template = page_environment().get_template("training_page.html.jinja")
    return template.render(page=training_page(files), style=style, policy=page_policy(style))


def training_page(files: TrainingFiles) -> TrainingPage:
    """The page's content.

    Args:
        files: The training.
    """
    log = _with_speed(files.log) or _log_of_manifest(files)
    best = _best_step(files)
    known = {key for panel in _PANELS for key in panel.series.values()}
    charts = [
        line_chart(
            panel.title,
            {name: _series(log, key) for name, key in panel.series.items()},
            unit=panel.unit,
            mark=best,
        )
        for panel in _PANELS
    ]
    others = sorted({key for entry in log for key in entry} - known - _BOOKKEEPING)
    more = [line_chart(key, {"value": _series(log, key)}) for key in others]
    manifest = files.manifest
    return TrainingPage(
        title=files.directory.name,
        state=_state(files, log),
        numbers=tuple(_numbers(files, log)),
        charts=tuple(chart for chart in charts if chart is not None),
        more=tuple(chart for chart in more if chart is not None),
        canaries=() if manifest is None else tuple(canary_lines(manifest)),
        drift=tuple(_drift(files)),
        samples=tuple(_samples(files)),
        facts=() if manifest is None else tuple(manifest_facts(manifest)),
        kept="" if best is None else f"The dashed line marks step {best}, whose checkpoint was kept.",
    )


def _series(log: Sequence[Mapping[str, Any]], key: str) -> list[tuple[int, object]]:
    return [(entry["step"], entry[key]) for entry in log if key in entry and key != "step"]


def _with_speed(log: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The log, with the tokens of a second between two logs that counted them."""
    counted = [entry for entry in log if is_drawn(entry.get("num_tokens")) and is_drawn(entry.get("time_s"))]
    speeds = {}
    for before, after in pairwise(counted):
        tokens, seconds = after["num_tokens"] - before["num_tokens"], after["time_s"] - before["time_s"]
        if tokens > 0 and seconds > 0:
            speeds[id(after)] = tokens / seconds
    return [{**entry, "tokens_per_s": speeds[id(entry)]} if id(entry) in speeds else entry for entry in log]


def _log_of_manifest(files: TrainingFiles) -> list[Mapping[str, Any]]:
    """What a manifest alone has, such as that of an earlier version."""
    manifest = files.manifest
    if manifest is None:
        return []
    found: list[Mapping[str, Any]] = [{"step": each.step, "loss": each.loss} for each in manifest.losses]
    if manifest.rewards is not None:
        found += [
            {"step": each.step, "reward": each.reward, **({} if each.kl is None else {"kl": each.kl})}
            for each in manifest.rewards.steps
        ]
    return found


def _best_step(files: TrainingFiles) -> int | None:
    manifest = files.manifest
    for noted in () if manifest is None else (manifest.early_stop, manifest.held_out):
        step = None if noted is None else noted.get("best_step")
        if isinstance(step, int):
            return step
    return None


def _state(files: TrainingFiles, log: Sequence[Mapping[str, Any]]) -> str:
    manifest = files.manifest
    if manifest is None:
        return (
            f"running or interrupted: step {log[-1]['step']} is the last one logged" if log else "no step yet"
        )
    steps = "" if manifest.steps is None else f" after {figures.count(manifest.steps)} steps"
    time = "" if manifest.duration_s is None else f" in {figures.duration(manifest.duration_s)}"
    return f"finished{steps}{time}"


def _numbers(files: TrainingFiles, log: Sequence[Mapping[str, Any]]) -> list[Fact]:
    manifest = files.manifest
    found: list[tuple[str, str | None]] = []
    if manifest is not None:
        found += [
            ("method", manifest.method),
            ("base", manifest.base),
            ("computed", " on ".join(each for each in (manifest.compute_dtype, manifest.device) if each)),
            ("rows", None if manifest.data.rows is None else figures.count(manifest.data.rows)),
        ]
    for name, key in (("loss", "loss"), ("held-out loss", "eval_loss"), ("reward", "reward")):
        values = [value for _, value in _series(log, key)]
        ends = [_figure(value) for value in values]
        found.append((name, f"{ends[0]} → {ends[-1]}" if len(ends) > 1 else "".join(ends)))
    tokens = [value for _, value in _series(log, "num_tokens") if is_drawn(value)]
    memory = [value for _, value in _series(log, "memory_gb") if is_drawn(value)]
    if tokens:
        found.append(("tokens", figures.count(round(tokens[-1]))))
    if memory:
        found.append(("memory", f"{max(memory):.1f} GB"))
    return [Fact(name=name, value=excerpt(value, _LONGEST)) for name, value in found if value]


def _figure(value: object) -> str:
    """A number, also one that is too large to draw."""
    return figures.mean(value) if isinstance(value, int | float) and math.isfinite(value) else "not finite"


def _drift(files: TrainingFiles) -> list[LineChart]:
    """The canaries' means over stretches of the steps."""
    canaries = None if files.manifest is None else files.manifest.canaries
    along = () if canaries is None else canaries.along
    series: dict[str, list[tuple[int, object]]] = {}
    for stretch in along:
        steps = stretch.get("steps")
        if isinstance(steps, list | tuple) and len(steps) == 2 and isinstance(steps[1], int):
            for key, value in stretch.items():
                if key not in {"steps", "n"}:
                    series.setdefault(key, []).append((steps[1], value))
    charts = [line_chart(key.replace("_", " "), {"mean": points}) for key, points in series.items()]
    return [chart for chart in charts if chart is not None]


def _samples(files: TrainingFiles) -> list[SampledText]:
    """Answers of a few steps: with rewards the best and the worst one of each, else some held-out prompts."""
    found: list[SampledText] = []
    for step in _spread({entry["step"] for entry in files.samples}):
        here = sorted(
            (entry for entry in files.samples if entry["step"] == step and is_drawn(entry.get("reward"))),
            key=lambda entry: -float(entry["reward"]),
        )
        count = figures.count(len(here))
        for name, entry in (("best", here[:1]), ("worst", here[1:][-1:])):
            found += [
                _sampled(each, f"{name} of {count}: reward {figures.mean(each['reward'])}") for each in entry
            ]
    prompts = list(dict.fromkeys(str(entry.get("prompt", "")) for entry in files.held_out))[:_MOST_PROMPTS]
    for step in _spread({entry["step"] for entry in files.held_out}):
        found += [
            _sampled(entry, f"expected: {entry.get('reference', '')}")
            for entry in files.held_out
            if entry["step"] == step and entry.get("prompt") in prompts
        ]
    return found


def _sampled(entry: Mapping[str, Any], note: str) -> SampledText:
    return SampledText(
        step=entry["step"],
        prompt=_cut(str(entry.get("prompt", ""))),
        answer=_cut(str(entry.get("answer", ""))),
        note=_cut(note),
    )


def _spread(steps: set[int]) -> list[int]:
    """At most this many steps, evenly spaced, the first and the last included."""
    ordered = sorted(steps)
    if len(ordered) <= _MOST_STEPS:
        return ordered
    return [ordered[round(place * (len(ordered) - 1) / (_MOST_STEPS - 1))] for place in range(_MOST_STEPS)]


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
