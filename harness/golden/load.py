"""From a YAML file to a GoldenSet, or to an error in one line; and the golden sets that belong to a gate.

The content of a project's gate is its golden sets, and the bundled forgetting probes.
"""

import hashlib
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from harness.errors import GoldenError, as_one
from harness.golden.case_reading import CaseReading, as_settings
from harness.golden.explain import as_told, explain, golden_error, keys_at
from harness.golden.right_parts import right_parts
from harness.golden.schema import CHECK_TYPES, CaseYaml, GoldenSetYaml, IncludedYaml, base_type
from harness.golden.variables import MatrixError, combinations
from harness.golden.yaml_lines import Document, KeyPath, parse_yaml, read_yaml
from harness.registry.content_metrics import SET_METRICS
from harness.settings import load_settings
from harness.types import GateSettings, GoldenCase, GoldenSet
from tunegate.project import command_project, searched_files, unsearched_folders

# Directories of this name contain labelled items for judges, not golden sets.
LABELLED = "judge"
# Files whose names begin so are parts of golden sets that include them.
INCLUDED = "_"


def load_golden_set(path: Path) -> GoldenSet:
    """Read and check a golden set.

    Raises:
        GoldenError: With file, line, key, what was found and what is allowed.
    """
    return build_golden_set(read_yaml(path))


def build_golden_set(document: Document) -> GoldenSet:
    """Check a parsed document and make the set from it.

    Raises:
        GoldenError: As load_golden_set.
    """
    if not isinstance(document.data, dict):
        problem = f"found a {type(document.data).__name__}"
        raise golden_error(document, (), problem, "a mapping with name and cases")
    raw, own, faults = _validated(document)
    if raw is None:
        raise as_told(document, faults)
    parts = list[_Part]()
    for number, name in enumerate(raw.include):
        try:
            parts.append(_included(document, number, name))
        except GoldenError as error:
            faults += error.faults
    # The set's own come last, so that a new one is the last of all.
    parts.append(_Part(document, own))
    readings = [reading for part in parts for reading in _readings(part, document, raw, faults)]
    faults += _duplicate_ids(readings)
    documents = [document, *(part.document for part in parts[:-1])]
    del parts, own
    cases = tuple(_made(readings, faults))
    if not faults:
        faults += _idle_metrics(document, raw, cases)
    margins = _metric_margins(document, raw, faults)
    if faults or document.faults:
        raise as_told(document, faults)
    return GoldenSet(
        name=raw.name,
        path=str(document.path),
        description=raw.description,
        cases=cases,
        gate=GateSettings(
            margin=raw.gate.margin,
            metric_margins=margins,
            max_unscored=raw.gate.max_unscored,
            max_errored=raw.gate.max_errored,
            max_regressed=raw.gate.max_regressed,
            population=raw.gate.population,
        ),
        probes_forgetting=raw.probes_forgetting,
        content_sha256=_hash_of(documents),
    )


def _validated(
    document: Document,
) -> tuple[GoldenSetYaml | None, dict[int, CaseYaml], list[GoldenError]]:
    """The document's form, as far as it is right: its faulty parts are left out, so that the others are read.

    Args:
        document: The document.

    Returns:
        The form without its cases, None if nothing is left; the cases by their places; and the faults.
    """
    data = document.data
    try:
        raw = GoldenSetYaml.model_validate(data)
        return *_apart(raw, range(len(raw.cases or ()))), []
    except ValidationError as error:
        faults = explain(document, error)
        paths = [each["loc"] for each in error.errors(include_url=False)]
    cases = data.get("cases")
    if not isinstance(cases, list):
        return None, {}, faults
    rest, places = right_parts(data, paths)
    try:
        return *_apart(GoldenSetYaml.model_validate(rest), places), faults
    except ValidationError:
        return None, {}, faults


def _apart(raw: GoldenSetYaml, places: Iterable[int]) -> tuple[GoldenSetYaml, dict[int, CaseYaml]]:
    return raw.model_copy(update={"cases": None}), dict(zip(places, raw.cases or (), strict=True))


@dataclass(frozen=True, slots=True)
class _Part:
    """A file with cases of a set, by their index: the set's own, or an included one."""

    document: Document
    cases: Mapping[int, CaseYaml]


def _included(document: Document, number: int, name: str) -> _Part:
    """Read an included file, which is beside the set or below.

    Raises:
        GoldenError: It can't be used.
    """
    key: KeyPath = ("include", number)
    directory = document.path.parent
    path = directory / name
    if not path.resolve().is_relative_to(directory.resolve()):
        raise golden_error(
            document, key, f"{name} leaves the golden set's directory", "a file in it or below"
        )
    if not path.name.startswith(INCLUDED) or path.suffix not in {".yaml", ".yml"}:
        allowed = f"a YAML file whose name begins with {INCLUDED}; others are golden sets of their own"
        raise golden_error(document, key, f"found {name}", allowed)
    if name in (included := document.data["include"])[:number]:
        problem = f"{name} is included twice, as in include[{included.index(name)}]"
        raise golden_error(document, key, problem, "each file once")
    if not path.is_file():
        raise golden_error(
            document, key, f"there is no file {name}", "a file beside the golden set or below it"
        )
    inner = parse_yaml(path)
    if not isinstance(inner.data, dict):
        raise golden_error(inner, (), f"found a {type(inner.data).__name__}", "a mapping with cases")
    try:
        cases = IncludedYaml.model_validate(inner.data).cases
    except ValidationError as error:
        raise as_one(explain(inner, error, known_at=_keys_of_part)) from error
    return _Part(inner, dict(enumerate(cases)))


def _keys_of_part(key: KeyPath) -> list[str]:
    return sorted(IncludedYaml.model_fields) if len(key) == 1 else keys_at(key)


def _readings(
    part: _Part, base: Document, raw: GoldenSetYaml, faults: list[GoldenError]
) -> list[CaseReading]:
    """The cases of one file, each with the values of its variables; faults are added to the list."""
    found, usual = list[CaseReading](), as_settings(raw.generation)
    for index, case in part.cases.items():
        try:
            made = combinations(case.id, case.vars)
        except MatrixError as error:
            key: KeyPath = ("cases", index, "vars")
            faults.append(golden_error(part.document, key, f"{case.id}: {error}"))
            continue
        found += [
            CaseReading(
                document=part.document,
                base=base,
                raw=raw,
                usual=usual,
                index=index,
                case=case,
                combination=combination,
            )
            for combination in made
        ]
    return found


def _made(readings: list[CaseReading], faults: list[GoldenError]) -> Iterator[GoldenCase]:
    """The cases, and their faults; a reading takes more memory than its case, and is dropped."""
    readings.reverse()
    while readings:
        reading = readings.pop()
        yield reading.golden_case()
        faults += reading.faults


def _duplicate_ids(readings: Sequence[CaseReading]) -> list[GoldenError]:
    first: dict[str, CaseReading] = {}
    faults = []
    for reading in readings:
        case_id = reading.combination.case_id
        earlier = first.setdefault(case_id, reading)
        if earlier is not reading:
            line = earlier.document.line(("cases", earlier.index, "id"))
            here = earlier.document is reading.document
            problem = (
                f"{case_id!r} is taken by {f'line {line}' if here else f'{earlier.document.path}:{line}'}"
            )
            key: KeyPath = ("cases", reading.index, "id")
            faults.append(golden_error(reading.document, key, problem, "a new id"))
    return faults


def _hash_of(documents: Sequence[Document]) -> str:
    """Hash of a set's file, or of that and the files that it includes."""
    hashes = [hashlib.sha256(document.text.encode()).hexdigest() for document in documents]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256(" ".join(hashes).encode()).hexdigest()


def _metric_margins(document: Document, raw: GoldenSetYaml, faults: list[GoldenError]) -> dict[str, float]:
    """Tolerated drops of the gated metrics; one without a usual margin has to be given one."""
    margins: dict[str, float] = {}
    for name, gate in raw.gate.metrics.items():
        kind = CHECK_TYPES.get(base_type(name))
        margin = gate.margin if gate.margin is not None or kind is None else kind.usual_margin
        if margin is not None:
            margins[name] = margin
        elif kind is not None or name in SET_METRICS:
            problem = f"the gate of {name} needs a margin"
            faults.append(golden_error(document, ("gate", "metrics", name), problem, "margin: 0.05"))
    return margins


def _idle_metrics(document: Document, raw: GoldenSetYaml, cases: Sequence[GoldenCase]) -> list[GoldenError]:
    """Gated metrics that no case has a check for."""
    used = {check.type for case in cases for check in case.checks}
    return [
        golden_error(document, ("gate", "metrics", metric), "no case has this check", ", ".join(sorted(used)))
        for metric in raw.gate.metrics
        if SET_METRICS.get(metric, metric) not in used
    ]


DEFAULT_GOLDEN = Path("golden_sets")


def project_golden() -> list[Path]:
    """Where the golden sets are of the project in which a command is run: its setting ``golden``."""
    project = command_project(Path.cwd())
    return [project / path for path in load_settings({}, project, os.environ).golden]


def is_no_set(file: Path) -> bool:
    """Whether a YAML file below a directory of golden sets is none: labelled items, or a part of sets."""
    return file.parent.name == LABELLED or file.name.startswith(INCLUDED)


def golden_files(
    paths: Iterable[Path] | None = None, unsearched: Collection[str] | None = None
) -> list[Path]:
    """The golden sets that a gate collects below directories; a path of a file is returned as it is.

    Args:
        paths: Directories and files; None means those of the project in which the command is run.
        unsearched: Patterns of folders that the gate doesn't collect; None means those of that project.
    """
    files: list[Path] = []
    if unsearched is None:
        unsearched = unsearched_folders(command_project(Path.cwd()))
    for path in project_golden() if paths is None else paths:
        if path.is_dir():
            inside = sorted(searched_files(path, {".yaml", ".yml"}, unsearched))
            files += [file for file in inside if not is_no_set(file)]
        else:
            files.append(path)
    # Each once, as in pytest, where one path is below another.
    return list({os.path.normpath(file.absolute()): file for file in files}.values())


def bundled_probes() -> list[Path]:
    """The files of the ``general`` golden sets: inside the installed package, or in a checkout.

    Raises:
        GoldenError: The installation lacks them: a gate without them would say nothing of what was forgotten.
    """
    packaged = Path(__file__).with_name("general")
    folder = packaged if packaged.is_dir() else Path(__file__).parents[2] / "golden_sets" / "general"
    if not (files := sorted(folder.glob("*.yaml"))):
        problem = (
            "tunegate's own probes are missing: install it again, or gate without (--gate-no-forgetting)"
        )
        raise GoldenError(folder, None, "", problem)
    return files


def level_directory() -> Path:
    """The directory of the three levels, from which a base's own probes are chosen; no gate asks them."""
    return Path(__file__).with_name("levels")


@dataclass(frozen=True, slots=True, kw_only=True)
class GateContent:
    """The golden sets that belong to a gate.

    Attributes:
        own: The project's.
        bundled: The forgetting probes that come with this package; none where a set of the project's says
            that it probes forgetting, or where forgetting is not measured.
        faults: Faults of the project's files.
    """

    own: tuple[GoldenSet, ...]
    bundled: tuple[GoldenSet, ...] = ()
    faults: tuple[GoldenError, ...] = ()

    @property
    def sets(self) -> tuple[GoldenSet, ...]:
        """All of them."""
        return self.own + self.bundled


def name_fault(golden_set: GoldenSet, paths: dict[str, str]) -> GoldenError | None:
    """The fault of a golden set whose name is that of another file.

    Args:
        golden_set: The set.
        paths: The files by their sets' names, to which this one is added.
    """
    other = paths.setdefault(golden_set.name, golden_set.path)
    if other == golden_set.path:
        return None
    problem = f"the set's name {golden_set.name!r} is taken by {other}"
    return GoldenError(golden_set.path, None, "name", problem, "a name of its own")


def gate_content(
    paths: Iterable[Path] | None,
    *,
    forgetting: bool,
    known: Mapping[Path, GoldenSet] | None = None,
    unsearched: Collection[str] | None = None,
) -> GateContent:
    """The content of a gate.

    Args:
        paths: Directories and files of golden sets; None takes ``golden_sets`` in the working directory.
        forgetting: Whether forgetting is measured.
        known: Sets that were collected, by file: they belong to it, wherever they are.
        unsearched: As for golden_files.
    """
    own, faults, known = [], list[GoldenError](), known or {}
    for file in dict.fromkeys([*golden_files(paths, unsearched), *known]):
        try:
            own.append(known.get(file) or load_golden_set(file))
        except GoldenError as error:
            faults.append(error)
    has_probes = any(golden_set.probes_forgetting for golden_set in own)
    if not forgetting:
        own = [golden_set for golden_set in own if not golden_set.probes_forgetting]
    bundled = list[GoldenSet]()
    if forgetting and not has_probes:
        try:
            bundled = [load_golden_set(file) for file in bundled_probes()]
        except GoldenError as error:
            faults.append(error)
    taken = dict[str, str]()
    faults += filter(None, (name_fault(golden_set, taken) for golden_set in own + bundled))
    return GateContent(own=tuple(own), bundled=tuple(bundled), faults=tuple(faults))


def load_gate_sets(paths: Iterable[Path] | None, *, forgetting: bool) -> list[GoldenSet]:
    """The golden sets of a gate, all of them readable.

    Args:
        paths: Directories and files of golden sets; None takes ``golden_sets`` in the working directory.
        forgetting: Whether forgetting is measured.

    Raises:
        GoldenError: A file can't be used, or there is no golden set.
    """
    return list(sound(gate_content(paths, forgetting=forgetting)).sets)


def sound(content: GateContent) -> GateContent:
    """The content of a gate, all of it readable.

    Raises:
        GoldenError: A file can't be used.
    """
    if content.faults:
        raise as_one([fault for error in content.faults for fault in error.faults])
    return content
