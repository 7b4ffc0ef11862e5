"""How many small faults the tests find: a mutation run over the gate's arithmetic, its cache and its scoring.

    python benchmarks/mutation.py [statistics] [comparison] [cache] [scoring]
        [--only PATTERN] [--sample N] [--seed N] [--survivors]

mutmut puts one fault at a time into a function (another operator, number, argument, text) and runs the tests
that reach it. It works on a copy of the checkout in .tunegate/mutation, in which two things differ:

- ``lru_cache`` is taken off, because it ignores decorated functions; a cache changes the speed alone;
- ``strict=True`` of ``zip`` is left out: it guards against a fault in this program that no input reaches.

``--sample`` tries that many faults of each room, chosen at random by the seed, and prints an interval.
Who wrote tests for the faults of one sample measures by another: the first one would say too much.
Each room has its own tests alone, without simulations: what those find, the worked examples beside them
have to find as well.
"""

import argparse
import fnmatch
import json
import random
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from harness.statistics.clusters import rate_interval

ROOT = Path(__file__).parents[1]
PLACE = ROOT / ".tunegate" / "mutation"


@dataclass(frozen=True, slots=True)
class Room:
    """What is mutated, and the tests that have to find it."""

    mutated: tuple[str, ...]
    tests: tuple[str, ...]


ROOMS = {
    "statistics": Room(("harness/statistics/*.py",), ("tests/statistics",)),
    "comparison": Room(("harness/comparison/*.py",), ("tests/comparison",)),
    "cache": Room(
        ("harness/run/cache.py", "harness/run/cache_entries.py"),
        ("tests/run/test_cache.py", "tests/run/test_cache_keys.py", "tests/run/test_cache_entries.py"),
    ),
    "scoring": Room(
        ("harness/run/scoring.py",),
        (
            *("tests/run/conftest.py", "tests/run/answers_to_score.py", "tests/run/test_scoring.py"),
            *("tests/run/test_scoring_faults.py", "tests/run/test_scoring_turns.py"),
            *("tests/run/test_scoring_judging.py", "tests/run/test_scoring_dealt.py"),
            "tests/engines/workers/in_process.py",
            *("tests/metrics/conftest.py", "tests/metrics/test_definition_groups.py"),
            "tests/metrics/test_transformed.py",
        ),
    ),
}
COPIED = (
    *("harness", "reports", "docs", "golden_sets", "benchmarks"),
    *("conftest.py", "tests/conftest.py", "tests/fixtures"),
)
_LEFT_OUT = re.compile(r"^ *@(?:lru_cache|memoised)\b.*\n|, strict=True\b", re.MULTILINE)
# The same tests, quicker: no plug-in that they don't use, fewer random examples, none of them made smaller.
_PLUGINS = ("cacheprovider", "langsmith_plugin", "xdist", "unraisableexception", "threadexception")
_PYTEST = [*(f"-pno:{name}" for name in _PLUGINS), "--hypothesis-profile=mutation", "-m", "not simulation"]
_SHOW = """
import sys
from mutmut.mutation.diff_apply import get_diff_for_mutant
print(*map(get_diff_for_mutant, sys.argv[1:]), sep="\\n")
"""
# Status of a fault that was not found, of one that no test reaches, and of one that was not tried.
_MISSED = {0, 33, None}


def prepare(place: Path, room: Room) -> None:
    """Bring a room's copy up to date; what was found of functions that didn't change is kept."""
    changed = set()
    for name in (*COPIED, *room.tests):
        source = ROOT / name
        for path in [source] if source.is_file() else sorted(source.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                relative = path.relative_to(ROOT)
                if _copy(path, place / relative, room):
                    changed.add(relative.parts[0])
    if "tests" in changed:
        _forget_survivors(place)
    config = {
        "source_paths": ["harness"],
        "only_mutate": room.mutated,
        "also_copy": [name for name in COPIED if not name.startswith(("harness", "tests"))],
        "pytest_add_cli_args_test_selection": room.tests,
        "pytest_add_cli_args": _PYTEST,
        "use_git_change_detection": False,
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in config.items()]
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (place / "pyproject.toml").write_text("\n".join([project, "[tool.mutmut]", *lines, ""]), encoding="utf-8")


def _copy(path: Path, target: Path, room: Room) -> bool:
    """Copy one file, unless the copy says the same already; whether it was copied."""
    data = path.read_bytes()
    if any(fnmatch.fnmatch(str(path.relative_to(ROOT)), pattern) for pattern in room.mutated):
        data = _LEFT_OUT.sub("", data.decode()).encode()
    if target.exists() and target.read_bytes() == data:
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    return True


def _forget_survivors(place: Path) -> None:
    """Other tests may find what was not found, and reach what was not reached."""
    (place / "mutants" / "mutmut-stats.json").unlink(missing_ok=True)
    for path in place.glob("mutants/harness/**/*.meta"):
        found = json.loads(path.read_text())
        for mutant, status in found["exit_code_by_key"].items():
            if status in _MISSED:
                found["exit_code_by_key"][mutant] = None
        path.write_text(json.dumps(found))


def mutmut(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of mutmut in a copy."""
    return subprocess.run(
        [sys.executable, "-m", "mutmut", *arguments], cwd=place, text=True, capture_output=True, check=False
    )


def differences(place: Path, mutants: list[str]) -> str:
    """The faults, as a change to the source."""
    command = [sys.executable, "-c", _SHOW, *mutants]
    return subprocess.run(command, cwd=place, text=True, capture_output=True, check=True).stdout


def drawn(place: Path, pattern: str, number: int, seed: int) -> list[str]:
    """Some of the faults by name, chosen at random; all if there are not more.

    Args:
        place: The room's copy.
        pattern: Of the names.
        number: How many.
        seed: Of the draw.
    """
    # It makes all faults before it notices that none has this name.
    mutmut(place, "run", "--max-children", "1", "no such fault")
    names = sorted(name for statuses in results(place, pattern).values() for name in statuses)
    return random.Random(seed).sample(names, min(number, len(names)))


def results(place: Path, pattern: str) -> dict[str, dict[str, int | None]]:
    """Exit status of each mutant by file: None where it was not run yet."""
    found = {}
    for path in sorted(place.glob("mutants/harness/**/*.meta")):
        by_name = json.loads(path.read_text())["exit_code_by_key"]
        chosen = {name: status for name, status in by_name.items() if fnmatch.fnmatch(name, pattern)}
        if chosen:
            found[str(path.relative_to(place / "mutants")).removesuffix(".meta")] = chosen
    return found


def main() -> int:
    """Run, and print how many faults of each file were found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("rooms", nargs="*", metavar="ROOM", help=f"of {', '.join(ROOMS)}; all by default")
    parser.add_argument(
        "--only", default="*", help="mutants by name, such as 'harness.statistics.clusters.*'"
    )
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--survivors", action="store_true", help="print the faults that were not found")
    parser.add_argument("--sample", type=int, metavar="N", help="so many faults of each room, at random")
    parser.add_argument("--seed", type=int, default=0, help="of that choice")
    parser.add_argument("--fail-under", type=float, default=0.0, metavar="PERCENT")
    given = parser.parse_args()
    total = missed = 0
    for name in given.rooms or ROOMS:
        place = PLACE / name
        prepare(place, ROOMS[name])
        names = [given.only] if given.sample is None else drawn(place, given.only, given.sample, given.seed)
        done = mutmut(place, "run", "--max-children", str(given.workers), *names)
        if done.returncode:
            print(done.stdout[-3000:], done.stderr[-3000:], sep="\n", file=sys.stderr)
            return done.returncode
        for file, statuses in results(place, given.only).items():
            tried = (
                statuses if given.sample is None else {key: statuses[key] for key in statuses if key in names}
            )
            survived = sorted(mutant for mutant, status in tried.items() if status in _MISSED)
            total, missed = total + len(tried), missed + len(survived)
            print(_line(file, len(tried), len(survived)))
            if given.survivors and survived:
                print(differences(place, survived))
    print(_line("all", total, missed))
    return int(100 * (total - missed) < given.fail_under * total)


def _line(name: str, faults: int, missed: int) -> str:
    if not faults:
        return f"{name:44}     0 faults"
    found = [True] * (faults - missed) + [False] * missed
    interval = rate_interval(found, range(faults))
    share = (faults - missed) / faults
    return f"{name:44} {faults:5} faults, {share:.1%} found [{interval.low:.1%}, {interval.high:.1%}]"


if __name__ == "__main__":
    sys.exit(main())
