"""From a YAML file to a GoldenSet, or to an error in one line."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from harness.errors import GoldenError, SettingsError, as_one
from harness.golden.check_rules import CheckProblem, make_check
from harness.golden.explain import explain, explain_settings, golden_error
from harness.golden.schema import CaseYaml, CheckYaml, GenerationYaml, GoldenSetYaml, Role
from harness.golden.templates import TemplateError, fill, fill_value, read_if_file
from harness.golden.yaml_lines import Document, KeyPath, parse_yaml
from harness.registry.builtin_metrics import PYTHON
from harness.types import Check, GateSettings, GenerationSettings, GoldenCase, GoldenSet, JsonValue, Message

# Directories of this name contain labelled items for judges, not golden sets.
LABELLED = "judge"


def load_golden_set(path: Path) -> GoldenSet:
    """Read and check a golden set.

    Raises:
        GoldenError: With file, line, key, what was found and what is allowed.
    """
    return build_golden_set(parse_yaml(path))


def build_golden_set(document: Document) -> GoldenSet:
    """Check a parsed document and make the set from it.

    Raises:
        GoldenError: As load_golden_set.
    """
    if not isinstance(document.data, dict):
        found = type(document.data).__name__
        raise golden_error(document, (), f"found a {found}", "a mapping with name and cases")
    raw, places, faults = _validated(document)
    if raw is None:
        raise as_one(faults)
    faults += _duplicate_ids(document, raw, places)
    readings = [_Reading(document, raw, place, case) for place, case in zip(places, raw.cases, strict=True)]
    cases = tuple([reading.golden_case() for reading in readings])
    faults += [fault for reading in readings for fault in reading.faults]
    if not faults:
        faults += _idle_metrics(document, raw, cases)
    if faults:
        # A fault of the defaults is found in each case.
        by_key: dict[str, GoldenError] = {}
        for fault in faults:
            by_key.setdefault(fault.key, fault)
        raise as_one(sorted(by_key.values(), key=lambda fault: fault.line or 0))
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
            max_regressed=raw.gate.max_regressed,
            population=raw.gate.population,
        ),
        probes_forgetting=raw.probes_forgetting,
        content_sha256=hashlib.sha256(document.text.encode()).hexdigest(),
    )


def _validated(document: Document) -> tuple[GoldenSetYaml | None, list[int], list[GoldenError]]:
    """The document's form, as far as it is right: its faulty parts are left out, so that the others are read.

    Args:
        document: The document.

    Returns:
        The form, None if nothing is left; the places of its cases in the document; and the faults.
    """
    data = document.data
    try:
        return GoldenSetYaml.model_validate(data), list(range(len(data["cases"]))), []
    except ValidationError as error:
        faults = explain(document, error)
        paths = [each["loc"] for each in error.errors(include_url=False)]
    cases = data.get("cases")
    if not isinstance(cases, list):
        return None, [], faults
    wrong = {path[1] for path in paths if path[0] == "cases" and len(path) > 1}
    places = [place for place in range(len(cases)) if place not in wrong]
    others = {path[0] for path in paths} - {"cases"}
    right = {name: value for name, value in data.items() if name not in others}
    try:
        rest = {"name": "unnamed", **right, "cases": [cases[place] for place in places]}
        return GoldenSetYaml.model_validate(rest), places, faults
    except ValidationError:
        return None, [], faults


def _duplicate_ids(document: Document, raw: GoldenSetYaml, places: Sequence[int]) -> list[GoldenError]:
    first: dict[str, int] = {}
    faults = []
    for place, case in zip(places, raw.cases, strict=True):
        earlier = first.setdefault(case.id, place)
        if earlier != place:
            line = document.line(("cases", earlier, "id"))
            problem = f"{case.id!r} is taken by line {line}"
            faults.append(golden_error(document, ("cases", place, "id"), problem, "a new id"))
    return faults


def _idle_metrics(document: Document, raw: GoldenSetYaml, cases: Sequence[GoldenCase]) -> list[GoldenError]:
    """Gated metrics that no case has a check for."""
    used = {check.type for case in cases for check in case.checks}
    return [
        golden_error(document, ("gate", "metrics", metric), "no case has this check", ", ".join(sorted(used)))
        for metric in raw.gate.metrics
        if metric not in used
    ]


@dataclass(frozen=True, slots=True)
class _Reading:
    """One case while it is read; what is wrong is noted, and all parts are read."""

    document: Document
    raw: GoldenSetYaml
    index: int
    case: CaseYaml
    faults: list[GoldenError] = field(default_factory=list)

    def golden_case(self) -> GoldenCase:
        case = self.case
        fill_text = self._filler()
        references = tuple(
            [
                self._filled(("references", number), reference, fill_text).rstrip("\n")
                for number, reference in enumerate(case.references)
            ]
        )
        passages = tuple(
            self._filled(("retrieved_context", number), passage, fill_text)
            for number, passage in enumerate(case.retrieved_context)
        )
        return GoldenCase(
            id=case.id,
            set_name=self.raw.name,
            messages=self._messages(fill_text),
            references=references,
            checks=self._checks(references, passages, fill_text),
            tags=tuple(dict.fromkeys([*case.tags, *self.raw.defaults.tags])),
            cluster=case.cluster,
            retrieved_context=passages,
            metadata=case.metadata,
            generation=self._generation(),
            must_pass=case.must_pass,
            repeat=self._repeat(),
            skip=case.skip,
            xfail=case.xfail,
            line=self.document.line(self._key()),
        )

    def _key(self, *below: str | int) -> KeyPath:
        return ("cases", self.index, *below)

    def _filler(self) -> Callable[[str], str]:
        directory = self.document.path.parent
        variables = {
            name: self._filled(("vars", name), value, lambda text: read_if_file(text, directory))
            if isinstance(value, str)
            else value
            for name, value in self.case.vars.items()
        }
        return lambda text: fill(text, variables, directory)

    def _filled(self, key: KeyPath, text: str, fill_text: Callable[[str], str]) -> str:
        try:
            return fill_text(text)
        except TemplateError as error:
            self._note(self._key(*key), f"{self.case.id}: {error}")
            return text

    def _messages(self, fill_text: Callable[[str], str]) -> tuple[Message, ...]:
        """The conversation, without the last line break that YAML adds to a block text."""
        case = self.case
        turns: list[tuple[Role, KeyPath, str]] = []
        for number, turn in enumerate(case.messages or ()):
            turns.append((turn.role, ("messages", number, "content"), turn.content))
        if case.prompt is not None:
            system = case.system if case.system is not None else self.raw.defaults.system
            if system is not None:
                turns.append(("system", ("system",), system))
            turns.append(("user", ("prompt",), case.prompt))
        messages = tuple(
            Message(role=role, content=self._filled(key, text, fill_text).rstrip("\n"))
            for role, key, text in turns
        )
        if not messages[-1].content.strip():
            key = turns[-1][1]
            self._note(self._key(*key), f"{case.id}: the prompt is empty")
        return messages

    def _checks(
        self, references: Sequence[str], passages: Sequence[str], fill_text: Callable[[str], str]
    ) -> tuple[Check, ...]:
        own = {_name(check) for check in self.case.checks}
        written: list[tuple[KeyPath, CheckYaml]] = [
            (("defaults", "checks", number), check)
            for number, check in enumerate(self.raw.defaults.checks)
            if _name(check) not in own
        ]
        written += [(self._key("checks", number), check) for number, check in enumerate(self.case.checks)]
        if not written:
            self._note(self._key("checks"), f"{self.case.id}: no check", "at least one, here or in defaults")
        made = [self._check(key, check, references, passages, fill_text) for key, check in written]
        return tuple(check for check in made if check is not None)

    def _check(
        self,
        key: KeyPath,
        check: CheckYaml,
        references: Sequence[str],
        passages: Sequence[str],
        fill_text: Callable[[str], str],
    ) -> Check | None:
        try:
            return make_check(
                check.type,
                check.threshold,
                fill_value(_written_value(check), fill_text),
                _filled_options(check.__pydantic_extra__ or {}, fill_text),
                references=references,
                context=passages,
                line=self.document.line(key),
                directory=self.document.path.parent,
            )
        except TemplateError as error:
            self._note((*key, "value"), f"{self.case.id}: {error}")
        except CheckProblem as problem:
            message = f"{problem.problem} (case {self.case.id})"
            self._note((*key, *problem.key), message, problem.allowed)
        return None

    def _repeat(self) -> int:
        """Number of answers; greedy decoding always gives the same one."""
        own = self.case.repeat
        repeat = self.raw.defaults.repeat if own is None else own
        if repeat > 1 and self._generation().temperature == 0:
            key: KeyPath = ("defaults", "repeat") if own is None else self._key("repeat")
            problem = f"{self.case.id}: at temperature 0 all {repeat} answers are the same"
            self._note(key, problem, "1, or a temperature above 0 under generation")
        return repeat

    def _generation(self) -> GenerationSettings:
        settings = self.raw.generation
        if self.case.generation:
            given = {**settings.model_dump(), **self.case.generation}
            if isinstance(own := self.case.generation.get("chat_template_kwargs"), dict):
                given["chat_template_kwargs"] = {**settings.chat_template_kwargs, **own}
            try:
                settings = GenerationYaml.model_validate(given)
            except ValidationError as error:
                self.faults.extend(explain(self.document, error, self._key("generation")))
        return _as_settings(settings)

    def _note(self, key: KeyPath, problem: str, allowed: str = "") -> None:
        self.faults.append(golden_error(self.document, key, problem, allowed))


def generation_settings(given: Mapping[str, object], source: str) -> GenerationSettings:
    """Settings given in Python, checked by the rules of the YAML.

    Args:
        given: Values by their names in the YAML; ``stop`` may be one text or any sequence of texts.
        source: Where they come from, for the message.

    Raises:
        SettingsError: A name is unknown or a value out of range.
    """
    stop = given.get("stop")
    listed = {**given, "stop": list(stop)} if isinstance(stop, tuple | set | frozenset) else given
    try:
        return _as_settings(GenerationYaml.model_validate(listed))
    except ValidationError as error:
        problem, allowed = explain_settings(error, listed)
        raise SettingsError(f"{source}: {problem}" + (f" (allowed: {allowed})" if allowed else "")) from error


def _as_settings(settings: GenerationYaml) -> GenerationSettings:
    stop = (settings.stop,) if isinstance(settings.stop, str) else tuple(settings.stop)
    return GenerationSettings(**{**settings.model_dump(), "stop": stop})


def _filled_options(
    options: Mapping[str, JsonValue], fill_text: Callable[[str], str]
) -> dict[str, JsonValue]:
    """A check's further keys; the values of a group's members are filled like a check's own."""
    members = options.get("checks")
    if not isinstance(members, list):
        return dict(options)
    return {**options, "checks": [_filled_member(member, fill_text) for member in members]}


def _filled_member(member: JsonValue, fill_text: Callable[[str], str]) -> JsonValue:
    if not isinstance(member, dict):
        return member
    filled = _filled_options(member, fill_text)
    if "value" not in member:
        return filled
    return {**filled, "value": fill_value(_something(member["value"]), fill_text)}


def _written_value(check: CheckYaml) -> JsonValue:
    return _something(check.value) if "value" in check.model_fields_set else None


def _something(value: JsonValue) -> JsonValue:
    """A value that is written; the key without one would mean the references."""
    if value is None:
        allowed = "a value; where null is the expected JSON: references: ['null']"
        raise CheckProblem(("value",), "nothing is written here", allowed)
    return value


def _name(check: CheckYaml) -> tuple[str, JsonValue]:
    """The default check that a case's own check replaces: that of its type, or of its function."""
    extra = check.__pydantic_extra__ or {}
    return check.type, extra.get("path") if check.type == PYTHON else None
