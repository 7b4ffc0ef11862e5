"""A gate beside other pytest plugins says what it says without them, and they do their work."""

import os
import re
import sys
from importlib.metadata import distributions

import pytest

# Where ``make test`` installs what is not part of the environment.
FOLDER = os.environ.get("TUNEGATE_TEST_PLUGINS", "")

# Distribution, and options that make it act on every item.
PLUGINS = {
    "pytest-timeout": ("--timeout=60",),
    "pytest-rerunfailures": ("--reruns=2",),
    "pytest-randomly": (),
    "pytest-asyncio": (),
    "pytest-html": ("--html=report.html",),
    "pytest-benchmark": (),
    "pytest-cov": ("--cov=nothing",),
    "syrupy": (),
    "langsmith": (),
    "pytest-xdist": ("-n2",),
    "anyio": (),
    "deepeval": (),
    # Not loaded by itself; it makes a run of mlflow's for the session.
    "mlflow-skinny": ("-p", "mlflow.pytest.plugin"),
}
# They need each other, and nothing else that isn't installed with tunegate.
ALSO = {
    "pytest-html": ("pytest-metadata",),
    "pytest-cov": ("coverage",),
    "pytest-benchmark": ("py-cpuinfo",),
    "pytest-xdist": ("execnet",),
    "mlflow-skinny": (
        "cachetools", "databricks-sdk", "gitdb", "GitPython", "importlib-metadata", "opentelemetry-api", "opentelemetry-proto",
        "opentelemetry-sdk", "opentelemetry-semantic-conventions", "protobuf", "smmap", "sqlparse", "zipp",
    ),
}  # fmt: skip
TAGS = ("timeout", "flaky", "asyncio", "anyio", "xdist_group", "benchmark")
CASE = "  - {{id: c{0}, prompt: 'w{0} what is w4', checks: [{{type: regex, value: 'w[0-9]*[{1}]'}}], tags: [{2}]}}\n"
SET = "name: {0}\ngeneration: {{max_new_tokens: 4}}\ncases:\n"
CASES = [CASE.format(number, number % 10, tag) for number, tag in enumerate(TAGS)]
PROJECT = {
    # Who uses --strict-markers may declare another plugin's markers too.
    "pyproject.toml": "[tool.pytest.ini_options]\nmarkers = ['flaky: tests that fail at times']\n",
    "test_own.py": "def test_own(generate):\n    assert generate('w1', max_new_tokens=2).completion_tokens >= 0\n",
    # A set's name is a marker too.
    "golden_sets/words.yaml": SET.format("timeout") + "".join(CASES[::2]),
    "golden_sets/more.yaml": SET.format("flaky") + "".join(CASES[1::2]),
}


def distribution(name):
    """An installed distribution; None where there is none of that name."""
    return next(iter(distributions(name=name, path=[FOLDER, *sys.path])), None)


@pytest.fixture(scope="session")
def gated(installation, tmp_path_factory, tiny_adapter_dir):
    """A project that was gated once, and a function that gates it again beside plugins; answers the outcome."""
    project = tmp_path_factory.mktemp("project")
    for name, text in PROJECT.items():
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text(text)

    def gate(*plugins):
        shelf = tmp_path_factory.mktemp("plugins")
        for name in {*plugins, *(other for plugin in plugins for other in ALSO.get(plugin, ()))}:
            found = distribution(name)
            assert found is not None, name
            for top in {file.parts[0] for file in found.files if file.parts[0] not in {"..", "__pycache__"}}:
                # Some share a folder, such as opentelemetry.
                if not (shelf / top).exists():
                    (shelf / top).symlink_to(found.locate_file(top))
        options = [option for name in plugins for option in PLUGINS[name]]
        done = installation.run(
            project,
            *("pytest", "-q", f"--model={tiny_adapter_dir}", "--gate-no-forgetting", ".", *options),
            PYTHONPATH=str(shelf),
            OMP_NUM_THREADS="1",
            DEEPEVAL_TELEMETRY_OPT_OUT="YES",
        )
        assert "INTERNALERROR" not in done.stdout + done.stderr
        outcome = re.search(r"^(\d.*) in [\d.]+s", done.stdout, re.MULTILINE)
        verdict = re.search(r"^ (PASS|REGRESS|INCONCLUSIVE) ", done.stdout, re.MULTILINE)
        assert outcome, done.stdout + done.stderr
        return done.returncode, re.sub(r", \d+ warnings?", "", outcome[1]), verdict and verdict[1]

    return gate


@pytest.fixture(scope="session")
def alone(gated):
    """The outcome without any other plugin."""
    return gated()


@pytest.mark.parametrize("name", PLUGINS)
def test_a_gate_beside_one_other_plugin(gated, alone, name):
    if distribution(name) is None:
        pytest.skip(f"{name} is not installed")
    assert alone[2] is not None
    assert gated(name) == alone


def test_a_gate_beside_all_of_them(gated, alone):
    names = [name for name in PLUGINS if distribution(name)]
    assert len(names) > 3
    assert gated(*names) == alone
