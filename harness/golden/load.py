"""From a YAML file to a GoldenSet, or to an error in one line."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from harness.errors import SettingsError
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
    try:
        raw = GoldenSetYaml.model_validate(document.data)
    except ValidationError as error:
        raise explain(document, error) from error
    _refuse_duplicate_ids(document, raw)
    cases = tuple(_Reading(document, raw, index, case).golden_case() for index, case in enumerate(raw.cases))
    used = {check.type for case in cases for check in case.checks}
    for metric in raw.gate.metrics:
        if metric not in used:
            key: KeyPath = ("gate", "metrics", metric)
            raise golden_error(document, key, "no case has this check", ", ".join(sorted(used)))
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


def _refuse_duplicate_ids(document: Document, raw: GoldenSetYaml) -> None:
    first: dict[str, int] = {}
    for index, case in enumerate(raw.cases):
        earlier = first.setdefault(case.id, index)
        if earlier != index:
            line = document.line(("cases", earlier, "id"))
            problem = f"{case.id!r} is taken by line {line}"
            raise golden_error(document, ("cases", index, "id"), problem, "a new id")


@dataclass(frozen=True, slots=True)
class _Reading:
    """One case while it is read."""

    document: Document
    raw: GoldenSetYaml
    index: int
    case: CaseYaml

    def golden_case(self) -> GoldenCase:
        case = self.case
        fill_text = self._filler()
        references = tuple(
            self._filled(("references", number), reference, fill_text).rstrip("\n")
            for number, reference in enumerate(case.references)
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
            raise golden_error(self.document, self._key(*key), f"{self.case.id}: {error}") from error

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
            raise golden_error(self.document, self._key(*key), f"{case.id}: the prompt is empty")
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
            problem, allowed = f"{self.case.id}: no check", "at least one, here or in defaults"
            raise golden_error(self.document, self._key("checks"), problem, allowed)
        return tuple(self._check(key, check, references, passages, fill_text) for key, check in written)

    def _check(
        self,
        key: KeyPath,
        check: CheckYaml,
        references: Sequence[str],
        passages: Sequence[str],
        fill_text: Callable[[str], str],
    ) -> Check:
        try:
            return make_check(
                check.type,
                check.threshold,
                fill_value(check.value, fill_text),
                _filled_options(check.__pydantic_extra__ or {}, fill_text),
                references=references,
                context=passages,
                line=self.document.line(key),
                directory=self.document.path.parent,
            )
        except TemplateError as error:
            raise golden_error(self.document, (*key, "value"), f"{self.case.id}: {error}") from error
        except CheckProblem as problem:
            message = f"{problem.problem} (case {self.case.id})"
            raise golden_error(self.document, (*key, *problem.key), message, problem.allowed) from problem

    def _repeat(self) -> int:
        """Number of answers; greedy decoding always gives the same one."""
        own = self.case.repeat
        repeat = self.raw.defaults.repeat if own is None else own
        if repeat > 1 and self._generation().temperature == 0:
            key: KeyPath = ("defaults", "repeat") if own is None else self._key("repeat")
            problem = f"{self.case.id}: at temperature 0 all {repeat} answers are the same"
            raise golden_error(self.document, key, problem, "1, or a temperature above 0 under generation")
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
                raise explain(self.document, error, self._key("generation")) from error
        return _as_settings(settings)


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
        problem, allowed = explain_settings(error)
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
    return {**filled, "value": fill_value(member["value"], fill_text)} if "value" in member else filled


def _name(check: CheckYaml) -> tuple[str, JsonValue]:
    """The default check that a case's own check replaces: that of its type, or of its function."""
    extra = check.__pydantic_extra__ or {}
    return check.type, extra.get("path") if check.type == PYTHON else None
