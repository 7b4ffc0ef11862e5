"""A project with a package of its own called tunegate keeps its pytest; its gate is refused with a way out."""

import pytest

import pytest_tunegate

PYTEST = [("pytest",), ("python", "-m", "pytest")]
TEST = "def test_own():\n    import tunegate\n    assert tunegate.OWN\n"
PATH = "[tool.pytest.ini_options]\npythonpath = ['.']\n"


@pytest.mark.parametrize("command", PYTEST, ids=" ".join)
@pytest.mark.parametrize("folder", [".", "src"])
def test_a_project_called_tunegate_keeps_its_pytest(installation, write, command, folder):
    """What an import finds, and what only the project's conftest.py puts onto the path."""
    files = {
        f"{folder}/tunegate/__init__.py": "OWN = True\n",
        "tests/test_own.py": TEST,
    }
    line = "import sys, pathlib\nsys.path.insert(0, str(pathlib.Path(__file__).parent / 'src'))\n"
    project = write({"pyproject.toml": "", "conftest.py": line if folder == "src" else "", **files})
    done = installation.run(project, *command)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
    assert done.stdout.count("tunegate: off: ") == 1
    (project / "pyproject.toml").write_text(PATH.replace("'.'", f"'{folder}'"))
    quiet = installation.run(project, *command, "-q")
    assert quiet.returncode == 0, quiet.stdout + quiet.stderr
    assert quiet.stderr.count("\n") == 1
    refused = installation.run(project, *command, "--model=X")
    assert refused.returncode == 4
    assert refused.stderr.startswith("ERROR: --model: ")
    assert refused.stderr.rstrip().endswith(
        "tunegate/__init__.py has the name of tunegate's package; run the gate by: tunegate gate --model=DIR"
    )
    gated = installation.run(project, "tunegate", "gate", "--model=nowhere")
    assert "no model 'nowhere'" in gated.stderr


def test_a_project_called_tunegate_keeps_its_option(installation, write):
    option = "def pytest_addoption(parser):\n    parser.addoption('--model')\n"
    test = "def test_own(pytestconfig):\n    assert pytestconfig.getoption('--model') == 'X'\n"
    project = write({"pyproject.toml": "", "tunegate.py": "", "conftest.py": option, "test_own.py": test})
    assert installation.run(project, "pytest", "--model=X").returncode == 0
    refused = installation.run(project, "pytest", "--model=X", TUNEGATE_MODEL="Y")
    assert refused.stderr.startswith("ERROR: TUNEGATE_MODEL: ")


def test_a_project_called_tunegate_keeps_its_options_of_the_gate(installation, write):
    options = "--gate-margin=0.1 --gate-directory tests --gate-no-cache"
    files = {"pyproject.toml": f"[tool.pytest.ini_options]\naddopts = '{options}'\n", "tunegate.py": ""}
    done = installation.run(write({**files, "test_own.py": "def test_own(): pass\n"}), "pytest")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


@pytest.mark.parametrize("mode", ["prepend", "append", "importlib"])
def test_a_folder_of_tests_called_tunegate(installation, write, mode):
    files = {f"tests/tunegate/{name}.py": "" for name in ("__init__", "markers", "helper")}
    test = "from . import helper\n\n\ndef test_in():\n    import tunegate\n    assert tunegate.__doc__\n"
    project = write({"pyproject.toml": "", **files, "tests/tunegate/test_in.py": test})
    done = installation.run(project, "pytest", f"--import-mode={mode}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


@pytest.mark.parametrize(
    ("folder", "words"),
    [(".", ("--import-mode=append",)), ("tests", ()), ("..", ("project/tests/test_own.py::test_tunegate",))],
    ids=["append", "below the project", "above the project"],
)
def test_its_tests_get_its_package_wherever_pytest_is_started(installation, write, folder, words):
    test = "import tunegate\nfrom tunegate.core import OWN\ndef test_tunegate():\n    assert tunegate.OWN is OWN\n"
    files = {
        "conftest.py": "",
        "pyproject.toml": "",
        "tunegate/__init__.py": "from tunegate.core import OWN\n",
        "tunegate/core.py": "OWN = []\n",
        "tests/test_own.py": test,
    }
    project = write({f"project/{name}": text for name, text in files.items()}) / "project"
    done = installation.run(project / folder, "pytest", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("tunegate: off: ") == 1
    refused = installation.run(project / folder, "pytest", *words, "--model", "X")
    assert refused.stderr.startswith("ERROR: --model: ")


def test_the_package_of_a_model_s_folder_is_not_the_session_s(tmp_path, monkeypatch):
    (tmp_path / "other/tunegate").mkdir(parents=True)
    (tmp_path / "other/tunegate/__init__.py").touch()
    monkeypatch.setattr(pytest_tunegate, "_COMMANDS", ())
    own = pytest_tunegate.own_package_of_project
    assert own(tmp_path, ["--model", "other"]) is None
    assert own(tmp_path, ["--model=other", "-q", "missing"]) is None
    assert own(tmp_path, ["--model", "X", "other"]) == tmp_path / "other/tunegate/__init__.py"
    assert own(tmp_path, ["--rootdir=other"]) == own(tmp_path, ["--gate-no-cache", "other"]) is not None


@pytest.mark.parametrize(
    ("files", "is_own"),
    [
        ({"tests/tunegate/__init__.py": "VALUE = 1\n"}, True),
        ({"test/tunegate/__init__.py": "from .more import VALUE\n"}, True),
        ({"tests/tunegate/__init__.py": "VALUE =\n"}, True),
        ({"tests/tunegate/__init__.py": ""}, False),
        ({"tests/tunegate/__init__.py": '"""The tests of the gate."""\n# no more\n'}, False),
        ({"tests/tunegate/__init__.py": "VALUE = 1\n", "tests/__init__.py": ""}, False),
    ],
)
def test_a_package_of_tests_called_tunegate_is_the_project_s_if_it_has_code(
    tmp_path, monkeypatch, files, is_own
):
    """The folder above it is on Python's path while pytest runs, so the tests import it by that name."""
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(pytest_tunegate, "_COMMANDS", ())
    found = pytest_tunegate.own_package_of_project(tmp_path, [])
    assert found == (tmp_path / next(iter(files)) if is_own else None)
