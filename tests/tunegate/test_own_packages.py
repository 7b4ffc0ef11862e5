"""A project with a package of one of our names keeps its pytest; its gate is refused with a way out."""

import sys
from importlib.util import spec_from_file_location
from pathlib import Path

import _pytest.config.argparsing
import pytest

import pytest_tunegate
import reports.plugin
from harness.plugin import hooks
from harness.settings import SETTINGS, environment_variable
from tunegate import own_packages, request, unused_options
from tunegate.shared_folders import SharedFolders

GOLDEN = "name: sums\ncases:\n  - {id: a, prompt: 1 + 1?, checks: [{type: contains, value: '2'}]}\n"
USES_OWN = """
def test_own():
    import {name}
    assert {name}.OWN
"""
PYTEST = [("pytest",), ("python", "-m", "pytest")]
PATH = "[tool.pytest.ini_options]\npythonpath = ['.']\n"


def project_of(write, *names, **more):
    files = {f"{name}/__init__.py": "OWN = True\n" for name in names}
    files["tests/test_own.py"] = "".join(
        USES_OWN.format(name=name).replace("test_own", f"test_{name}") for name in names
    )
    return write({"pyproject.toml": PATH, **files, **more})


@pytest.mark.parametrize("command", PYTEST, ids=" ".join)
@pytest.mark.parametrize(
    "names", [("reports",), ("harness",), ("harness", "reports", "trainers")], ids="+".join
)
def test_a_project_s_own_packages_are_what_its_tests_get(installation, write, command, names):
    project = project_of(write, *names)
    done = installation.run(project, *command)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(names)} passed" in done.stdout
    assert sum(line.startswith("tunegate: off: ") for line in done.stdout.splitlines()) == 1


def test_a_quiet_session_says_so_too_beside_its_output(installation, write):
    quiet = installation.run(project_of(write, "reports"), "pytest", "-q")
    assert quiet.returncode == 0
    assert quiet.stderr.startswith("tunegate: off: ")
    assert quiet.stderr.count("\n") == 1


@pytest.mark.parametrize("command", PYTEST, ids=" ".join)
@pytest.mark.parametrize(
    "form",
    [("--model=X",), ("--model", "X"), ("--gate-model=X",), ("--gate-margin=0.1", "--gate-model=X")],
    ids=" ".join,
)
def test_a_gate_that_is_asked_for_is_refused_with_the_remedy(installation, write, command, form):
    project = project_of(write, "reports", "harness", **{"golden_sets/sums.yaml": GOLDEN})
    done = installation.run(project, *command, *form)
    assert done.returncode == 4, done.stdout + done.stderr
    asking = next(each for each in form if "model" in each)
    assert done.stderr.startswith(
        f"ERROR: {asking.partition('=')[0]}: {project}/harness has the name of a package"
    )
    assert done.stderr.rstrip().endswith("run the gate by: tunegate gate --model=DIR")
    assert done.stderr.rstrip().count("\n") == 0


def test_a_model_in_a_file_of_arguments_is_refused_too(installation, write):
    project = project_of(write, "reports", arguments="--gate-margin=0.1\n--model=X\n")
    done = installation.run(project, "pytest", "@arguments")
    assert done.returncode == 4
    assert done.stderr.startswith(f"ERROR: --model: {project}/reports has the name of a package")
    assert done.stderr.rstrip().count("\n") == 0


ADDOPTS = {
    "a margin": ("--gate-margin=0.1",),
    "a value after a blank": ("--gate-directory tests",),
    "reports": ("--gate-report=r.html", "--gate-json=r.json"),
    "switches": ("--gate-no-forgetting", "--gate-allow-python"),
}


@pytest.mark.parametrize("command", PYTEST, ids=" ".join)
@pytest.mark.parametrize("options", ADDOPTS)
def test_options_without_a_model_are_accepted_and_the_gate_is_off(installation, write, command, options):
    table = f"addopts = {[part for each in ADDOPTS[options] for part in each.split()]}\n"
    own = "def pytest_addoption(parser):\n    parser.addoption('--own', default='x')\n"
    names = ("harness", "reports", "trainers")
    project = project_of(write, *names, **{"pyproject.toml": PATH + table, "conftest.py": own})
    for more in ((), ("--own=y",)):
        done = installation.run(project, *command, *more)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "3 passed" in done.stdout
        assert sum("tunegate: off: " in line for line in done.stdout.splitlines()) == 1
    typed = installation.run(project, *command, *ADDOPTS[options][0].split())
    assert typed.returncode == 0, typed.stdout + typed.stderr


@pytest.mark.parametrize(
    ("table", "variables"),
    [
        ("margin = 0.1\n", {}),
        ("", {"TUNEGATE_MARGIN": "0.1", "TUNEGATE_REPORT": "r.html"}),
        ("golden = ['golden_sets']\n", {"TUNEGATE_NO_SUCH": "1"}),
    ],
    ids=["key", "variables", "golden sets"],
)
def test_settings_without_a_model_leave_the_gate_off(installation, write, table, variables):
    text = f"{PATH}[tool.tunegate]\n{table}"
    project = project_of(write, "harness", **{"pyproject.toml": text, "golden_sets/sums.yaml": GOLDEN})
    done = installation.run(project, "pytest", **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
    assert sum("tunegate: off: " in line for line in done.stdout.splitlines()) == 1


def test_an_option_of_the_project_s_own_keeps_its_meaning_where_the_gate_is_off(installation, write):
    conftest = "def pytest_addoption(parser):\n    parser.addoption('--gate-margin', type=int, default=1)\n"
    test = "def test_a(request):\n    assert request.config.getoption('--gate-margin') == 7\n"
    project = project_of(write, "harness", **{"conftest.py": conftest, "tests/test_a.py": test})
    done = installation.run(project, "pytest", "--gate-margin=7")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_help_lists_the_options_where_the_gate_is_off(installation, write):
    done = installation.run(project_of(write, "harness"), "pytest", "--help")
    assert done.returncode == 0
    assert "--gate-margin" in done.stdout


def test_all_options_of_the_gate_are_accepted_where_it_is_off():
    parser = _pytest.config.argparsing.Parser(_ispytest=True)
    every = {*request.ALL_OPTIONS, *(setting.flag for setting in SETTINGS.values())}
    hooks.add_options(parser, every)
    reports.plugin.add_options(parser, every)
    (group,) = [group for group in parser._groups if group.name == "tunegate"]
    switches = {name for option in group.options for name in option.names() if option._action.nargs == 0}
    names = {name for option in group.options for name in option.names()}
    assert switches == {*request.SWITCHES} == pytest_tunegate.SWITCHES
    assert names - switches == {*request.WITH_VALUE, "--model"}
    variables = {environment_variable(name) for name in SETTINGS} | {"TUNEGATE_REPORT", "TUNEGATE_JSON"}
    assert {unused_options.variable_of(name) for name in names} <= variables | {"TUNEGATE_MARKDOWN"}


@pytest.mark.parametrize("variables", [{"TUNEGATE_MODEL": "X"}, {}], ids=["variable", "key"])
def test_a_gate_that_the_settings_ask_for_is_refused_too(installation, write, variables):
    table = "" if variables else "[tool.tunegate]\nmodel = 'X'\n"
    project = project_of(write, "harness", **{"pyproject.toml": PATH + table})
    done = installation.run(project, "pytest", **variables)
    assert done.returncode == 4
    assert done.stderr.startswith(
        "ERROR: TUNEGATE_MODEL: " if variables else "ERROR: [tool.tunegate] model: "
    )


def test_a_conftest_that_puts_its_folder_onto_the_path_is_foreseen(installation, write):
    """Plain pytest, no pythonpath: the root gets onto the path only when its conftest.py is imported."""
    files = {"pyproject.toml": "", "conftest.py": "import reports\nassert reports.OWN\n"}
    project = project_of(write, "reports", **files, **{"golden_sets/sums.yaml": GOLDEN})
    assert installation.run(project, "pytest").returncode == 0
    assert installation.run(project, "pytest", "--model=X").returncode == 4


def test_a_module_and_a_package_beside_the_tests_are_seen_before_golden_sets_are_read(installation, write):
    """The folder ``golden_sets`` is collected before ``tests``, whose folder pytest puts onto the path only then."""
    project = write(
        {
            "pyproject.toml": "",
            "golden_sets/sums.yaml": GOLDEN,
            "tests/harness/__init__.py": "OWN = True\n",
            "tests/reports.py": "OWN = True\n",
            "tests/test_own.py": USES_OWN.format(name="harness")
            + USES_OWN.format(name="reports").replace("_own", "_2"),
        }
    )
    done = installation.run(project, "pytest")
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


@pytest.mark.parametrize("command", PYTEST, ids=" ".join)
def test_modules_in_folders_of_our_names_without_init_are_found(installation, write, command):
    """Python takes an installed package before such a folder; in ours it is found behind our own modules."""
    names = ("reports", "harness", "trainers")
    uses = "def test_own():\n    from {name}.thing import deep\n    import {name}.inner.more\n    assert deep == 1\n"
    files = {f"{name}/thing.py": "deep = 1\n" for name in names}
    files |= {f"{name}/inner/more.py": "" for name in names}
    files |= {f"tests/test_{name}.py": uses.format(name=name) for name in names}
    done = installation.run(write({"pyproject.toml": PATH, **files}), *command)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout


def test_a_packages_folders_follow_pythons_path(tmp_path, monkeypatch):
    for folder in ("one/name", "two/name", "three"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "two/name/__init__.py").touch()
    path = SharedFolders("name", ["own"])
    assert next(iter(path)) == "own"
    monkeypatch.setattr("sys.path", [str(tmp_path / each) for each in ("one", "two", "three")])
    assert [*path] == ["own", str(tmp_path / "one" / "name")]


def test_a_folder_of_results_called_reports_is_no_package(installation, write):
    """Without ``__init__.py`` it takes nothing from ours, so the gate is on."""
    files = {
        "reports/result.xml": "",
        "golden_sets/sums.yaml": GOLDEN,
        "tests/test_one.py": "def test_one(): pass\n",
    }
    project = write({"pyproject.toml": PATH, **files})
    for command in PYTEST:
        done = installation.run(project, *command, "-rs")
        assert done.returncode == 0, done.stderr
        assert "no --model given" in done.stdout
        assert "tunegate: off" not in done.stdout
    refused = installation.run(project, "pytest", "--model=nowhere")
    assert "nowhere" in refused.stderr
    assert "has the name" not in refused.stderr


def test_own_trainers_do_not_stand_in_the_gate_s_way(installation, write):
    project = project_of(write, "trainers", **{"golden_sets/sums.yaml": GOLDEN})
    done = installation.run(project, "pytest")
    assert "1 passed, 1 skipped" in done.stdout
    assert "tunegate: off" not in done.stdout


def test_fixtures_and_hooks_of_the_gate_do_not_break_a_project_in_which_it_is_off(installation, write):
    project = project_of(
        write,
        "harness",
        **{
            "conftest.py": "def pytest_tunegate_report(config, record):\n    return None\n",
            "tests/test_gate.py": "import pytest\n@pytest.mark.golden\ndef test_a(model, generate, judge): pass\n"
            "def test_b(golden): pass\n",
        },
    )
    done = installation.run(project, "pytest", "--strict-markers", "-rs")
    assert done.returncode == 0, done.stdout
    assert "1 passed, 2 skipped" in done.stdout


def test_a_foreign_package_deep_in_the_tests_turns_the_gate_off_and_nothing_else(installation, write):
    """Pytest puts the folder of a test file onto the path when it imports it: too late to be foreseen."""
    project = write(
        {
            "pyproject.toml": "",
            "deep/a/b/harness/__init__.py": "OWN = True\n",
            "deep/a/b/test_c.py": "import harness\n\n\ndef test_own():\n    assert harness.OWN\n",
            "golden_sets/sums.yaml": GOLDEN,
        }
    )
    done = installation.run(project, "pytest")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
    assert "tunegate: off" in done.stdout + done.stderr


FOLDER_OF_TESTS = {
    "tests/harness/__init__.py": "OWN = True\n",
    "tests/harness/helper.py": "DEEP = 1\n",
    "tests/harness/test_in.py": "from .helper import DEEP\nimport harness.helper\n\ndef test_in():\n    assert harness.OWN and DEEP\n",
}


@pytest.mark.parametrize("mode", ["prepend", "append", "importlib"])
@pytest.mark.parametrize("golden", [{}, {"golden_sets/sums.yaml": GOLDEN}], ids=["none", "golden sets"])
def test_a_folder_of_tests_that_is_a_package_of_our_names(installation, write, mode, golden):
    """With ``append`` its folder gets onto the path behind the installed packages."""
    done = installation.run(
        write({"pyproject.toml": "", **FOLDER_OF_TESTS, **golden}), "pytest", f"--import-mode={mode}"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


@pytest.mark.parametrize("add", ["insert(0, {!r})", "append({!r})"])
def test_a_package_that_a_conftest_puts_onto_the_path(installation, write, tmp_path, add):
    line = f"import sys\nsys.path.{add.format(str(tmp_path / 'lib'))}\n"
    files = {
        "conftest.py": line,
        "lib/trainers/__init__.py": "OWN = True\n",
        "lib/reports.py": "OWN = True\n",
    }
    tests = {f"tests/test_{name}.py": USES_OWN.format(name=name) for name in ("trainers", "reports")}
    done = installation.run(write({"pyproject.toml": "", **files, **tests}), "pytest")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_a_foreign_package_deep_in_the_tests_is_foreseen_before_golden_sets_are_read(installation, write):
    files = {"tests/a/b/harness.py": "OWN = True\n", "tests/a/b/test_c.py": USES_OWN.format(name="harness")}
    done = installation.run(write({"pyproject.toml": "", "golden_sets/sums.yaml": GOLDEN, **files}), "pytest")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


@pytest.mark.parametrize("mode", ["prepend", "append"])
def test_a_gate_of_tests_with_a_package_of_our_names_deep_in_them_is_refused(
    installation, write, tiny_adapter_dir, mode
):
    """Its test would get our package, and fail as if the model had."""
    project = write(
        {
            "pyproject.toml": "[tool.pytest.ini_options]\n[tool.tunegate]\n",
            "golden_sets/sums.yaml": GOLDEN,
            "tests/a/b/harness/__init__.py": "OWN = True\n",
            "tests/a/b/test_c.py": "import harness\n\n\ndef test_own(generate):\n    assert harness.OWN\n",
        }
    )
    options = (f"--model={tiny_adapter_dir}", f"--import-mode={mode}", "-q")
    done = installation.run(project, "pytest", *options)
    assert done.returncode == 4, done.stdout + done.stderr
    assert "b/harness has the name of a package of tunegate's" in done.stderr + done.stdout
    assert "tunegate gate --model=DIR" in done.stderr + done.stdout


def test_imports_find_a_projects_package_and_no_other_copy_or_environment(tmp_path, monkeypatch):
    for place in ("p/lib", "p/.venv/site-packages", "elsewhere", "p/copy"):
        (tmp_path / place / "trainers").mkdir(parents=True)
        (tmp_path / place / "trainers" / "__init__.py").touch()
    (tmp_path / "p/copy/tunegate").mkdir()
    (tmp_path / "p/copy/tunegate/own_packages.py").touch()
    finder = own_packages.ProjectFinder([tmp_path / "p"])
    others = ["p/.venv/site-packages", "elsewhere", "p/copy"]
    monkeypatch.setattr("sys.path", [str(tmp_path / each) for each in others])
    assert finder.find_spec("trainers") is None
    monkeypatch.setattr("sys.path", [str(tmp_path / each) for each in (*others, "p/lib")])
    assert finder.find_spec("trainers").origin == str(tmp_path / "p/lib/trainers/__init__.py")
    assert finder.find_spec("harness") is finder.find_spec("trainers.run", []) is None


def test_packages_that_an_installer_links_from_its_cache_are_ours(tmp_path, monkeypatch):
    """Uv links each file on request; other installers link each package's folder."""
    cache, site = tmp_path / "cache", tmp_path / "site"
    for package in ("harness", "tunegate"):
        (cache / package).mkdir(parents=True)
        (cache / package / "__init__.py").touch()
        (site / package).mkdir(parents=True)
        (site / package / "__init__.py").symlink_to(cache / package / "__init__.py")
    (site / "reports").symlink_to(cache / "harness")
    monkeypatch.setattr(own_packages, "OUR_FOLDER", cache / "tunegate")
    monkeypatch.setattr(own_packages, "_INSTALLED_IN", site)
    assert own_packages._is_ours(site / "harness")
    assert own_packages._is_ours(site / "reports")
    assert not own_packages._is_ours(tmp_path / "project" / "harness")


class EditableFinder:
    """As setuptools' editable installations have it, at the end of Python's finders."""

    def __init__(self, **packages):
        self.packages = packages

    def find_spec(self, name, path=None, target=None):
        file = self.packages.get(name)
        return None if file is None else spec_from_file_location(name, file)


def test_a_package_that_only_an_editable_installation_finds_is_the_projects(tmp_path, monkeypatch):
    """Without tunegate it is the one that tests import."""
    package = tmp_path / "src" / "reports" / "__init__.py"
    ours = Path(own_packages.__file__).parents[1] / "harness" / "__init__.py"
    finder = EditableFinder(reports=package, harness=ours)
    monkeypatch.setattr("sys.meta_path", [*sys.meta_path, finder])
    # As in tunegate gate, which has imported ours.
    assert own_packages.foreign_package(()) is None
    monkeypatch.delitem(sys.modules, "reports")
    assert own_packages.foreign_package(()) == package.parent
    assert own_packages.foreign_on_path(()) == package.parent
    assert own_packages.ProjectFinder(()).find_spec("reports").origin == str(package)
    assert own_packages.ProjectFinder(()).find_spec("harness") is None


class BlockingFinder:
    """Some projects forbid packages so."""

    def find_spec(self, name, path=None, target=None):
        raise ModuleNotFoundError(f"{name} is not allowed here")


def test_a_finder_that_refuses_every_name_finds_nothing(monkeypatch):
    """It is the project's own affair; its pytest goes on."""
    monkeypatch.setattr("sys.meta_path", [*sys.meta_path, BlockingFinder()])
    monkeypatch.delitem(sys.modules, "reports")
    assert own_packages.foreign_package(()) is None
    assert own_packages.foreign_on_path(()) is None
