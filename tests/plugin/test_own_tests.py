"""Which hand-written tests belong to a gate, however they ask, and however they are left out."""

from types import SimpleNamespace

import pytest

from harness.plugin import selection

ASKING = "def test_asks(generate): assert generate('What?').text\n"
UNIT = "def test_unit(): pass\n"
WRAPPED = "import pytest\n@pytest.fixture\ndef wrapped(generate): return generate\n"


@pytest.fixture
def tested(project):
    """A project with testpaths; writes a file below them."""
    project.pytester.makeini("[pytest]\ntestpaths = tests\n")
    (project.pytester.path / "tests").mkdir()

    def write(name, text):
        (project.pytester.path / "tests" / name).write_text(text)

    project.write = write
    return project


def left_out(project, *arguments):
    """What a listing of the gate's items says is left out."""
    result = project.run("--collect-only", "-q", *arguments)
    lines = [line.partition("left out: ")[2] for line in result.outlines if "left out" in line]
    return lines[0] if lines else None


@pytest.mark.parametrize(
    "arguments",
    [
        ["--ignore=tests/test_hand.py"],
        ["--ignore-glob=*hand*"],
        ["--deselect=tests/test_hand.py::test_asks"],
        ["-o", "python_files=check_*.py"],
        ["-o", "python_functions=check_*"],
        ["-p", "no:python"],
        ["golden_sets"],
        ["golden_sets", "tests/test_other.py"],
        ["golden_sets", "tests/test_hand.py::test_unit"],
        ["-k", "not asks"],
    ],
    ids=" ".join,
)
def test_a_test_of_the_model_is_named_however_it_is_left_out(tested, arguments):
    tested.write("test_hand.py", ASKING + UNIT)
    tested.write("test_other.py", UNIT)
    named = left_out(tested, *arguments)
    assert named.startswith("tests (tests/test_hand.py")
    assert "test_unit" not in named
    assert "test_other" not in named


@pytest.mark.parametrize(
    "conftest",
    [
        "collect_ignore = ['test_hand.py']",
        "collect_ignore_glob = ['*hand*']",
        "def pytest_ignore_collect(collection_path): return collection_path.name == 'test_hand.py' or None",
        "import pytest\n@pytest.hookimpl(wrapper=True)\ndef pytest_collection_modifyitems(items):\n    yield\n"
        "    items[:] = [item for item in items if 'asks' not in item.name]",
    ],
    ids=["collect_ignore", "collect_ignore_glob", "hook", "dropped"],
)
def test_what_a_conftest_leaves_out_is_named_too(tested, conftest):
    tested.write("conftest.py", conftest)
    tested.write("test_hand.py", ASKING)
    assert left_out(tested).startswith("tests (tests/test_hand.py")


THAT_ASK = [
    "def test_asks(wrapped): pass",
    "import pytest\n@pytest.mark.usefixtures('generate')\ndef test_asks(): pass",
    "import pytest\npytestmark = pytest.mark.usefixtures('generate')\ndef test_asks(): pass",
    "class TestModel:\n    async def test_asks(self, judge): pass",
    "import pytest\n@pytest.fixture(autouse=True)\ndef always(model): pass\ndef test_asks(): pass",
    "import pytest\n@pytest.fixture(name='mine')\ndef _mine(wrapped): pass\ndef test_asks(mine): pass",
    "import unittest\nclass Model(unittest.TestCase):\n    @__import__('pytest').fixture(autouse=True)\n"
    "    def ask(self, generate): pass\n    def test_asks(self): pass",
    "if True:\n    def test_asks(request): request.getfixturevalue('generate')",
    "import pytest\n@pytest.mark.parametrize('name', ['generate'])\n"
    "def test_asks(request, name): request.getfixturevalue(name)",
]
OTHERS = [
    UNIT,
    "def test_cut(:\n",
    "def helper(generate): pass\n",
    "import pytest\n@pytest.fixture\ndef model(): return 1\ndef test_mine(model): pass",
    "def test_late(request): request.getfixturevalue('tmp_path')",
]


def test_files_that_are_not_collected_are_read(tested, monkeypatch):
    """Not imported: only tests that ask make the gate partial without them, and no environment is searched."""
    monkeypatch.setattr("harness.plugin.selection._MOST_NAMED", 99)
    tested.write("conftest.py", WRAPPED)
    for number, text in enumerate(THAT_ASK):
        tested.write(f"test_asking{number}.py", text)
    for number, text in enumerate(OTHERS):
        tested.write(f"test_other{number}.py", text)
    (tested.pytester.path / "tests/.venv").mkdir()
    tested.write(".venv/test_foreign.py", ASKING)
    named = ", ".join(f"tests/test_asking{number}.py" for number in range(len(THAT_ASK)))
    assert left_out(tested, "golden_sets") == f"tests ({named})"


def test_all_tests_of_the_setting_paths_belong(tested):
    tested.pytester.makepyprojecttoml("[tool.tunegate]\npaths = ['tests']\n")
    tested.write("test_hand.py", ASKING)
    tested.write("test_other.py", UNIT)
    assert left_out(tested, "--ignore=tests/test_other.py") == "tests (tests/test_other.py)"
    assert left_out(tested, "-k", "not unit") == "tests (tests/test_other.py::test_unit)"
    assert left_out(tested) is None


CLASS = "class TestA:\n    def test_x(self): pass\n    def test_y(self): pass\n"
TWICE = "import pytest\n@pytest.mark.parametrize('n', ['a', 'b::c'])\ndef test_each(n): pass\n"


@pytest.mark.parametrize(
    ("path", "kept", "without"),
    [
        ("test_u.py::test_unit", "test_u.py", "test_u.py::test_asks"),
        ("test_u.py::TestA", "test_u.py::TestA", "test_u.py::TestA::test_y"),
        ("test_u.py::TestA::test_x", "test_u.py::TestA", "test_u.py::TestA::test_y"),
        ("test_u.py::test_each[b::c]", "test_u.py", "test_u.py::test_each[a]"),
    ],
)
def test_node_ids_of_the_setting_paths_belong(tested, path, kept, without):
    """However they are left out: not collected, not selected, or deselected."""
    tested.pytester.makepyprojecttoml(f"[tool.tunegate]\npaths = ['tests/{path}']\n")
    tested.write("test_u.py", UNIT + ASKING + CLASS + TWICE)
    assert left_out(tested) is None
    assert left_out(tested, "golden_sets", f"tests/{kept}") is None
    named = left_out(tested, "golden_sets", f"tests/{without}")
    assert named.startswith("tests (tests/test_u.py::")
    assert left_out(tested, "golden_sets") == f"tests (tests/{path})"
    assert left_out(tested, "-k", "capitals").startswith(f"tests (tests/{path}")


def test_a_missing_path_of_the_setting_is_bad_input_whatever_the_command_line_names(tested):
    tested.pytester.makepyprojecttoml("[tool.tunegate]\npaths = ['tests/nope.py::test_a']\n")
    for arguments in ([], ["golden_sets"]):
        result = tested.run(*arguments)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(["ERROR: paths: *tests/nope.py does not exist (allowed: *"])


def test_the_other_parameters_of_a_test_are_named(tested):
    tested.write("test_hand.py", TWICE.replace("(n)", "(n, generate)"))
    assert left_out(tested, "golden_sets", "tests/test_hand.py::test_each[a]") == (
        "tests (tests/test_hand.py::test_each[b::c])"
    )
    assert left_out(tested, "golden_sets", "tests/test_hand.py") is None


@pytest.mark.parametrize("testpaths", [".", "{root}/tests", "./tests/../tests", "test[s]"])
def test_tests_are_found_however_testpaths_are_written(tested, testpaths):
    tested.pytester.makeini(f"[pytest]\ntestpaths = {testpaths.format(root=tested.pytester.path)}\n")
    tested.write("test_hand.py", ASKING)
    assert left_out(tested) is None
    assert left_out(tested, "golden_sets") == "tests (tests/test_hand.py)"
    tested.run("--collect-only", "-q").stdout.fnmatch_lines(
        ["tests/test_hand.py::test_asks", "*11 tests collected*"]
    )


AT_RUN_TIME = """
import pytest
NAMES = ["generate"]

@pytest.fixture(params=["generate", "capsys"])
def either(request): return request.getfixturevalue(request.param)

def ask(request): return request.getfixturevalue("generate")

def test_late(request): assert request.getfixturevalue("generate")("What?").text
def test_by_helper(request): assert ask(request)("What?").text
def test_by_list(request): assert [request.getfixturevalue(name) for name in NAMES][0]("What?").text
def test_either(either): pass
def test_nested(request):
    def inner(): return request.getfixturevalue("generate")
    assert inner()("What?").text
class TestClass:
    def ask(self, request): return request.getfixturevalue("generate")
    def test_method(self, request): assert self.ask(request)("What?").text
def test_other(request): assert request.getfixturevalue("tmp_path")
def test_plain(request): assert request.node.name
"""


def test_a_test_that_gets_the_model_at_run_time_belongs(tested):
    tested.write("test_late.py", AT_RUN_TIME)
    result = tested.run("--collect-only", "-q")
    found = [line.partition("test_late.py::")[2] for line in result.outlines if "test_late" in line]
    assert found == [
        "test_late",
        "test_by_helper",
        "test_by_list",
        "test_either[generate]",
        "test_nested",
        "TestClass::test_method",
    ]


BROKEN = "import nosuchmodule\n"


@pytest.mark.parametrize("arguments", [[], ["-x"], ["--maxfail=1"]])
def test_a_file_that_cannot_be_collected_is_bad_input_and_not_a_regression(tested, arguments):
    tested.write("test_broken.py", BROKEN)
    result = tested.run(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(
        [
            "ERROR: tests/test_broken.py could not be collected, and nothing was gated: fix it, or gate without*"
        ]
    )
    assert not tested.opened


def test_a_gate_goes_on_without_a_broken_file_and_is_partial(tested):
    tested.write("test_broken.py", BROKEN)
    tested.write("test_hand.py", ASKING)
    result = tested.run("--continue-on-collection-errors", "--gate-accept=ship")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(
        [
            "tunegate: partial run, left out: tests (tests/test_broken.py (could not be collected))",
            "*INCONCLUSIVE*",
            "ERROR: *can't be accepted as ship: tests/test_broken.py (could not be collected) was left out*",
            "ERROR: tests/test_broken.py could not be collected, and the gate is without it",
        ]
    )
    result.assert_outcomes(passed=11, errors=1)


def test_a_regression_beside_a_broken_file_is_a_regression(tested):
    tested.write("test_broken.py", BROKEN)
    tested.write("test_hand.py", "def test_asks(generate): assert not generate('What?').text\n")
    result = tested.run("--continue-on-collection-errors")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*REGRESS*"])


def test_tests_of_the_model_belong_in_a_project_without_testpaths(tested):
    """Only files with such a test are imported; a path that testpaths name and that isn't there hides none."""
    tested.write("conftest.py", WRAPPED)
    tested.write("test_hand.py", "def test_asks(wrapped): assert not wrapped('What?').text\n" + UNIT)
    tested.write("test_other.py", "import not_installed\n")
    for ini in ("[pytest]\n", "[pytest]\ntestpaths = nowhere\n"):
        tested.pytester.makeini(ini)
        assert left_out(tested) is None
        assert left_out(tested, "golden_sets") == "tests (tests/test_hand.py)"
    result = tested.run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["*REGRESS*", "*1 hand-written test of the model failed: tests/test_hand.py::test_asks*"]
    )
    assert not any("test_unit" in line for line in result.outlines)


@pytest.mark.parametrize(
    ("fixture", "left_out"),
    [
        ("raise ConnectionError('no database')", "tests (tests/test_hand.py::test_asks (error at setup))"),
        ("yield\n    raise ConnectionError('no database')", None),
    ],
    ids=["setup", "teardown"],
)
def test_what_breaks_around_a_test_of_the_model_is_no_regression(tested, fixture, left_out):
    text = f"import pytest\n@pytest.fixture\ndef own():\n    {fixture}\n"
    tested.write("test_hand.py", text + ASKING.replace("generate)", "generate, own)"))
    result = tested.run("--gate-accept=ship")
    assert result.ret == pytest.ExitCode.TESTS_FAILED  # as by any other test of the project's
    shown = result.stdout.str()
    assert "REGRESS" not in shown
    assert "INCONCLUSIVE" in shown
    assert "ERROR: --gate-accept ship: not accepted" in shown
    named = [line.partition("left out: ")[2] for line in result.outlines if "left out: " in line]
    assert named == ([left_out] if left_out else [])


def test_no_plugin_makes_a_success_of_a_regression(tested):
    tested.write("test_hand.py", "def test_asks(generate): assert not generate('What?').text\n")
    tested.pytester.makeconftest("def pytest_sessionfinish(session): session.exitstatus = 0\n")
    assert tested.run().ret == 1
    assert tested.run("golden_sets").ret == 0


@pytest.mark.parametrize(
    ("inipath", "searched"),
    [(None, "here"), ("pytest.ini", ".")],
    ids=["without configuration", "configured"],
)
def test_without_configuration_no_foreign_folder_is_searched_for_tests(tmp_path, inipath, searched):
    """A root is then only what all paths share: / or a folder of all projects."""
    (tmp_path / "here").mkdir()
    config = SimpleNamespace(
        rootpath=tmp_path,
        inipath=inipath and tmp_path / inipath,
        invocation_params=SimpleNamespace(dir=tmp_path / "here", args=("--rootdir", str(tmp_path))),
    )
    assert selection._searched(config) == tmp_path / searched


NESTED = {
    "pyproject.toml": "[tool.pytest.ini_options]\ntestpaths = ['tests', 'sub/other']\n",
    "tests/test_above.py": ASKING,
    "sub/pyproject.toml": "[tool.tunegate]\n",
    "sub/tests/test_in_it.py": ASKING + UNIT,
    "sub/src/empty.txt": "",
    "sub/deeper/pyproject.toml": "[tool.tunegate]\n",
    "sub/deeper/test_of_another.py": ASKING,
}
AROUND = {
    "pyproject.toml": "[tool.tunegate]\n[tool.pytest]\ntestpaths = ['tests', 'sub']\n",
    "conftest.py": WRAPPED,
    "tests/test_one.py": ASKING.replace("generate", "wrapped"),
    "sub/pytest.ini": "[pytest]\ntestpaths = tests\n",
    "sub/tests/test_two.py": ASKING.replace("generate", "wrapped").replace("assert ", "assert not "),
    "elsewhere/test_no.py": ASKING,
}


@pytest.fixture
def folders(project, monkeypatch):
    """Writes files, moves the golden sets into a folder, and goes to one."""
    root = project.pytester.path

    def write(files, golden, here):
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        (root / "golden_sets").rename(root / golden)
        monkeypatch.chdir(root / here)

    return write


@pytest.mark.parametrize("here", ["sub", "sub/src"])
@pytest.mark.parametrize(
    "arguments",
    [[], ["--rootdir={root}"], ["-c", "{root}/pyproject.toml"], ["-o", "testpaths=tests"]],
    ids=["", "--rootdir", "-c", "-o"],
)
def test_a_project_below_pytests_root_has_its_own_tests_only(project, folders, here, arguments):
    folders(NESTED, "sub/golden_sets", here)
    arguments = [each.format(root=project.pytester.path) for each in arguments]
    assert left_out(project, *arguments) is None
    lines = project.run("--collect-only", "-q", *arguments).outlines
    assert [line for line in lines if "test_" in line] == ["sub/tests/test_in_it.py::test_asks"]
    golden = project.pytester.path / "sub" / "golden_sets"
    assert left_out(project, *arguments, str(golden)) == "tests (sub/tests/test_in_it.py)"


def test_testpaths_of_a_folder_above_count_where_they_name_places_in_the_project(project, folders):
    folders({**NESTED, "sub/other/test_there.py": ASKING}, "sub/golden_sets", "sub")
    lines = project.run("--collect-only", "-q").outlines
    assert [line for line in lines if "test_" in line] == ["sub/other/test_there.py::test_asks"]


@pytest.mark.parametrize("here", [".", "sub", "sub/tests"])
def test_a_project_above_pytests_root_is_gated_alike_from_each_of_its_folders(project, folders, here):
    """Its fixtures too; and a failure counts though pytest gives both tests one node id."""
    folders(AROUND, "golden_sets", here)
    result = project.run()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=11, failed=1)
    result.stdout.fnmatch_lines(["*1 hand-written test of the model failed: *tests/test_two.py::test_asks*"])
    assert not any("partial run" in line for line in result.outlines)
