"""The order of the tests, what they share in one process, and the fixtures of several packages."""

import os
import signal
import sysconfig
from importlib import import_module
from importlib.metadata import Distribution
from pathlib import Path

import pytest
from hypothesis import Phase, settings

pytest_plugins = [
    f"tests.fixtures.{name}"
    for name in (
        "tiny_models",
        "made_runs",
        "servers",
        "databases",
        "clusters",
        "forked",
        "copies",
        "spare_devices",
    )
]

# A process that a test starts elsewhere imports what the test itself imports, whatever tree the caller's path names.
_ROOT = str(Path(__file__).parents[1])
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [_ROOT, os.environ.get("PYTHONPATH", "")]))


def _read_once(name):
    """Keep what an installed package's metadata says: each session inside a test would read them all again."""
    read, kept, installed = getattr(Distribution, name).fget, {}, sysconfig.get_path("purelib")

    def value(distribution):
        place = str(getattr(distribution, "_path", ""))
        if not place.startswith(installed):
            return read(distribution)
        if place not in kept:
            kept[place] = read(distribution)
        return kept[place]

    setattr(Distribution, name, property(value))


for _name in ("metadata", "entry_points", "files"):
    _read_once(_name)

# How long an example takes says something of the machine, not of the code.
settings.register_profile("tunegate", deadline=None)
# Thousands of runs that only have to say whether anything fails.
settings.register_profile(
    "mutation", deadline=None, max_examples=20, database=None, phases=(Phase.explicit, Phase.generate)
)
settings.load_profile("tunegate")

# The folders whose files take longest, in the order in which workers should begin them.
LONGEST = (
    *("tests/end_to_end/", "tests/reports/html/test_browser", "tests/conformance/"),
    *("tests/trainers/", "tests/plugin/", "tests/statistics/"),
)


# Fixtures that start processes or servers of a model, a database or a package of their own.
STARTING = {"cluster", "vllm_command", "start_app", "postgres", "installation"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Marks what tells its tier itself; on several workers the longest files come first, so that all end together."""
    for item in items:
        if STARTING & {*getattr(item, "fixturenames", ())}:
            item.add_marker("processes")
    if hasattr(config, "workerinput"):
        places = [*LONGEST, ""]
        items.sort(
            key=lambda item: next(n for n, place in enumerate(places) if item.nodeid.startswith(place))
        )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """A file's tests stay on one worker and share what they set up; those on the real model don't meet."""
    from xdist.scheduler.loadscope import LoadScopeScheduling

    class FileScheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            if "/test_matrix.py::" in nodeid and os.environ.get("TUNEGATE_CONFORMANCE") == "held":
                return nodeid
            return LONGEST[0] if nodeid.startswith(LONGEST[0]) else nodeid.partition("::")[0]

    config.option.loadscopereorder = False
    return FileScheduling(config, log)


# What a gate imports while it runs. Whatever a session inside a test is the first to import is dropped when the test
# ends, and the next one would import it anew: the client of judges alone takes a second.
IMPORTED_BY_GATES = (
    *("pydantic_settings", "openai", "openai.resources", "aiohttp", "tenacity", "jsonschema", "jinja2"),
    *("harness.plugin.hooks", "harness.settings.sources", "harness.judge.openai_engine"),
    *("harness.engines.served.engine", "reports.plugin", "reports.html.build", "reports.html.render"),
    *("harness.history.location", "reports.files", "rich._emoji_codes", "http.server", "tunegate.streams"),
)


@pytest.fixture(scope="session")
def gate_imports():
    """What a gate imports, loaded for all sessions inside tests. Tests of a lean start use other processes."""
    for name in IMPORTED_BY_GATES:
        import_module(name)


@pytest.fixture
def pytester(gate_imports, pytester):
    """The fixture of pytest itself, beside modules that stay loaded."""
    return pytester


@pytest.fixture
def plain_signals():
    """SIGTERM and Ctrl-C as a new process has them: libraries of other tests leave handlers, some below Python."""
    plain = {signal.SIGTERM: signal.SIG_DFL, signal.SIGINT: signal.default_int_handler}
    before = {number: signal.signal(number, handler) for number, handler in plain.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, plain[number] if handler is None else handler)
