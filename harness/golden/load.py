"""From a YAML file to a GoldenSet, or to one line that says what is wrong where."""

import difflib
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.errors import GoldenError
from harness.golden.check_rules import CheckProblem, make_check
from harness.golden.schema import CaseYaml, CheckYaml, GenerationYaml, GoldenSetYaml
from harness.golden.templates import TemplateError, fill, fill_value
from harness.golden.yaml_lines import Document, KeyPath, parse_yaml
from harness.types import Check, GateSettings, GenerationSettings, GoldenCase, GoldenSet, Message


def load_golden_set(path: Path) -> GoldenSet:
    """Read and check a golden set.

    Raises:
        GoldenError: With file, line, key, what was found and what is allowed.
    """
    return build_golden_set(parse_yaml(path))


def build_golden_set(document: Document) -> GoldenSet:
    """Check a parsed document and make the set of it.

    Raises:
        GoldenError: As load_golden_set.
    """
    if not isinstance(document.data, dict):
        found = type(document.data).__name__
        raise _error(document, (), f"found a {found}", "a mapping with name and cases")
    try:
        raw = GoldenSetYaml.model_validate(document.data)
    except ValidationError as error:
        raise _from_pydantic(document, error) from error
    _refuse_duplicate_ids(document, raw)
    cases = tuple(_case(document, raw, index, case) for index, case in enumerate(raw.cases))
    used = {check.type for case in cases for check in case.checks}
    for metric in raw.gate.metrics:
        if metric not in used:
            key: KeyPath = ("gate", "metrics", metric)
            raise _error(document, key, "no case has this check", ", ".join(sorted(used)))
    return GoldenSet(
        name=raw.name,
        path=str(document.path),
        description=raw.description,
        cases=cases,
        gate=GateSettings(
            margin=raw.gate.margin,
            metric_margins={name: gate.margin for name, gate in raw.gate.metrics.items()},
            max_unscored=raw.gate.max_unscored,
            max_errored=raw.gate.max_errored,
        ),
        probes_forgetting=raw.probes_forgetting,
        content_sha256=hashlib.sha256(document.text.encode()).hexdigest(),
    )


def _case(document: Document, raw: GoldenSetYaml, index: int, case: CaseYaml) -> GoldenCase:
    place: KeyPath = ("cases", index)
    directory = document.path.parent

    def filled(text: str) -> str:
        return fill(text, case.vars, directory)

    try:
        messages = _messages(raw, case, filled)
        references = tuple(filled(reference) for reference in case.references)
    except TemplateError as error:
        raise _error(document, place, f"{case.id}: {error}") from error
    own = {check.type for check in case.checks}
    written = [(("defaults", "checks", i), c) for i, c in enumerate(raw.defaults.checks) if c.type not in own]
    written += [((*place, "checks", i), c) for i, c in enumerate(case.checks)]  # type: ignore[misc] # longer paths
    if not written:
        raise _error(
            document, (*place, "checks"), f"{case.id}: no check", "at least one, here or in defaults"
        )
    return GoldenCase(
        id=case.id,
        set_name=raw.name,
        messages=messages,
        references=references,
        checks=tuple(_check(document, key, check, case, references) for key, check in written),
        tags=tuple(dict.fromkeys([*case.tags, *raw.defaults.tags])),
        cluster=case.cluster,
        retrieved_context=tuple(case.retrieved_context),
        metadata=case.metadata,
        generation=_generation(document, raw, (*place, "generation"), case),
        must_pass=case.must_pass,
        skip=case.skip,
        xfail=case.xfail,
        line=document.line(place),
    )


def _messages(raw: GoldenSetYaml, case: CaseYaml, filled: Any) -> tuple[Message, ...]:
    if case.messages is not None:
        return tuple(Message(role=turn.role, content=filled(turn.content)) for turn in case.messages)
    system = case.system if case.system is not None else raw.defaults.system
    opening = () if system is None else (Message(role="system", content=filled(system)),)
    return (*opening, Message(role="user", content=filled(case.prompt).rstrip("\n")))


def _check(
    document: Document, key: KeyPath, check: CheckYaml, case: CaseYaml, references: Sequence[str]
) -> Check:
    options = dict(check.__pydantic_extra__ or {})
    try:
        value = fill_value(check.value, lambda text: fill(text, case.vars, document.path.parent))
        return make_check(
            check.type, check.threshold, value, options, references=references, line=document.line(key)
        )
    except TemplateError as error:
        raise _error(document, (*key, "value"), f"{case.id}: {error}") from error
    except CheckProblem as problem:
        message = f"{problem.problem} (case {case.id})"
        raise _error(document, (*key, *problem.key), message, problem.allowed) from problem


def _generation(document: Document, raw: GoldenSetYaml, key: KeyPath, case: CaseYaml) -> GenerationSettings:
    settings = raw.generation
    if case.generation:
        try:
            settings = GenerationYaml.model_validate({**settings.model_dump(), **case.generation})
        except ValidationError as error:
            raise _from_pydantic(document, error, key) from error
    return GenerationSettings(**{**settings.model_dump(), "stop": tuple(settings.stop)})


def _refuse_duplicate_ids(document: Document, raw: GoldenSetYaml) -> None:
    first: dict[str, int] = {}
    for index, case in enumerate(raw.cases):
        earlier = first.setdefault(case.id, index)
        if earlier != index:
            line = document.line(("cases", earlier, "id"))
            raise _error(document, ("cases", index, "id"), f"{case.id!r} is taken by line {line}", "a new id")


def _error(document: Document, key: KeyPath, problem: str, allowed: str = "") -> GoldenError:
    return GoldenError(document.path, document.line(key), dotted(key), problem, allowed)


def dotted(key: KeyPath) -> str:
    """A key path as a person writes it: ``cases[3].checks[0].type``."""
    text = ""
    for step in key:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


_ALLOWED = {
    "bool_type": "true, false",
    "bool_parsing": "true, false",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "string_type": "a text; quote it if it looks like a number or a boolean",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "missing": "",
}


def _from_pydantic(document: Document, error: ValidationError, below: KeyPath = ()) -> GoldenError:
    """The first problem of a validation, in the file's own terms."""
    problems = error.errors(include_url=False)
    # An unknown key first: a key that is missing may be the one that was misspelt.
    problem = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
    # Branches of unions put a type's name into the path; a key of the file never looks like that.
    key: KeyPath = (*below, *(step for step in problem["loc"] if not _is_branch(step)))
    kind, context = problem["type"], problem.get("ctx", {})
    found = _shown(problem["input"])
    if kind == "extra_forbidden":
        allowed = sorted(GenerationYaml.model_fields) if below else _keys_at(key)
        close = difflib.get_close_matches(str(key[-1]), allowed, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        return _error(document, key, f"unknown key{hint}", ", ".join(allowed))
    if kind == "missing":
        return _error(document, key, "the key is missing")
    if kind == "value_error":
        return _error(document, key, str(context["error"]))
    if kind == "string_pattern_mismatch":
        return _error(
            document, key, f"found {found}", "letters, digits, '.', '_' and '-', a letter or digit first"
        )
    allowed_text = _ALLOWED.get(kind)
    if allowed_text is None:
        allowed_text = problem["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return _error(document, key, f"found {found}", allowed_text)


def _is_branch(step: object) -> bool:
    return isinstance(step, str) and (
        step in {"str", "int", "float", "bool", "JsonValue", "nullable"} or "[" in step
    )


def _keys_at(key: KeyPath) -> list[str]:
    """The keys that are allowed beside an unknown one."""
    model: Any = GoldenSetYaml
    for step in key[:-1]:
        if isinstance(step, int) or not hasattr(model, "model_fields"):
            continue
        model = _model_in(model.model_fields[step].annotation)
    return sorted(model.model_fields)


def _model_in(annotation: Any) -> Any:
    """The pydantic model inside an annotation such as ``list[CaseYaml] | None``."""
    if hasattr(annotation, "model_fields"):
        return annotation
    found = (_model_in(part) for part in getattr(annotation, "__args__", ()))
    return next((model for model in found if model is not None), None)


def _shown(value: object) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
