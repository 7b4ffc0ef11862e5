"""tunegate as an installation has it: its packages and entry points, beside the libraries of this environment."""

import os
import subprocess
import sysconfig
import tempfile
import tomllib
import venv
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


@dataclass(frozen=True)
class Installation:
    """A virtual environment whose metadata is that of this checkout's pyproject.toml."""

    scripts: Path
    copies: Any

    def run(self, cwd, *command, **variables):
        """Run a command in a folder, with nothing on the path but what the environment installed; libraries are loaded."""
        with tempfile.TemporaryDirectory() as name:
            output, errors = Path(name, "output"), Path(name, "errors")
            wait = self.start(cwd, *command, output=output, errors=errors, **variables)
            return subprocess.CompletedProcess(command, wait(), output.read_text(), errors.read_text())

    def start(self, cwd, *command, output, errors, **variables):
        """Start the same with given files for what it writes; answers the function that waits for its exit status."""
        models = [word.partition("=")[2] for word in command if word.startswith("--model=")]
        process = self.copies(self.scripts / "python", heavy=any(map(os.path.isdir, models)))
        words = command[1:] if command[0] == "python" else (self.scripts / command[0], *command[1:])
        process.start(words, cwd, _variables() | variables, output, errors)
        return process.wait

    def run_new(self, cwd, *command, **variables):
        """Run the same as :meth:`run` in a new process, which has loaded nothing."""
        return subprocess.run(
            [str(self.scripts / command[0]), *command[1:]],
            cwd=cwd,
            env=_variables() | variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )


def _variables():
    hidden = {"PYTHONPATH", "PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTHONSAFEPATH", "PYTEST_CURRENT_TEST"}
    return {
        name: value
        for name, value in os.environ.items()
        if name not in hidden and not name.startswith(("TUNEGATE_", "PYTEST_XDIST"))
    }


@pytest.fixture(scope="session")
def installation(tmp_path_factory, copies):
    """The libraries are links to those installed here; an older installation of tunegate itself is left out."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True, with_pip=False)
    scripts = Path(sysconfig.get_path("scripts", "venv", vars={"base": str(folder)}))
    packages = Path(sysconfig.get_path("purelib", "venv", vars={"base": str(folder)}))
    own = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    for library in {Path(sysconfig.get_path(kind)) for kind in ("purelib", "platlib")}:
        for entry in library.iterdir():
            is_wanted = entry.name not in own and "tunegate" not in entry.name and not _is_plugin(entry)
            if is_wanted and not (packages / entry.name).exists():
                (packages / entry.name).symlink_to(entry)
    for name in (*own, "golden_sets"):
        (packages / name).symlink_to(ROOT / name)
    _write_metadata(packages / "tunegate-0.dist-info")
    (pytest_script,) = entry_points(group="console_scripts", name="pytest")
    for name, target in {"pytest": pytest_script.value, **PROJECT["project"]["scripts"]}.items():
        module, _, function = target.partition(":")
        script = scripts / name
        script.write_text(
            f"#!{scripts / 'python'}\nimport sys\nfrom {module} import {function}\nsys.exit({function}())\n"
        )
        script.chmod(0o755)
    return Installation(scripts, copies)


def _is_plugin(entry):
    """Whether an entry is the metadata of a pytest plugin: others would only take time here."""
    points = entry / "entry_points.txt"
    return points.is_file() and "[pytest11]" in points.read_text()


def _write_metadata(folder):
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.4\nName: tunegate\nVersion: 0.1.0\n")
    # pytest rewrites the assertions of the packages of a distribution with plugins.
    own = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    files = (name if name.endswith(".py") else f"{name}/__init__.py" for name in own)
    (folder / "RECORD").write_text("".join(f"{name},,\n" for name in files))
    groups = {"console_scripts": PROJECT["project"]["scripts"], **PROJECT["project"]["entry-points"]}
    lines = []
    for group, entries in groups.items():
        lines += [f"[{group}]", *(f"{name} = {target}" for name, target in entries.items())]
    (folder / "entry_points.txt").write_text("\n".join(lines) + "\n")


@pytest.fixture
def write(tmp_path):
    """Write files of a project, given by path; answers the project's folder."""

    def write_files(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write_files
