"""Settings that can't do anything in a gate: each with when that is so, and why.

Nobody should believe that a gate was stricter, or faster, than it was. An option of the command line counts
for the selected cases, a standing setting for all of the gate's cases: a partial run needs no new file of
settings.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.comparison.times import repeats_answers
from harness.errors import SettingsError
from harness.golden.gated_cases import judged_cases
from harness.golden.schema import answers_vary, base_type
from harness.golden.transforms import python_steps
from harness.history.store import noted_stability
from harness.judge.kinds import judge_kinds
from harness.registry.builtin_metrics import PYTHON
from harness.registry.content_metrics import CODE
from harness.run.inputs import Inputs
from harness.run.judging import judged_checks
from harness.run.session import gates_time, metric_facts
from harness.settings import SETTINGS, environment_variable, given_settings, misspelt_variables
from harness.settings.values import ray_address
from harness.types import Check, GoldenSet


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What settings act on.

    Attributes:
        inputs: The checked models, baseline and settings.
        golden_sets: The sets with their cases.
        test_asks_judge: Whether a hand-written test does.
    """

    inputs: Inputs
    golden_sets: Sequence[GoldenSet]
    test_asks_judge: bool = False

    def checks(self) -> Iterator[Check]:
        """All checks of all cases that are not skipped."""
        for golden_set in self.golden_sets:
            for case in golden_set.cases:
                if case.skip is None:
                    yield from case.single_checks

    @property
    def has_pass_rate(self) -> bool:
        """Whether a case can pass or fail."""
        return any(map(judged_cases, self.golden_sets))

    @property
    def asks_judge(self) -> bool:
        """Whether a check or a test does."""
        cases = (case for each in self.golden_sets for case in each.cases if case.skip is None)
        return self.test_asks_judge or any(map(judged_checks, cases))


def _reproduces(use: Use) -> bool:
    """Whether a case that is resampled passes or fails as before: as where exactly the cases are asked about.

    A noise record of the baseline may show that one doesn't, after all.
    """
    cases = [case for each in use.golden_sets for case in each.cases if case.skip is None]
    if not repeats_answers(use.inputs.plan) or answers_vary(cases):
        return False
    model, noise = use.inputs.target.model, use.inputs.noise
    noted = {} if model is None else noted_stability(noise, model, use.inputs.plan, cases, metric_facts)
    return not any(0 < each.passed < each.answers for each in noted.values())


def _answers_at_once(use: Use) -> bool:
    """Whether no set has cases for a second look."""
    # It is imported for looks in any case.
    from harness.run.looks import cases_by_look

    looks = use.inputs.settings.looks
    return all(sum(map(bool, cases_by_look(each, looks))) < 2 for each in use.golden_sets)


def _runs_python(check: Check) -> bool:
    return base_type(check.type) == PYTHON or bool(check.transform and python_steps(check.transform))


def _is_remote(spec: str) -> bool:
    """Whether a judge is asked over a network; a plug-in's may be."""
    return not judge_kinds()[spec.partition(":")[0]].needs_engine


@dataclass(frozen=True, slots=True)
class Rule:
    """When settings have no effect.

    Attributes:
        names: The settings.
        why: The reason, for whoever gave one of them.
        holds: Whether it is so.
        refused: Whether someone who gives one as an option surely wants something else.
    """

    names: tuple[str, ...]
    why: str
    holds: Callable[[Use], bool]
    refused: bool = False


def _compares_nothing(use: Use) -> bool:
    return use.inputs.target.kind == "none"


RULES = (
    Rule(
        ("fail_on",),
        "without a baseline no verdict is inconclusive: name one",
        lambda use: _compares_nothing(use) and use.inputs.settings.fail_on == "inconclusive",
        True,
    ),
    Rule(("confirm", "margin", "forgetting_margin"), "there is no baseline", _compares_nothing),
    Rule(
        ("accept_reason", "accept_dirty"),
        "no run is accepted: give --gate-accept=NAME",
        lambda use: use.inputs.settings.accept is None,
        True,
    ),
    Rule(
        ("server_args",),
        "the server of --gate-server is running: start it with them",
        lambda use: use.inputs.settings.server is not None,
        True,
    ),
    Rule(
        ("margin",),
        "no task set has a case that passes or fails",
        lambda use: not any(judged_cases(each) for each in use.golden_sets if not each.probes_forgetting),
    ),
    Rule(
        ("forgetting_margin",),
        "no set probes forgetting",
        lambda use: not any(each.probes_forgetting for each in use.golden_sets),
    ),
    Rule(
        ("forgetting_margin",),
        "no probe passes or fails",
        lambda use: not any(judged_cases(each) for each in use.golden_sets if each.probes_forgetting),
    ),
    Rule(("confirm",), "no case passes or fails", lambda use: not use.has_pass_rate),
    Rule(("confirm",), "greedy answers in float32 come out the same again", _reproduces),
    Rule(("looks",), "each set is answered at once", _answers_at_once),
    Rule(
        ("workers",),
        "each node of the Ray cluster asks the one server that it starts",
        lambda use: (
            use.inputs.plan.server is not None and ray_address(use.inputs.settings.engine) is not None
        ),
        True,
    ),
    Rule(
        ("dtype", "device", "workers", "batch_tokens"),
        "the server decides",
        lambda use: use.inputs.plan.server is not None,
    ),
    Rule(
        ("weights",),
        "whoever runs the model loads it: a server is started with what it needs, such as "
        "--gate-server-args='--quantization bitsandbytes'",
        lambda use: use.inputs.plan.engine != "transformers",
        True,
    ),
    Rule(
        ("workers",),
        "one process answers, unless a base and its adapters answer on a CPU",
        lambda use: (
            use.inputs.settings.engine == "transformers"
            and (use.inputs.plan.engine != "transformers" or use.inputs.plan.device != "cpu")
        ),
    ),
    Rule(
        ("workers",),
        "a set gates a time, so nothing computes beside what is timed",
        lambda use: use.inputs.settings.engine == "transformers" and gates_time(use.golden_sets),
    ),
    Rule(
        ("server_concurrency", "server_timeout_s", "server_prices"),
        "no model is behind a server",
        lambda use: use.inputs.plan.server is None,
    ),
    Rule(
        ("judge_concurrency", "judge_timeout_s", "judge_prices"),
        "no judge is named",
        lambda use: not use.inputs.settings.judge,
    ),
    Rule(
        ("judge", "judge_concurrency", "judge_timeout_s", "judge_prices"),
        "no check or test asks a judge",
        lambda use: not use.asks_judge,
    ),
    Rule(
        ("judge_timeout_s",),
        "the judge answers on this machine",
        lambda use: not any(map(_is_remote, use.inputs.settings.judge)),
    ),
    Rule(
        ("allow_python_checks",),
        "no check runs a function of this project",
        lambda use: not any(map(_runs_python, use.checks())),
    ),
    Rule(
        ("allow_code_checks",),
        "no check runs code that a model writes",
        lambda use: all(base_type(check.type) != CODE for check in use.checks()),
    ),
    Rule(
        ("chat_template_kwargs",),
        "multi-task models have no chat template",
        lambda use: use.inputs.plan.engine == "multitask",
    ),
)


def lines_without_effect(
    selected: Use, whole: Use, typed: Collection[str], environment: Mapping[str, str], *, refuse: bool = True
) -> list[str]:
    """What of the given settings has no effect, a line for each reason.

    Args:
        selected: With the selected cases.
        whole: With all cases of the gate.
        typed: The settings that the command line gives.
        environment: The variables.
        refuse: Whether options that contradict the others are refused.

    Raises:
        SettingsError: There are such.
    """
    given, told = given_settings(selected.inputs.settings), set[str]()
    reasons: dict[str, list[str]] = {}
    for rule in RULES:
        idle = [
            name
            for name in rule.names
            if name in given - told and rule.holds(selected if name in typed else whole)
        ]
        for name in idle:
            if rule.refused and refuse and name in typed:
                raise SettingsError(f"{SETTINGS[name].flag}: has no effect: {rule.why}")
            reasons.setdefault(rule.why, []).append(_named(name, typed, environment))
        told.update(idle)
    for name, meant in misspelt_variables(environment).items():
        reasons.setdefault(f"did you mean {meant}?", []).append(name)
    return [f"tunegate: without effect: {', '.join(names)} ({why})" for why, names in reasons.items()]


def _named(name: str, typed: Collection[str], environment: Mapping[str, str]) -> str:
    """A setting as it was given."""
    if name in typed:
        return SETTINGS[name].flag or name
    variable = environment_variable(name)
    return variable if variable in environment else f"{name} of [tool.tunegate]"
