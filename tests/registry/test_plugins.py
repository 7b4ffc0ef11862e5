"""What plug-ins add, and what is left out of it: one line each, never a traceback, never a built-in's meaning."""

import os
import re
from dataclasses import replace
from importlib import metadata
from types import ModuleType

import pytest

from harness.comparison.pairing import PASS_RATE
from harness.engines.base import BUILTIN_ENGINES
from harness.errors import GoldenError, SettingsError
from harness.golden.editor_schema import golden_schema
from harness.golden.load import load_golden_set
from harness.golden.schema import CHECK_TYPES, check_names
from harness.history.logs.kinds import BUILTIN_READERS
from harness.judge.kinds import BUILTIN_JUDGES
from harness.registry import (
    EngineKind,
    JudgeKind,
    Metric,
    Options,
    Registry,
    RewardKind,
    RunReader,
    Sink,
    TrainMethod,
    load_function,
    use_registry,
)
from harness.registry.builtin_metrics import BUILTIN_METRICS
from harness.registry.content_metrics import SET_METRICS
from harness.registry.field_types import wrong_field
from harness.run.trackers.kinds import BUILTIN_SINKS
from trainers.methods.catalogue import METHODS
from trainers.rewards.catalogue import BUILTIN_REWARDS

SHOUTS = Metric(
    name="shouts", kind="binary", summary="In upper case.", function="nowhere:shouts", invertible=True
)


@pytest.fixture
def registry(monkeypatch):
    """An empty one, in which nothing is installed."""
    monkeypatch.setattr(metadata, "entry_points", lambda group: [])
    made = Registry()
    before = use_registry(made)
    yield made
    use_registry(before)


@pytest.fixture
def install(monkeypatch):
    """Declares entry points: a name and what it loads, or the error that loading raises."""

    class Entry:
        def __init__(self, name, loaded):
            self.name, self.loaded = name, loaded

        def load(self):
            if isinstance(self.loaded, BaseException):
                raise self.loaded
            return self.loaded

    def install(**loaded):
        entries = [Entry(name, each) for name, each in loaded.items()]
        monkeypatch.setattr(
            metadata, "entry_points", lambda group: entries if group == "tunegate.plugins" else []
        )
        made = Registry()
        use_registry(made)
        return made

    before = use_registry(None)
    yield install
    use_registry(before)


def test_an_installed_plug_in_s_metric_is_a_check_type_like_any_other(install, tmp_path):
    install(voice=lambda registry: registry.add(SHOUTS))
    assert CHECK_TYPES["shouts"] is SHOUTS
    assert list(CHECK_TYPES) == [*BUILTIN_METRICS, "shouts"]
    assert "not-shouts" in check_names()
    path = tmp_path / "set.yaml"
    path.write_text("name: s\ncases:\n  - {id: a, prompt: p, checks: [{type: not-shouts}]}\n")
    assert load_golden_set(path).cases[0].checks[0].type == "not-shouts"
    kinds = [each["properties"]["type"]["const"] for each in golden_schema()["$defs"]["CheckYaml"]["oneOf"]]
    assert "shouts" in kinds


def test_a_plug_in_may_be_a_module_with_the_hook_s_function(install):
    module = ModuleType("voice")
    module.pytest_tunegate_register = lambda registry: registry.add(SHOUTS)
    registry = install(voice=module)
    assert list(registry.merged(Metric, {})) == ["shouts"]


def test_nothing_is_loaded_before_a_name_is_looked_up(install):
    loaded = []
    registry = install(voice=lambda registry: loaded.append("voice"))
    assert loaded == []
    registry.merged(Metric, {})
    registry.merged(Metric, {})
    assert loaded == ["voice"]


def test_what_a_plug_in_prints_is_no_output_of_the_command(install, capfd):
    """Its output may be JSON that another program reads. Programs and libraries in C write past ``sys.stdout``."""

    def voice(registry):
        print("registered", flush=True)
        os.write(1, b"by the system\n")
        registry.add(SHOUTS)

    registry = install(voice=voice)
    assert list(registry.merged(Metric, {})) == ["shouts"]
    os.write(1, b"ours\n")
    assert capfd.readouterr() == ("ours\n", "registered\nby the system\n")


async def _coroutine(registry):
    registry.add(SHOUTS)


def _generator(registry):
    yield registry.add(SHOUTS)


@pytest.mark.parametrize("function", [_coroutine, _generator])
def test_a_function_that_would_do_nothing_is_said_in_one_line(registry, function):
    registry.register("voice", function)
    assert registry.warnings == [
        "plug-in voice is left out: TypeError: pytest_tunegate_register is a coroutine or a generator, not a plain function"
    ]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ModuleNotFoundError("No module named 'gone'"), "ModuleNotFoundError: No module named 'gone'"),
        (SyntaxError("invalid syntax\nsecond line"), "SyntaxError: invalid syntax"),
        (SystemExit("bye"), "SystemExit: bye"),
        (RuntimeError(), "RuntimeError"),
    ],
)
def test_a_plug_in_that_breaks_at_import_costs_one_line(install, error, told):
    registry = install(broken=error, voice=lambda registry: registry.add(SHOUTS))
    assert "shouts" in CHECK_TYPES
    assert registry.warnings == [f"plug-in broken is left out: {told}"]


def test_a_plug_in_that_breaks_while_it_registers_adds_nothing(registry):
    def half(registrar):
        registrar.add(SHOUTS)
        registrar.add("another")

    registry.register("half", half)
    assert "shouts" not in CHECK_TYPES
    assert registry.warnings == [
        "plug-in half is left out: TypeError: add() takes records of harness.registry, not str"
    ]


@pytest.mark.parametrize("records", [None, 5])
def test_records_that_are_no_list_leave_it_out(registry, records):
    registry.register("odd", lambda registrar: setattr(registrar, "records", records))
    assert registry.warnings == [
        f"plug-in odd is left out: TypeError: '{type(records).__name__}' object is not iterable"
    ]


def test_a_built_in_name_stays_what_it_is(registry):
    other = Metric(name="contains", kind="graded", summary="Something else.", function="x:y")
    registry.register("voice", lambda registrar: registrar.add(other, SHOUTS))
    assert CHECK_TYPES["contains"] is BUILTIN_METRICS["contains"]
    assert "shouts" in CHECK_TYPES
    assert registry.warnings == [
        "plug-in voice: metric 'contains' is left out: the built-in metric of that name stays"
    ]


OF_EACH_KIND = {
    "metric": (BUILTIN_METRICS, SHOUTS),
    "judge": (BUILTIN_JUDGES, JudgeKind(name="aa", form="aa:X", open="x:y")),
    "engine": (BUILTIN_ENGINES, EngineKind(name="aa", summary="s", describe="x:y", open="x:y")),
    "reward": (BUILTIN_REWARDS, RewardKind(name="a", settings="x:y", build="x:y")),
    "training method": (METHODS, TrainMethod(name="a", train="x:y", config="x:y", help="h")),
    "sink": (BUILTIN_SINKS, Sink(name="a", send="x:y")),
    "log reader": (BUILTIN_READERS, RunReader(name="a", summary="s", recognises="x:y", read="x:y")),
}


@pytest.mark.parametrize("kind", OF_EACH_KIND)
def test_a_built_in_name_is_refused_at_once_whoever_reads_the_kind(registry, kind):
    table, record = OF_EACH_KIND[kind]
    others = [replace(record, name=name) for name in table]
    registry.register("voice", lambda registrar: registrar.add(*others, record))
    assert registry.warnings == [
        f"plug-in voice: {kind} {name!r} is left out: the built-in {kind} of that name stays"
        for name in table
    ]
    assert registry.merged(type(record), table) == {**table, record.name: record}


@pytest.mark.parametrize(
    "record",
    [
        EngineKind(name="c", summary="s", describe="x:y", open="x:y"),
        JudgeKind(name="c", form="c:X", open="x:y"),
    ],
)
def test_what_comes_before_a_colon_is_no_drive(registry, record):
    registry.register("voice", lambda registrar: registrar.add(record))
    (warning,) = registry.warnings
    assert warning.endswith("'c' is left out: c: is a drive of Windows")


@pytest.mark.parametrize("name", ["hf", "commit"])
def test_an_engine_is_not_called_like_the_start_of_another_name(registry, name):
    engine = EngineKind(name=name, summary="s", describe="x:y", open="x:y")
    registry.register("voice", lambda registrar: registrar.add(engine))
    (warning,) = registry.warnings
    assert warning.endswith(
        f"engine {name!r} is left out: {name}: has a meaning of its own in a model's name"
    )


def test_of_two_plug_ins_the_first_has_the_name(registry):
    second = Metric(name="shouts", kind="graded", summary="Loudness.", function="x:y")
    registry.register("voice", lambda registrar: registrar.add(SHOUTS))
    registry.register("other", lambda registrar: registrar.add(second))
    assert CHECK_TYPES["shouts"] is SHOUTS
    assert registry.warnings == ["plug-in other: metric 'shouts' is left out: plug-in voice has that name"]


def test_a_plug_in_found_twice_registers_once(registry):
    def register(registrar):
        registrar.add(SHOUTS)

    registry.register("voice", register)
    registry.register("tunegate_voice", register)
    assert registry.warnings == []


@pytest.mark.parametrize("name", ["not-shouts", "Shouts", "my metric", "", "1st", "a:b"])
def test_a_name_that_could_not_be_written_is_left_out(registry, name):
    metric = Metric(name=name, kind="binary", summary="s", function="x:y")
    registry.register("voice", lambda registrar: registrar.add(metric))
    assert name not in CHECK_TYPES
    (warning,) = registry.warnings
    assert re.match(r"plug-in voice: metric .* is left out: a name is lower-case letters", warning)


def test_a_judged_metric_is_left_out(registry):
    metric = Metric(name="taste", kind="binary", summary="s", function="x:y", judged=True)
    registry.register("voice", lambda registrar: registrar.add(metric))
    assert registry.warnings == [
        "plug-in voice: metric 'taste' is left out: a plug-in's metric can't be judged"
    ]


class Threshold(Options):
    threshold: str = "x"


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"group": True}, "group: only built-in metrics combine checks"),
        ({"minimum": 1.0, "maximum": 0.0}, "minimum 1.0, maximum 0.0: no scale"),
        ({"minimum": 1.0}, "minimum 1.0, maximum 1.0: no scale"),
        ({"maximum": 1e300}, "minimum 0.0, maximum 1e+300: no scale (allowed: numbers up to 1e+100"),
        ({"maximum": float("nan")}, "minimum 0.0, maximum nan: no scale"),
        ({"maximum": float("inf")}, "minimum 0.0, maximum inf: no scale"),
        ({"usual_margin": -0.1}, "usual_margin: found -0.1"),
        ({"options": Threshold}, "options: threshold is a key of every check"),
    ],
)
def test_a_metric_that_makes_no_sense_is_left_out(registry, changed, told):
    metric = replace(SHOUTS, kind="graded", **changed)
    registry.register("voice", lambda registrar: registrar.add(metric))
    (warning,) = registry.warnings
    assert warning.startswith(f"plug-in voice: metric 'shouts' is left out: {told}")
    assert "shouts" not in CHECK_TYPES


@pytest.mark.parametrize("changed", [{"minimum": None, "maximum": None}, {"usual_margin": 0.0}])
def test_a_scale_may_have_no_end_and_a_margin_may_be_0(registry, changed):
    registry.register("voice", lambda registrar: registrar.add(replace(SHOUTS, kind="graded", **changed)))
    assert registry.warnings == []
    assert "shouts" in CHECK_TYPES


@pytest.mark.parametrize("name", [PASS_RATE, *SET_METRICS])
def test_a_figure_of_a_whole_set_keeps_its_name(registry, name):
    """A comparison's rows are distinguished by set and metric."""
    registry.register("voice", lambda registrar: registrar.add(replace(SHOUTS, name=name)))
    assert registry.warnings == [
        f"plug-in voice: metric {name!r} is left out: the built-in metric of that name stays"
    ]
    assert name not in CHECK_TYPES


class UnprintableError(Exception):
    def __repr__(self):
        raise ValueError("no text")

    __str__ = __repr__


def test_a_plug_in_without_printable_words_costs_one_line(registry):
    registry.register("mute", lambda registrar: registrar.add(replace(SHOUTS, summary=UnprintableError())))
    registry.register("deaf", lambda registrar: (_ for _ in ()).throw(UnprintableError()))
    registry.register("sly", lambda registrar: registrar.records.append("shouts"))
    registry.register("voice", lambda registrar: registrar.add(SHOUTS))
    mute, deaf, sly = registry.warnings
    assert mute == "plug-in mute: a record is left out: ValueError: no text"
    assert deaf == "plug-in deaf is left out: UnprintableError"
    assert sly == "plug-in sly: a str is left out: it is no record of harness.registry"
    assert "shouts" in CHECK_TYPES


def test_kinds_do_not_take_each_other_s_names(registry):
    judge = JudgeKind(name="contains", form="contains:X", open="x:y")
    registry.register("voice", lambda registrar: registrar.add(judge, Sink(name="contains", send="x:y")))
    assert registry.merged(JudgeKind, {})["contains"] is judge
    assert registry.warnings == []


def test_warnings_are_passed_on_as_they_are_found(monkeypatch):
    monkeypatch.setattr(metadata, "entry_points", lambda group: [])
    told = []
    registry = Registry(warn=told.append)
    registry.note("one")
    registry.note("one")
    assert told == ["one"]


def test_a_function_that_is_not_there_is_said_in_one_line():
    with pytest.raises(
        SettingsError, match=r"metric 'shouts': nowhere:shouts can't be imported: ModuleNotFound"
    ):
        load_function("nowhere:shouts", "metric 'shouts'")
    with pytest.raises(SettingsError, match=r"metric 'x': math:nothing can't be imported: AttributeError"):
        load_function("math:nothing", "metric 'x'")
    assert load_function("math:sqrt", "metric 'x'")(4) == 2


def test_an_unknown_check_type_is_refused_as_before(registry, tmp_path):
    path = tmp_path / "set.yaml"
    path.write_text("name: s\ncases:\n  - {id: a, prompt: p, checks: [{type: shouts}]}\n")
    with pytest.raises(GoldenError, match="unknown check type 'shouts'"):
        load_golden_set(path)


def _skips():
    pytest.importorskip("no_such_module")


@pytest.mark.parametrize("raises", [_skips, lambda: (_ for _ in ()).throw(BaseException("x"))])
def test_whatever_a_plug_in_raises_only_leaves_it_out(registry, raises):
    """Pytest's own outcomes are no Exceptions: a skip would silently remove the golden set that is read."""
    registry.register("mine", lambda registrar: raises())
    (line,) = registry.warnings
    assert line.startswith("plug-in mine is left out: ")


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"name": 3}, "name: found 3"),
        ({"kind": "score"}, "kind: found 'score'"),
        ({"minimum": "low"}, "minimum: found 'low'"),
        ({"value_type": "zzz"}, "value_type: found 'zzz'"),
        ({"options": int}, "options: found <class 'int'>"),
        ({"libraries": None}, "libraries: found None"),
        ({"function": None}, "function: found None"),
        ({"summary": None}, "summary: found None"),
    ],
)
def test_a_record_with_a_field_of_another_type_is_left_out(registry, changed, told):
    registry.register("mine", lambda registrar: registrar.add(replace(SHOUTS, **changed)))
    (line,) = registry.warnings
    assert told in line
    assert "shouts" not in CHECK_TYPES
    golden_schema()


@pytest.mark.parametrize(
    "table",
    [BUILTIN_METRICS, BUILTIN_JUDGES, BUILTIN_ENGINES, BUILTIN_REWARDS, METHODS],
    ids=["metrics", "judges", "engines", "rewards", "methods"],
)
def test_our_own_records_are_of_the_declared_types(table):
    assert {record.name: wrong_field(record) for record in table.values() if wrong_field(record)} == {}
