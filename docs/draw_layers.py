"""Draws the layers of docs/architecture.md from the import contract, and the rooms from their docstrings.

python docs/draw_layers.py          # print
python docs/draw_layers.py --write  # renew the page
"""

import ast
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = Path(__file__).with_name("architecture.md")
_MARKS = ("<!-- drawn from the import contract -->\n", "<!-- end of the drawing -->\n")
_WIDTH = 78


def layers(container: str) -> list[list[str]]:
    """The rooms of a package, a list a floor, the highest floor first."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for contract in project["tool"]["importlinter"]["contracts"]:
        if contract["type"] == "layers" and contract["containers"] == [container]:
            return [[room.strip() for room in floor.split("|")] for floor in contract["layers"]]
    raise LookupError(f"pyproject.toml has no layers for {container}")


def purpose(container: str, room: str) -> str:
    """The first line of a room's docstring."""
    path = ROOT / container / room
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return (ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or "").partition("\n")[0]


def drawing() -> str:
    """Every package's floors, each with its rooms and what they are for."""
    parts = []
    for container in ("harness", "trainers"):
        floors = layers(container)
        bar = "+" + "-" * _WIDTH + "+"
        rows = [f"| {'   |   '.join(floor):^{_WIDTH - 2}} |" for floor in floors]
        parts.append("\n".join(["```text", f"{container}/", bar, *(f"{row}\n{bar}" for row in rows), "```"]))
        table = ["| room | what is in it |", "|---|---|"]
        table += [
            f"| `{container}/{room}` | {purpose(container, room)} |" for floor in floors for room in floor
        ]
        parts.append("\n".join(table))
    return "\n\n".join([*parts, _counted()]) + "\n"


def _counted() -> str:
    """How many rooms there are; ``reports`` has no layers of its own, only folders."""
    harness, trainers = (sum(map(len, layers(package))) for package in ("harness", "trainers"))
    pages = sorted(path.parent.name for path in (ROOT / "reports").glob("*/__init__.py"))
    return (
        f"The harness has {harness} rooms; with `trainers` and `reports` as one room each, whoever follows "
        f"a gate meets {harness + 2}, and a test keeps that at 25 at most.\nThe rooms of the other two are "
        f"not in that number: {trainers} in `trainers`, {len(pages)} folders in `reports` "
        f"({', '.join(pages)}). All "
        f"together there are {harness + trainers + len(pages)}, without the folders inside a room."
    )


def renewed(page: str) -> str:
    """The page with today's drawing between its marks."""
    pattern = re.compile(f"{re.escape(_MARKS[0])}.*?{re.escape(_MARKS[1])}", re.DOTALL)
    return pattern.sub(lambda _: f"{_MARKS[0]}\n{drawing()}\n{_MARKS[1]}", page)


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print(drawing())
