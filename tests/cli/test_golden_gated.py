"""``golden lint`` counts what is gated beside a set: the project's other sets, and forgetting probes."""

import pytest
from typer.testing import CliRunner

from harness.cli.main import app
from harness.golden import load

RUNNER = CliRunner()
SMALL = (
    "its pass rate can regress only beside another metric: 5 clusters can all get worse by chance with a "
    "probability of 0.03125, which counts 2 times for 2 tests"
)


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Writes a set of 25 cases in clusters into the project in which one is."""
    monkeypatch.chdir(tmp_path)

    def write(name, clusters=5, head="", folder="golden_sets"):
        path = tmp_path / folder / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        cases = "".join(
            f"  - {{id: a{n}, prompt: {name} {n}, checks: [{{type: equals, value: v{n}}}], cluster: c{n % clusters}}}\n"
            for n in range(25)
        )
        path.write_text(f"name: {name}\n{head}\ncases:\n{cases}", encoding="utf-8")
        return str(path.relative_to(tmp_path))

    return write


def linted(*arguments):
    return " ".join(RUNNER.invoke(app, ["golden", "lint", *arguments]).output.split())


def test_lint_counts_the_bundled_probes_as_the_gate_does(small, tmp_path):
    """With a share of the level for the probes, five clusters can't regress by themselves."""
    path = small("s")
    assert f"s.yaml: note: {SMALL}, with the bundled probes: make it 6 clusters" in linted()
    assert f"{SMALL}, with the bundled probes" in linted(path)
    assert "can regress only" not in linted("--no-forgetting")
    (tmp_path / "pyproject.toml").write_text("[tool.tunegate]\nforgetting = false\n")
    assert "can regress only" not in linted()
    assert f"{SMALL}, with the bundled probes" in linted("--forgetting")


def test_lint_counts_all_sets_of_the_project_together(small):
    """Of two sets of five clusters none is rejected first; the other one counts where only one is linted, too."""
    first = small("s")
    small("u")
    small("own", clusters=25, head="probes_forgetting: true")
    for arguments in ((), (first,)):
        told = linted("--no-forgetting", *arguments)
        assert (
            f"s.yaml: note: {SMALL.replace('can regress only beside another metric', 'can never regress')}: "
            in told
        )
        told = linted(*arguments)
        assert "s.yaml: note: its pass rate can never regress: 5 clusters" in told
        assert "which counts 3 times for 3 tests: make it" in told
        assert "bundled" not in told


def test_sets_of_other_places_are_no_part_of_the_project(small):
    """A path that is linted by itself is gated by itself; several may be of several projects."""
    small("s")
    apart, other = small("t", folder="apart"), small("u", folder="apart")
    for arguments in ((apart,), (apart, other)):
        assert "t.yaml: note: its pass rate" not in linted("--no-forgetting", *arguments)
    assert "t.yaml: note: its pass rate can never regress" in linted("--no-forgetting", "apart")
    assert f"t.yaml: note: {SMALL}, with the bundled probes" in linted(apart, other)


def test_probes_are_read_only_where_they_matter(small, monkeypatch):
    """A lint of a set that shows enough beside any others takes no longer."""
    read = []
    monkeypatch.setattr(load, "bundled_probes", lambda: read.append("probes") or [])
    path = small("s", clusters=12)
    assert "1 set, 0 findings" in linted(path)
    assert read == []
    small("s", clusters=5)
    linted(path)
    assert read == ["probes"]
    linted(path, "--no-forgetting")
    assert read == ["probes"]
