"""The log readers: ours by name, those of plug-ins, and which one is for a file."""

from collections import Counter
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import cast

from harness.errors import DataError, SettingsError, faults_of
from harness.history.logs.log_cases import RunLog
from harness.history.logs.run_log import OF_ANOTHER_KIND, misread
from harness.history.logs.values import head_of
from harness.registry import RunReader, active, load_function
from harness.registry.field_types import wrong_field

_ROOM = "harness.history.logs"

_WITH_PARTS = {"promptfoo"}
# The order counts: a file is read by the first that recognises it, and plain rows are what is left.
BUILTIN_READERS: dict[str, RunReader] = {
    name: RunReader(
        name=name,
        summary=summary,
        recognises=f"{_ROOM}.{module}:recognises",
        read=f"{_ROOM}.{module}:read",
        has_parts=name in _WITH_PARTS,
    )
    for name, module, summary in (
        ("lm-eval", "lm_eval", "lm-eval's results and samples (--log_samples)"),
        ("inspect", "inspect_ai", "inspect_ai's .eval archives and JSON logs"),
        ("promptfoo", "promptfoo", "promptfoo's results as JSON; FILE#PROVIDER names one of several"),
        ("helm", "helm", "HELM's run directories"),
        ("deepeval", "deepeval", "deepeval's test runs (DEEPEVAL_RESULTS_FOLDER)"),
        ("mlflow", "mlflow", "MLflow's evaluation tables"),
        ("rows", "rows", "JSONL, CSV or Parquet with id and score or passed"),
    )
}


def read_log(path: Path, name: str | None = None, part: str | None = None) -> RunLog:
    """Read a log with the reader that recognises it.

    Args:
        path: A file or directory.
        name: The reader's name; None to find it.
        part: Which of several runs in the file; None for the only one.

    Raises:
        SettingsError: No reader has this name.
        DataError: No reader recognises the file, or it is cut, damaged, or of a version that is not read.
    """
    readers = active().merged(RunReader, BUILTIN_READERS)
    allowed = "; ".join(f"{reader.name}: {reader.summary}" for reader in readers.values())
    if name is not None:
        if name not in readers:
            raise SettingsError(f"--format {name}: no such reader (allowed: {', '.join(readers)})")
        reader = readers[name]
    else:
        found = [each for each in readers.values() if _recognises(each, path)]
        if not found and path.is_file() and path.suffix != ".gz" and not head_of(path).strip():
            raise DataError(path, None, "it is empty: log again")
        if not found:
            raise DataError(path, None, f"no reader recognises it; --format names one ({allowed})")
        reader = found[0]
    if not path.exists():
        raise DataError(path, None, "no such file")
    if part is not None and not reader.has_parts:
        raise DataError(path, None, f"#{part}: a file that {reader.name} reads has one run")
    place = f"log reader {reader.name!r}"
    read = load_function(reader.read, place)
    of_plugin = faults_of(place, lambda line: DataError(path, None, line))
    with nullcontext() if reader.name in BUILTIN_READERS else of_plugin:
        try:
            log = read(path) if part is None else read(path, part)
            return cast("RunLog", log) if reader.name in BUILTIN_READERS else _checked(log, reader, path)
        except OF_ANOTHER_KIND as error:
            raise misread(path, f"not as {reader.name} writes it", error) from error


def _recognises(reader: RunReader, path: Path) -> bool:
    place = f"log reader {reader.name!r}"
    recognises = load_function(reader.recognises, place)
    if reader.name in BUILTIN_READERS:
        return bool(recognises(path))
    try:
        with faults_of(f"{place} broke on {path}", SettingsError):
            return bool(recognises(path))
    except SettingsError as error:  # a fault of a plug-in only causes a warning
        active().note(str(error))
        return False


def _checked(log: object, reader: RunReader, path: Path) -> RunLog:
    """What a plug-in's reader gave, with all parts of the declared types."""
    place = f"log reader {reader.name!r}"
    if not isinstance(log, RunLog):
        raise DataError(path, None, f"{place} gave a {type(log).__name__} (allowed: a RunLog)")
    whole = replace(log, cases=tuple(log.cases))
    for part in (whole, *whole.cases, *(answer for case in whole.cases for answer in case.answers)):
        if problem := wrong_field(part):
            what = f"{place} gave a {type(part).__name__} with {problem}"
            raise DataError(path, None, what)
    keys = [case.key for case in whole.cases]
    if unanswered := [case.key for case in whole.cases if not case.answers]:
        raise DataError(path, None, f"{place} gave no answer to {unanswered[0]} (allowed: one or more)")
    if doubled := [key for key, number in Counter(keys).items() if number > 1]:
        raise DataError(path, None, f"{place} gave {doubled[0]} twice (allowed: one case with all answers)")
    return whole
