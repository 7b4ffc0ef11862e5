"""Builds wheel and sdist, installs each in a clean environment, and runs what has to work without any extra.

python .ci/install_check.py [PYTHON ...]     # every Python that is found, 3.11 to 3.13, by default
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
GOLDEN = (
    "name: sums\ncases:\n  - {id: a, prompt: 1 + 1?, checks: [{type: contains, value: '2'}], tags: [t]}\n"
)
# Each command, its exit status, and what it has to say.
COMMANDS = (
    (("tunegate", "--version"), 0, "tunegate "),
    (("tunegate", "--help"), 0, "golden"),
    (("tunegate", "golden", "lint"), 0, "1 set, 0 findings"),
    (("tunegate", "power"), 0, "sums"),
    (("tunegate", "train", "sft", "--init"), 0, "base: smollm2"),
    (("pytest", "-q"), 0, "1 skipped"),
    (("pytest", "-q", "--model=nowhere"), 4, "no model 'nowhere'"),
    (("tunegate", "gate", "-q", "--model=nowhere"), 4, "no model 'nowhere'"),
    (("tunegate", "golden", "schema"), 0, "$defs"),
    (("tunegate", "runs", "list"), 4, "no history here"),
)


def pythons() -> list[str]:
    """The Pythons that are asked for, or those that run."""
    asked = sys.argv[1:] or [sys.executable, *(f"python3.{minor}" for minor in (11, 12, 13))]
    found: dict[str, str] = {}
    for name in asked:
        code = "import sys; print('%d.%d' % sys.version_info[:2])"
        done = (
            subprocess.run([name, "-c", code], capture_output=True, text=True, check=False)
            if shutil.which(name)
            else None
        )
        if done is not None and done.returncode == 0:
            found.setdefault(done.stdout.strip(), name)
        else:
            print(f"{name} is not installed or does not run: left out")
    return list(found.values())


def check(python: str, archive: Path, folder: Path) -> None:
    """Install an archive in a new environment and run the commands in a new project."""
    subprocess.run([python, "-m", "venv", folder / "environment"], check=True)
    scripts = folder / "environment" / ("Scripts" if sys.platform == "win32" else "bin")
    subprocess.run([scripts / "python", "-m", "pip", "install", "--quiet", archive], check=True)
    project = folder / "project"
    (project / "golden_sets").mkdir(parents=True)
    (project / "pyproject.toml").write_text("")
    (project / "golden_sets" / "sums.yaml").write_text(GOLDEN)
    for command, status, words in COMMANDS:
        done = subprocess.run(
            [scripts / command[0], *command[1:]], cwd=project, capture_output=True, text=True, check=False
        )
        if done.returncode != status or words not in done.stdout + done.stderr:
            said = f"{done.stdout}{done.stderr}"
            sys.exit(f"{python}, {archive.name}: {' '.join(command)} gave {done.returncode}\n{said}")
    print(f"{archive.name} works with {python}")


def main() -> None:
    """Build once, then check each archive with each Python."""
    with tempfile.TemporaryDirectory() as name:
        built = Path(name) / "dist"
        build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", built, ROOT]
        subprocess.run(build, check=True)
        subprocess.run(
            [sys.executable, "-m", "build", "--sdist", "--outdir", built, ROOT],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        for number, python in enumerate(pythons()):
            for archive in sorted(built.iterdir()):
                check(python, archive, Path(name) / f"{number}-{archive.suffix[1:]}")


if __name__ == "__main__":
    main()
