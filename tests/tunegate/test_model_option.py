"""A project that has an option of our names of its own keeps it, ``--model`` say: the gate's is ``--gate-model``."""

import pytest

from tunegate.unused_options import own_options_line

CONFTEST = """
import pytest

def pytest_addoption(parser):
    parser.addoption("--model", default="tiny", help="my own model option")

@pytest.fixture
def model(request):
    return request.config.getoption("--model")
"""
TEST = "def test_a(model):\n    assert model == {!r}\n"
GOLDEN = "name: sums\ncases:\n  - {id: a, prompt: 1 + 1?, checks: [{type: contains, value: '2'}]}\n"
LINE = "tunegate: --model is this project's own option here; the gate's is --gate-model"


@pytest.mark.parametrize("place", ["conftest.py", "tests/conftest.py"])
@pytest.mark.parametrize(
    ("arguments", "value"),
    [((), "tiny"), (("--model=big",), "big"), (("--model", "big"), "big"), (("-h",), None)],
)
def test_a_conftest_s_own_option_works_and_one_line_says_so(installation, write, place, arguments, value):
    project = write({"pyproject.toml": "", place: CONFTEST, "tests/test_a.py": TEST.format(value)})
    done = installation.run(project, "pytest", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    if value is None:
        assert "my own model option" in done.stdout
        assert "--gate-model" in done.stdout
        return
    assert "1 passed" in done.stdout
    assert done.stdout.count(LINE) == 1


def test_a_quiet_session_s_output_is_left_alone(installation, write):
    project = write({"pyproject.toml": "", "conftest.py": CONFTEST, "tests/test_a.py": TEST.format("tiny")})
    quiet = installation.run(project, "pytest", "-q")
    assert quiet.stderr == LINE + "\n"
    assert "tunegate" not in quiet.stdout


def test_the_gate_is_reached_by_the_long_name(installation, write):
    project = write({"pyproject.toml": "", "conftest.py": CONFTEST, "golden_sets/sums.yaml": GOLDEN})
    done = installation.run(project, "pytest", "--gate-model=nowhere", "--model=tiny")
    assert done.returncode == 4
    assert "nowhere" in done.stderr


def test_a_conftest_found_during_collection_may_add_it_too(installation, write):
    """Its default is then known; without us that works, so it has to with us."""
    files = {"pyproject.toml": "", "deep/er/conftest.py": CONFTEST, "deep/er/test_a.py": TEST.format("tiny")}
    done = installation.run(write({**files, "golden_sets/sums.yaml": GOLDEN}), "pytest")
    assert "1 passed, 1 skipped" in done.stdout, done.stdout


@pytest.mark.parametrize("package_first", [True, False])
def test_another_plugin_s_option_works(installation, write, package_first):
    name = "aaa_plugin" if package_first else "zzz_plugin"
    project = write({"pyproject.toml": "", f"{name}.py": CONFTEST, "test_a.py": TEST.format("big")})
    done = installation.run(project, "python", "-m", "pytest", "-p", name, "--model=big")
    assert done.returncode == 0, done.stdout + done.stderr
    assert LINE in done.stdout


def test_the_value_after_a_blank_is_no_place_to_look_for_conftest_files(installation, write):
    """With ``--model DIR`` the project's conftest.py is still the first one, so its options are known."""
    option = "def pytest_addoption(parser):\n    parser.addoption('--own', default='x')\n"
    project = write(
        {"pyproject.toml": "", "conftest.py": option, "models/a/adapter_config.json": "{}", "test_a.py": ""}
    )
    done = installation.run(project, "pytest", "--model", "models/a", "--own=y", "test_a.py")
    assert "unrecognized arguments" not in done.stderr
    done = installation.run(project, "pytest", "--own=y", "--model", "models/a")
    assert "unrecognized arguments" not in done.stderr
    assert "no golden set" in done.stderr or "adapter_config.json" in done.stderr


@pytest.mark.parametrize("form", [("@arguments",), ("--model", "nowhere")], ids=" ".join)
def test_the_option_is_found_in_files_of_arguments_and_in_the_configuration(installation, write, form):
    project = write({"pyproject.toml": "", "arguments": "--model=nowhere\n", "golden_sets/sums.yaml": GOLDEN})
    assert "nowhere" in installation.run(project, "pytest", *form).stderr
    (project / "pytest.ini").write_text("[pytest]\naddopts = --model=nowhere\n")
    assert "nowhere" in installation.run(project, "pytest").stderr
    (project / "pytest.ini").unlink()
    assert "nowhere" in installation.run(project, "pytest", PYTEST_ADDOPTS="--model=nowhere").stderr


def test_a_conftest_may_name_the_plugin_where_automatic_loading_is_off(installation, write):
    project = write({"pyproject.toml": "", "golden_sets/sums.yaml": GOLDEN})
    for variables, name in (
        ({}, "tunegate.pytest_plugin"),
        ({}, "pytest_tunegate"),
        ({"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}, "tunegate"),
    ):
        (project / "conftest.py").write_text(f"pytest_plugins = [{name!r}]\n")
        done = installation.run(project, "pytest", "--model=nowhere", **variables)
        assert done.returncode == 4
        assert "nowhere" in done.stderr
        assert "1 skipped" in installation.run(project, "pytest", **variables).stdout


OWN = "def pytest_addoption(parser):\n    parser.addoption('{}', default='mine')\n"
VALUE = "def test_a(request):\n    assert request.config.getoption('{}') == {!r}\n"


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("--gate-margin", "TUNEGATE_MARGIN"),
        ("--gate-json", "TUNEGATE_JSON"),
        ("--gate-model", "TUNEGATE_MODEL"),
    ],
)
@pytest.mark.parametrize("given", [False, True])
def test_any_other_option_of_our_names_stays_the_project_s(installation, write, name, variable, given):
    """With golden sets, which load the gate, and without a traceback where the option is used."""
    project = write({
        "pyproject.toml": "", "conftest.py": OWN.format(name), "golden_sets/sums.yaml": GOLDEN,
        "tests/test_a.py": VALUE.format(name, "0.5" if given else "mine"),
    })  # fmt: skip
    done = installation.run(project, "pytest", *([f"{name}=0.5"] if given else []))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed, 1 skipped" in done.stdout
    line = f"tunegate: {name} is this project's own option here; the gate's is {variable}"
    assert done.stdout.count(line) == 1


def test_a_model_is_gated_where_the_project_owns_other_options(installation, write):
    project = write(
        {"pyproject.toml": "", "conftest.py": OWN.format("--gate-margin"), "golden_sets/sums.yaml": GOLDEN}
    )
    done = installation.run(project, "pytest", "--model=nowhere", "--gate-margin=many")
    assert done.returncode == 4
    assert "nowhere" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_command_refuses_where_no_option_can_name_its_model(installation, write):
    project = write(
        {"pyproject.toml": "", "conftest.py": OWN.format("--gate-model"), "golden_sets/sums.yaml": GOLDEN}
    )
    done = installation.run(project, "tunegate", "gate", "--model=nowhere")
    assert done.returncode == 4
    assert "the gate's is TUNEGATE_MODEL" in done.stderr


def test_the_line_about_several_options_names_what_sets_each():
    assert own_options_line({"--model", "--gate-model"}).endswith(
        "--gate-model and --model are this project's own options here; the gate's is TUNEGATE_MODEL"
    )
    assert own_options_line({"--gate-no-forgetting", "--model"}) == (
        "--gate-no-forgetting and --model are this project's own options here; the gate's are "
        "TUNEGATE_FORGETTING and --gate-model"
    )


def test_pytest_s_own_option_switches_all_of_it_off(installation, write):
    """No option, no golden set and no fixture is ours then, and no command takes it for a gate."""
    test = "import pytest\n@pytest.mark.xfail(raises=LookupError, strict=True)\ndef test_a(request): request.getfixturevalue('golden')\n"
    project = write({"pyproject.toml": "", "golden_sets/sums.yaml": GOLDEN, "tests/test_a.py": test})
    off = ("-p", "no:tunegate")
    assert "1 xfailed in" in installation.run(project, "pytest", *off, TUNEGATE_MODEL="nowhere").stdout
    done = installation.run(project, "tunegate", "gate", *off, TUNEGATE_MODEL="nowhere")
    assert (done.returncode, done.stderr) == (
        4,
        "ERROR: nothing would be gated: -p no: switches the gate off\n\n",
    )
