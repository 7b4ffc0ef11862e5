"""From one case of a golden set's YAML to a GoldenCase."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from pydantic import ValidationError

from harness.errors import GoldenError
from harness.golden.check_rules import CheckProblem, make_check, value_of_kind, written_value
from harness.golden.decided import DECIDED, condition_of
from harness.golden.explain import explain, golden_error
from harness.golden.hints import did_you_mean
from harness.golden.schema import (
    CHECK_TYPES,
    CaseYaml,
    CheckYaml,
    GenerationYaml,
    GoldenSetYaml,
    MessageYaml,
    Role,
    base_type,
)
from harness.golden.value_rules import ToolError, read_tools
from harness.golden.variables import (
    Combination,
    TemplateError,
    as_json,
    as_texts,
    fill,
    fill_value,
    read_if_file,
)
from harness.golden.yaml_lines import Document, KeyPath
from harness.registry.builtin_metrics import PYTHON
from harness.types import Check, GenerationSettings, GoldenCase, JsonValue, Message, ToolCall, Turn

# Their values name tools.
_OF_CALLS = frozenset({"tool-calls", "tool-call-f1"})
# They read the model's loss after the first prompt, or the baseline's answer to the same conversation.
_OF_ONE_TURN = frozenset({"perplexity", "choice-likelihood", "pairwise"})


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseReading:
    """One case while it is read; what is wrong is noted, and all parts are read.

    Attributes:
        document: The file with the case: the golden set's, or an included one.
        base: The golden set's own file, with its defaults.
        raw: The golden set.
        usual: The settings of its cases that have none of their own, and no tools.
        index: The case's index in its file.
        combination: The values of its variables, and its id with them.
        faults: What is wrong with it.
    """

    document: Document
    base: Document
    raw: GoldenSetYaml
    usual: GenerationSettings
    index: int
    case: CaseYaml
    combination: Combination
    faults: list[GoldenError] = field(default_factory=list)

    def golden_case(self) -> GoldenCase:
        """The case, which counts if no fault was noted."""
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
        turns = self._script(fill_text)
        # In this order faults of one line are told.
        messages = self._messages(fill_text)
        checks = self._checks(references, passages, turns, fill_text)
        return GoldenCase(
            id=self._id,
            set_name=self.raw.name,
            messages=messages,
            references=references,
            checks=checks,
            turns=turns,
            tags=tuple(dict.fromkeys([*case.tags, *self.raw.defaults.tags])),
            cluster=self._cluster(),
            retrieved_context=passages,
            metadata=case.metadata,
            generation=self._until_decided(checks, references),
            must_pass=case.must_pass,
            repeat=self._repeat(),
            skip=case.skip,
            xfail=case.xfail,
            line=self.document.line(self._key()),
            file="" if self.document is self.base else str(self.document.path),
            timeout_s=case.timeout,
            description=case.description,
            probes_forgetting=self.raw.probes_forgetting,
        )

    @property
    def _id(self) -> str:
        return self.combination.case_id

    def _cluster(self) -> str | None:
        """Cases of one matrix are not independent of each other."""
        return self.case.id if self.case.cluster is None and self._id != self.case.id else self.case.cluster

    def _document_of(self, key: KeyPath) -> Document:
        """The file with a key: a case's keys are in its own, the defaults in the set's."""
        return self.document if key[:1] == ("cases",) else self.base

    def _key(self, *below: str | int) -> KeyPath:
        return ("cases", self.index, *below)

    def _filler(self) -> Callable[[str], str]:
        directory = self.document.path.parent
        variables = {
            name: self._filled(("vars", name), value, lambda text: read_if_file(text, directory))
            if isinstance(value, str)
            else value
            for name, value in self.combination.variables.items()
        }
        return lambda text: fill(text, variables, directory)

    def _filled(self, key: KeyPath, text: str, fill_text: Callable[[str], str]) -> str:
        try:
            return fill_text(text)
        except TemplateError as error:
            self._note(self._key(*key), f"{self._id}: {error}")
            return text

    def _messages(self, fill_text: Callable[[str], str]) -> tuple[Message, ...]:
        """The conversation, without the last line break that YAML adds to a block text."""
        turns = self._turns()
        messages = tuple([self._message(key, turn, fill_text) for key, turn in turns])
        if not messages[-1].content.strip():
            self._note(self._key(*turns[-1][0]), f"{self._id}: the prompt is empty")
        return messages

    def _message(self, key: KeyPath, turn: MessageYaml, fill_text: Callable[[str], str]) -> Message:
        return Message(
            role=turn.role,
            content=self._filled(key, turn.content, fill_text).rstrip("\n"),
            tool_calls=tuple(
                [
                    ToolCall(name=call.name, arguments=self._filled_arguments(key, call.arguments, fill_text))
                    for call in turn.tool_calls
                ]
            ),
            name=turn.name,
        )

    def _filled_arguments(
        self, key: KeyPath, arguments: Mapping[str, JsonValue], fill_text: Callable[[str], str]
    ) -> dict[str, JsonValue]:
        return {
            name: as_json(fill_value(item, lambda text: self._filled(key, text, fill_text)))
            for name, item in arguments.items()
        }

    def _turns(self) -> list[tuple[KeyPath, MessageYaml]]:
        """Each message and the key of its text: system, examples, the conversation."""
        case, defaults = self.case, self.raw.defaults
        turns: list[tuple[KeyPath, MessageYaml]] = [
            (("messages", number, "content"), turn) for number, turn in enumerate(case.messages or ())
        ]
        if case.messages is None:
            system = case.system if case.system is not None else defaults.system
            turns += [(("system",), _said("system", system))] if system is not None else []
        if case.prompt is not None:
            turns.append((("prompt",), _said("user", case.prompt)))
        if case.turns is not None:
            turns.append((("turns", 0, "user"), _said("user", case.turns[0].user)))
        examples: list[tuple[KeyPath, MessageYaml]] = []
        for number, example in enumerate(defaults.examples if case.examples is None else case.examples):
            examples.append((("examples", number, "user"), _said("user", example.user)))
            examples.append((("examples", number, "assistant"), _said("assistant", example.assistant)))
        start = 1 if turns[0][1].role == "system" else 0
        return [*turns[:start], *examples, *turns[start:]]

    def _script(self, fill_text: Callable[[str], str]) -> tuple[Turn, ...]:
        """The case's turns; none for a case of one."""
        script = []
        for number, turn in enumerate(self.case.turns or ()):
            content = self._filled(("turns", number, "user"), turn.user, fill_text).rstrip("\n")
            if not content.strip():
                self._note(self._key("turns", number, "user"), f"{self._id}: the turn is empty")
            references = [
                self._filled(("turns", number, "references", place), reference, fill_text).rstrip("\n")
                for place, reference in enumerate(turn.references)
            ]
            script.append(Turn(content=content, references=tuple(references)))
        return tuple(script)

    def _tools(self) -> tuple[JsonValue, ...]:
        own = self.case.tools
        key: KeyPath = ("defaults", "tools") if own is None else self._key("tools")
        written = self.raw.defaults.tools if own is None else own
        try:
            tools = read_tools(written, self._document_of(key).path.parent)
            if not self.case.vars:
                return tools  # braces in a tool's description are its own
            fill_text = self._filler()
            return tuple(as_json(fill_value(tool, fill_text)) for tool in tools)
        except (ToolError, TemplateError) as error:
            self._note(key, f"{self._id}: {error}")
            return ()

    def _checks(
        self,
        references: Sequence[str],
        passages: Sequence[str],
        turns: Sequence[Turn],
        fill_text: Callable[[str], str],
    ) -> tuple[Check, ...]:
        own = [_name(check) for check in self.case.checks]  # no set: a wrong path may be a list
        written: list[tuple[KeyPath, CheckYaml]] = [
            (("defaults", "checks", number), check)
            for number, check in enumerate(self.raw.defaults.checks)
            if _name(check) not in own
        ]
        written += [(self._key("checks", number), check) for number, check in enumerate(self.case.checks)]
        of_turns = [
            (number, self._key("turns", number - 1, "checks", place), check)
            for number, turn in enumerate(self.case.turns or (), start=1)
            for place, check in enumerate(turn.checks)
        ]
        if not written and not of_turns:
            self._note(self._key("checks"), f"{self._id}: no check", "at least one, here or in defaults")
        made = [self._check(key, check, references, passages, fill_text) for key, check in written]
        own_turns = [
            (number, self._check(key, check, turns[number - 1].references, passages, fill_text))
            for number, key, check in of_turns
        ]
        checks = (
            *[replace(check, turn=number) for number, check in own_turns if check is not None],
            *[check for check in made if check is not None],
        )
        singles = [single for check in checks for single in check.single_checks]
        if turns and (odd := [one.type for one in singles if base_type(one.type) in _OF_ONE_TURN]):
            self._note(self._key("turns"), f"{self._id}: {odd[0]} is for cases of one turn")
        for key, check in [
            *zip([key for key, _ in written], made, strict=True),
            *[(key, one) for (_, key, _), (_, one) in zip(of_turns, own_turns, strict=True)],
        ]:
            if check is not None:
                self._expect_offered(key, check)
        needy = [one.type for one in singles if CHECK_TYPES[base_type(one.type)].needs_tools]
        if needy and not (self.raw.defaults.tools if self.case.tools is None else self.case.tools):
            self._note(self._key("checks"), f"{self._id}: {needy[0]} needs tools")
        return checks

    def _expect_offered(self, key: KeyPath, check: Check) -> None:
        """Refuse an expected call of a tool that the case does not offer, if it offers any."""
        expected = {
            entry["name"] if isinstance(entry, dict) else entry: place
            for single, as_written in check.signed_checks
            if as_written and single.type in _OF_CALLS and isinstance(single.value, list)
            for place, entry in enumerate(single.value)
        }
        offered = [str(cast("Any", tool)["function"]["name"]) for tool in self._tools()] if expected else []
        for name, place in expected.items():
            if offered and name not in offered:
                problem = f"{self._id}: {check.type} expects the tool {name}, which the case does not offer"
                where = () if check.checks else ("value", place)
                self._note((*key, *where), problem + did_you_mean(str(name), offered), ", ".join(offered))

    def _check(
        self,
        key: KeyPath,
        check: CheckYaml,
        references: Sequence[str],
        passages: Sequence[str],
        fill_text: Callable[[str], str],
    ) -> Check | None:
        try:
            value = value_of_kind(check.type, check.value, fill_value(check.value, fill_text))
            return make_check(
                check.type,
                check.threshold,
                written_value(value, is_there="value" in check.model_fields_set),
                _filled_options(check.__pydantic_extra__ or {}, fill_text),
                references=references,
                context=passages,
                line=self._document_of(key).line(key),
                directory=self._document_of(key).path.parent,
            )
        except TemplateError as error:
            self._note((*key, "value"), f"{self._id}: {error}")
        except CheckProblem as problem:
            message = f"{problem.problem} (case {self._id})"
            self._note((*key, *problem.key), message, problem.allowed)
        return None

    def _repeat(self) -> int:
        """Number of answers; greedy decoding always gives the same one."""
        own = self.case.repeat
        repeat = self.raw.defaults.repeat if own is None else own
        if repeat > 1 and self._generation().temperature == 0:
            key: KeyPath = ("defaults", "repeat") if own is None else self._key("repeat")
            problem = f"{self._id}: at temperature 0 all {repeat} answers are the same"
            self._note(key, problem, "1, or a temperature above 0 under generation")
        return repeat

    def _until_decided(self, checks: Sequence[Check], references: Sequence[str]) -> GenerationSettings:
        """The settings, with what ends an answer if it may end before its time."""
        settings = self._generation()
        own = self.case.generation.get("stop_when_decided", self.raw.generation.stop_when_decided)
        if own is not True:
            return settings
        key = self._key("generation", "stop_when_decided") if self.case.generation else ("generation",)
        if self.case.turns:
            self._note(key, f"{self._id}: later turns read the whole answer", "cases of one turn")
        found = [(check, condition_of(check, references)) for check in checks]
        for check, _ in (each for each in found if each[1] is None):
            problem = f"{self._id}: stop_when_decided: {check.type} is known only when the answer has ended"
            self._note(
                key, problem, f"{', '.join(DECIDED)} without transform, patterns without look-ahead or end"
            )
        return replace(settings, decided_by=tuple(condition for _, condition in found))

    def _generation(self) -> GenerationSettings:
        if not (self.case.generation or self.case.tools or self.raw.defaults.tools):
            return self.usual
        settings = self.raw.generation
        if self.case.generation:
            given = {**settings.model_dump(), **self.case.generation}
            if isinstance(own := self.case.generation.get("chat_template_kwargs"), dict):
                given["chat_template_kwargs"] = {**settings.chat_template_kwargs, **own}
            try:
                settings = GenerationYaml.model_validate(given)
            except ValidationError as error:
                self.faults.extend(explain(self.document, error, self._key("generation")))
        return replace(as_settings(settings), tools=self._tools())

    def _note(self, key: KeyPath, problem: str, allowed: str = "") -> None:
        self.faults.append(golden_error(self._document_of(key), key, problem, allowed))


def _said(role: Role, content: str) -> MessageYaml:
    return MessageYaml(role=role, content=content)


def as_settings(settings: GenerationYaml) -> GenerationSettings:
    """The settings as the engines read them."""
    stop = (settings.stop,) if isinstance(settings.stop, str) else tuple(settings.stop)
    return GenerationSettings(**{**settings.model_dump(exclude={"stop_when_decided"}), "stop": stop})


def _filled_options(
    options: Mapping[str, JsonValue], fill_text: Callable[[str], str]
) -> dict[str, JsonValue]:
    """A check's further keys, their texts filled; so are those of a group's members."""
    members = options.get("checks")
    own = {key: _filled_option(key, item, fill_text) for key, item in options.items() if key != "checks"}
    if not isinstance(members, list):
        return own if "checks" not in options else {**own, "checks": members}
    filled: list[JsonValue] = []
    for number, member in enumerate(members):
        try:
            filled.append(_filled_member(member, fill_text))
        except CheckProblem as problem:
            raise CheckProblem(
                ("checks", number, *problem.key), problem.problem, problem.allowed
            ) from problem
    return {**own, "checks": filled}


def _filled_option(key: str, item: JsonValue, fill_text: Callable[[str], str]) -> JsonValue:
    try:
        filled = fill_value(item, fill_text)
    except TemplateError as error:
        raise CheckProblem((key,), str(error)) from error
    # A number that a key takes may be a variable; a list is one of texts.
    return as_texts(filled) if isinstance(filled, list) else as_json(filled)


def _filled_member(member: JsonValue, fill_text: Callable[[str], str]) -> JsonValue:
    if not isinstance(member, dict):
        return member
    own = _filled_options({key: item for key, item in member.items() if key != "value"}, fill_text)
    if "value" not in member:
        return own
    try:
        value = fill_value(member["value"], fill_text)
    except TemplateError as error:
        raise CheckProblem(("value",), str(error)) from error
    return {**own, "value": value_of_kind(str(member.get("type")), member["value"], value)}


def _name(check: CheckYaml) -> tuple[str, JsonValue]:
    """The default check that a case's own check replaces: that of its type, or of its function."""
    extra = check.__pydantic_extra__ or {}
    return check.type, extra.get("path") if check.type == PYTHON else None
