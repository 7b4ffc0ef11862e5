"""``tunegate gate`` is pytest's gate with our packages, in whatever project it is run."""

import pytest

GOLDEN = "name: sums\ncases:\n  - {id: a, prompt: 1 + 1?, checks: [{type: contains, value: '2'}]}\n"
PATH = "[tool.pytest.ini_options]\npythonpath = ['.']\n"
OWN = {"harness/__init__.py": "OWN = True\n", "reports/__init__.py": "OWN = True\n"}


@pytest.fixture
def project(write):
    return write({"pyproject.toml": PATH, "golden_sets/sums.yaml": GOLDEN, **OWN})


@pytest.mark.parametrize("command", [("tunegate",), ("python", "-m", "tunegate")], ids=" ".join)
def test_it_collects_the_golden_sets_of_a_project_with_packages_of_our_names(
    installation, project, tiny_adapter_dir, command
):
    arguments = (f"--model={tiny_adapter_dir}", "--gate-no-forgetting", "--collect-only", "-q")
    done = installation.run(project, *command, "gate", *arguments, PYTHONPATH=str(project))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("golden_sets/sums.yaml::a\n")


def test_pytest_does_not_warn_that_our_packages_are_imported_already(installation, project, tiny_adapter_dir):
    arguments = (f"--model={tiny_adapter_dir}", "--gate-no-forgetting", "--collect-only", "-q")
    done = installation.run(project, "tunegate", "gate", *arguments)
    assert done.returncode == 0
    assert "PytestAssertRewriteWarning" not in done.stdout + done.stderr


def test_other_commands_work_there_too(installation, project):
    done = installation.run(project, "tunegate", "golden", "lint", PYTHONPATH=str(project))
    assert done.returncode == 0, done.stderr
    assert done.stderr.endswith("1 set, 0 findings\n")


def test_the_model_option_is_the_gate_s_whoever_else_has_it(installation, project):
    (project / "conftest.py").write_text("def pytest_addoption(parser):\n    parser.addoption('--model')\n")
    for form in (["--model=nowhere"], ["--model", "nowhere"]):
        done = installation.run(project, "tunegate", "gate", *form)
        assert done.returncode == 4
        assert "no model 'nowhere'" in done.stderr


def test_it_gates_where_plugins_are_not_loaded_by_themselves(installation, project):
    command = ("tunegate", "gate", "--model=nowhere")
    assert (
        "no model 'nowhere'" in installation.run(project, *command, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1").stderr
    )
    done = installation.run(project, *command, "--disable-plugin-autoload")
    assert "nothing would be gated: no plugin is loaded by itself: add -p tunegate" in done.stderr
    assert (
        "no model 'nowhere'"
        in installation.run(project, *command, "--disable-plugin-autoload", "-p", "tunegate").stderr
    )


def test_a_conftest_that_needs_the_project_s_own_package_is_told_what_to_do(installation, project):
    (project / "reports" / "layout.py").write_text("")
    (project / "conftest.py").write_text("import reports.layout\n")
    done = installation.run(project, "tunegate", "gate", "--model=nowhere")
    assert done.returncode == 4
    assert "No module named 'reports.layout'" in done.stderr
    assert "add --noconftest" in done.stderr
    assert done.stderr.rstrip().count("\n") == 0
    assert (
        "no model 'nowhere'"
        in installation.run(project, "tunegate", "gate", "--model=nowhere", "--noconftest").stderr
    )


def test_tests_that_import_the_project_s_own_package_are_refused(installation, project, tiny_adapter_dir):
    """They would get ours, and a test that fails is a regression."""
    tests = project / "tests"
    tests.mkdir()
    arguments = ("gate", f"--model={tiny_adapter_dir}", "--gate-no-forgetting", "--collect-only", "-q")
    (tests / "test_others.py").write_text("import json\n\ndef test_it():\n    assert json\n")
    done = installation.run(project, "tunegate", *arguments, "tests", "golden_sets")
    assert done.returncode == 0, done.stdout + done.stderr
    own = "def test_own(model):\n    import harness.parts as parts\n    assert parts\n"
    (tests / "test_own.py").write_text(own)
    done = installation.run(project, "tunegate", *arguments, "tests", "golden_sets")
    assert done.returncode == 4
    said = f"ERROR: {tests / 'test_own.py'}: imports harness, and here that is tunegate's own package, not "
    assert said in done.stderr
    assert installation.run(project, "tunegate", *arguments, "golden_sets").returncode == 0


def test_a_broken_conftest_is_still_pytest_s_to_report(installation, project):
    (project / "conftest.py").write_text("import nothing_of_this_name\n")
    done = installation.run(project, "tunegate", "gate", "--model=nowhere")
    assert done.returncode == 4
    assert "ImportError while loading conftest" in done.stderr


def test_without_a_model_there_is_nothing_to_gate(installation, project):
    done = installation.run(project, "tunegate", "gate", "-q")
    assert done.returncode == 4
    assert done.stderr == "ERROR: no model: give --model=DIR\n\n"
