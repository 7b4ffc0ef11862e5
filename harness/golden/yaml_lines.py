"""YAML with line numbers: plain data, the line of each key, and scalars that are read as they look.

YAML 1.1 reads ``12:30`` as 750, ``010`` as 8 and ``yes`` as true, and 1e3 as a text; YAML 1.2 reads each
otherwise; ``0o17``, ``08`` and ``y`` too. Outside of quotes only the numbers, booleans and null of JSON are
accepted, which all of them share.
"""

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from harness.errors import GoldenError, as_one
from harness.types import JsonValue
from tunegate.printable import printable_line

_NUMBER_PREFIX = "tag:yaml.org,2002:"
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_WORDS: dict[str, dict[str, JsonValue]] = {
    "bool": {"true": True, "false": False},
    "null": {"null": None, "": None},
}
# A number or a boolean to readers of another version of YAML, or to most people.
_LIKE_NUMBER = re.compile(
    r"[-+]?(?:0[oObBxX][0-9a-fA-F_]+|(?:\.[0-9][0-9_]*|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9_]+)?)"
)
_LIKE_BOOLEAN = frozenset("yYnN")
_SPELT = {"bool": "true or false", "null": "null", "int": "a number as JSON writes it"}
# Marks before a value: an anchor, a tag.
_TAG = re.compile(r"(?:&\S+\s+)?(?P<tag>!\S*)")
# A word behind a text that begins with #, which is cut off as a comment.
_CUT = re.compile(r"[ \t]+(#[^\s#!]\S*)")
_HEADER = re.compile(r"(?:[&!]\S*\s+)*[|>](?P<indicators>[-+0-9]*)")


class SpellingError(ValueError):
    """A scalar that is read otherwise than it looks; ``allowed`` says how to write it."""

    def __init__(self, problem: str, allowed: str) -> None:
        """Store both parts of the message."""
        super().__init__(problem)
        self.allowed = allowed


def unquoted_value(text: str, tag: str, by_yaml: object, *, exact: bool) -> JsonValue:
    """The value of a scalar without quotes.

    Args:
        text: The scalar.
        tag: Its type by YAML 1.1.
        by_yaml: Its value by YAML 1.1.
        exact: Whether it may also be meant as a text: a number's spelling must then be the only one of its
            value, so that ``1.10`` is refused.

    Raises:
        SpellingError: YAML's versions read it differently, or not as it looks.
    """
    name = tag.removeprefix(_NUMBER_PREFIX)
    if name in _WORDS:
        if text not in _WORDS[name]:
            raise SpellingError(
                f"YAML reads {text} as {_shown(by_yaml)}", f"{_SPELT[name]}, or {_quoted(text)}"
            )
        return _WORDS[name][text]
    if not _NUMBER.fullmatch(text):
        if name == "str" and text in _LIKE_BOOLEAN:
            raise SpellingError(
                f"{text} is a boolean to some readers of YAML", f"true or false, or {_quoted(text)}"
            )
        if name == "str" and _LIKE_NUMBER.fullmatch(text):
            problem = f"{text} is a number to some readers of YAML"
            raise SpellingError(problem, f"{_SPELT['int']}, or {_quoted(text)}")
        if name == "str":
            return text
        problem = f"YAML reads {text} as {_shown(by_yaml)}"
        raise SpellingError(problem, f"{_SPELT['int']}, or {_quoted(text)}")
    value: int | float = int(text) if name == "int" else float(text)
    if math.isinf(value):
        raise SpellingError(f"{text} is beyond a float's range", "a smaller number")
    # Tools that write YAML 1.1 put a point before the exponent.
    if exact and text not in {json.dumps(value), re.sub(r"^(-?[0-9]+)e", r"\1.0e", json.dumps(value))}:
        raise SpellingError(
            f"YAML reads {text} as {_shown(by_yaml)}", f"{json.dumps(value)}, or {_quoted(text)}"
        )
    return value


def is_bare_text(text: str) -> bool:
    """Whether a word without quotes is a text to all readers of YAML."""
    return yaml.safe_load(text) == text and text not in _LIKE_BOOLEAN and not _LIKE_NUMBER.fullmatch(text)


def block_value(value: str, source: str) -> str:
    """A block text without the last line break that YAML adds, unless ``|+`` or ``>+`` asks for it.

    Args:
        value: The text as YAML reads it.
        source: The document from the text's beginning on.
    """
    header = _HEADER.match(source)
    keeps = header is not None and "+" in header["indicators"]
    return value if keeps else value.removesuffix("\n")


def _shown(by_yaml: object) -> str:
    return f"the text '{by_yaml}'" if isinstance(by_yaml, str) else json.dumps(by_yaml)


def _quoted(text: str) -> str:
    return f"'{text}' in quotes for a text"


# A key's path inside a document: mapping keys and list indices.
KeyPath: TypeAlias = tuple[str | int, ...]
# libyaml's loader where PyYAML was built with it: about ten times as fast.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# JSON writes a character beyond the first 65 536 as two escapes, which libyaml refuses.
_ESCAPED_PAIR = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_HALF = re.compile("[\ud800-\udfff]")
MAX_BYTES = 16 * 2**20
MAX_DEPTH = 100
# libyaml composes by recursion in C: 30 000 levels overflow a stack of 8 MB and end the process.
_SAFE_DEPTH = 5000
_PREFIX = "tag:yaml.org,2002:"
# The types of JSON; others (dates, sets, binary, objects) are not allowed in our files.
_TAGS = frozenset(_PREFIX + name for name in ("null", "bool", "int", "float", "str", "seq", "map"))
_TEXT = _PREFIX + "str"
_MERGE = _PREFIX + "merge"
_NUMBERS = {_PREFIX + "int", _PREFIX + "float"}
# Beyond about 308 digits a number is none that JSON's readers and floats can hold.
_LONGEST_NUMBER = 300
_BLOCKS, _QUOTES = frozenset("|>"), frozenset("'\"")
# What breaks lines in YAML 1.1 only: in a text it ends the line, and part of it may be lost.
_LINE_ENDS = re.compile("[\x85\u2028\u2029]")
# Keys of golden sets below which a key with nothing behind it would silently mean that there is none.
_ROOTS = frozenset({"cases", "defaults", "generation", "gate"})
# Keys whose values may be any JSON, so that a number may also be meant as a text.
_ANY_JSON = frozenset({"value", "vars", "metadata", "chat_template_kwargs", "arguments", "parameters"})


class Document:
    """A parsed YAML file.

    Attributes:
        data: Plain data, as ``yaml.safe_load`` gives.
        root: The node tree, with the position of each node in the text.
        faults: Values that YAML reads otherwise than they look; in the data is their text as written.
    """

    def __init__(
        self, path: Path, text: str, data: Any, root: yaml.Node, faults: Sequence[GoldenError] = ()
    ) -> None:
        """Store both forms of the text."""
        self.path, self.text, self.data, self.root = path, text, data, root
        self.faults = tuple(faults)

    def line(self, key_path: KeyPath) -> int:
        """1-based line of a key, or of the nearest enclosing key in the file."""
        node, line = self.root, self.root.start_mark.line
        for step in key_path:
            if isinstance(node, yaml.MappingNode):
                found = next(((k, v) for k, v in node.value if k.value == str(step)), None)
                if found is None:
                    break
                line, node = found[0].start_mark.line, found[1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
                node = node.value[step]
                line = node.start_mark.line
            else:
                break
        return int(line) + 1


def parse_yaml(path: Path) -> Document:
    """Read a YAML file.

    Raises:
        GoldenError: As parse_yaml_text, or the file can't be read, is too large, or is not UTF-8.
    """
    return _sound(read_yaml(path))


def _sound(document: Document) -> Document:
    if document.faults:
        raise as_one(document.faults)
    return document


def read_yaml(path: Path) -> Document:
    """As parse_yaml, but what YAML reads otherwise than it looks is only noted, as the document's faults.

    Raises:
        GoldenError: The file can't be read, or is no YAML.
    """
    if any(printable_line(name) != name for name in (path.name, path.parent.name)):
        # pytest prints the names of files by itself.
        problem = "hidden characters in the name"
        raise GoldenError(path, None, "", problem, "a name that is seen as it is")
    try:
        if path.exists() and not path.is_file():
            raise GoldenError(path, None, "", "not a file", "a YAML file")
        if path.stat().st_size > MAX_BYTES:
            raise GoldenError(path, None, "", f"{path.stat().st_size} bytes", f"at most {MAX_BYTES} bytes")
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise GoldenError(path, None, "", f"can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise GoldenError(path, None, "", f"not UTF-8: byte {error.start}", "UTF-8 text") from error
    return _read_text(path, text)


def parse_yaml_text(path: Path, text: str) -> Document:
    """As parse_yaml, for a text that is or will be in ``path``.

    Args:
        path: The file, for messages.
        text: Its content.

    Raises:
        GoldenError: It is not YAML, repeats a key, nests deeper than 100 levels, or uses aliases of lists or
            mappings, merges, dates or other tags.
    """
    return _sound(_read_text(path, text))


def _read_text(path: Path, text: str) -> Document:
    # Positions of nodes don't count a byte-order mark.
    read = text.removeprefix("\ufeff")
    kind = yaml.SafeLoader if _ESCAPED_PAIR.search(read) else _Loader
    if found := _LINE_ENDS.search(read):
        problem = f"the character U+{ord(found[0]):04X}, which ends a line of YAML 1.1"
        allowed = f'"\\u{ord(found[0]):04x}" in double quotes'
        raise GoldenError(path, len(read[: found.start()].splitlines()), "", problem, allowed)
    loader = kind(read)
    try:
        _refuse_depth(path, text, kind)
        root = loader.get_single_node()
        if root is None:
            raise GoldenError(path, None, "", "the file is empty", "a mapping of keys")
        reader = _Reader(path, read, loader)
        data = reader.read(root, ())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = None if mark is None else mark.line + 1
        raise GoldenError(path, line, "", f"not YAML: {_explained(error, text)}") from error
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1 if isinstance(error.position, int) else None
        raise GoldenError(path, line, "", f"not YAML: {str(error).splitlines()[0]}") from error
    except RecursionError as error:
        raise _too_deep(path, None) from error
    except (yaml.YAMLError, ValueError) as error:
        raise GoldenError(path, None, "", f"not YAML: {str(error).splitlines()[0]}") from error
    finally:
        loader.dispose()
    return Document(path, text, data, root, reader.faults)


def _explained(error: yaml.MarkedYAMLError, text: str) -> str:
    problem, mark = error.problem or error.context or "unreadable", error.problem_mark
    if "cannot start any token" in problem and mark is not None:
        lines = text.splitlines()
        found = lines[mark.line][mark.column : mark.column + 1] if mark.line < len(lines) else ""
        return (
            "a tab: indent with spaces" if found == "\t" else f"{found} at a text's start: put it in quotes"
        )
    return "a second document (---): one a file" if "another document" in problem else str(problem)


def _refuse_depth(path: Path, text: str, kind: Any) -> None:
    """Refuse nesting that would overflow the C stack when it is composed by a kind of loader.

    A level of nesting needs a bracket, or a column (a list may start at its key's column), so counting is
    enough for most texts; only the others are read event by event.
    """
    longest = max(map(len, text.splitlines()), default=0)
    if text.count("[") + text.count("{") + 2 * longest <= _SAFE_DEPTH:
        return
    depth = 0
    for event in yaml.parse(text, Loader=kind):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise _too_deep(path, None if event.start_mark is None else event.start_mark.line + 1)


def _too_deep(path: Path, line: int | None) -> GoldenError:
    return GoldenError(path, line, "", f"nested deeper than {MAX_DEPTH} levels", "fewer")


class _Reader:
    """From nodes to plain data; notes values that YAML silently reads differently than they look."""

    def __init__(self, path: Path, text: str, loader: Any) -> None:
        self.path, self.text, self.loader = path, text, loader
        self.seen: set[int] = set()
        self.faults: list[GoldenError] = []

    def read(self, node: yaml.Node, key: KeyPath) -> Any:
        """The data under a node: texts, numbers, booleans, null, lists and mappings."""
        if node.tag not in _TAGS:
            kind = node.tag.removeprefix(_PREFIX)
            problem = "a date" if kind == "timestamp" else f"a YAML {kind}"
            self._note(node, key, problem, "a text: put it in quotes")
            return node.value if isinstance(node, yaml.ScalarNode) else None
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, key)
        # An alias is composed as the same node as its anchor; aliases of lists multiply.
        if id(node) in self.seen:
            self._note(node, key, "an alias (*name)", "the value written out")
            return None
        self.seen.add(id(node))
        if len(key) > MAX_DEPTH:
            raise _too_deep(self.path, node.start_mark.line + 1)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(child, (*key, index)) for index, child in enumerate(node.value)]
        return self._mapping(node, key)

    def _scalar(self, node: yaml.ScalarNode, key: KeyPath) -> Any:
        node.value = joined_pairs(node.value)
        if _HALF.search(node.value):
            self._note(node, key, "half of a character (a lone surrogate)", "the whole character")
        if node.style in _BLOCKS and node.tag == _TEXT:
            return block_value(node.value, self.text[node.start_mark.index :])
        if node.tag in _NUMBERS and len(node.value) > _LONGEST_NUMBER:
            problem = f"a number of {len(node.value)} characters"
            self._note(node, key, problem, f"at most {_LONGEST_NUMBER}, or a text: put it in quotes")
            return node.value
        by_yaml = node.value if node.tag == _TEXT else self.loader.construct_object(node)
        # Quotes and the tag !!str say that a text is meant.
        if (node.style in _QUOTES or self._has_tag(node)) and node.tag == _TEXT:
            return by_yaml
        if not node.value and _is_written(key):
            self._note(node, key, "nothing is written here", "a value; null for the null of JSON")
            return node.value
        if node.tag == _TEXT and (cut := _CUT.match(self.text, node.end_mark.index)):
            self._note(node, key, f"YAML cuts {cut[1]} off as a comment", "the text in quotes")
        try:
            return unquoted_value(node.value, node.tag, by_yaml, exact=bool(_ANY_JSON.intersection(key)))
        except SpellingError as error:
            self._note(node, key, str(error), error.allowed)
            return node.value

    def _has_tag(self, node: yaml.Node) -> bool:
        found = _TAG.match(self.text, node.start_mark.index)
        if found is not None and found["tag"] == "!":
            self._note(node, (), "a tag without a name (!)", "no tag; quotes for a text")
        return found is not None

    def _is_text(self, key_node: Any) -> bool:
        """Whether a key is a text to all readers of YAML; y is one to most, and a usual name."""
        if key_node.tag != _TEXT or key_node.style in _QUOTES or self._has_tag(key_node):
            return bool(key_node.tag == _TEXT)
        return _LIKE_NUMBER.fullmatch(key_node.value) is None

    def _mapping(self, node: yaml.Node, key: KeyPath) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key_node, child in node.value:
            name = (
                joined_pairs(key_node.value)
                if isinstance(key_node, yaml.ScalarNode)
                else "(a list or mapping)"
            )
            if key_node.tag == _MERGE:
                self._note(key_node, (*key, name), "a merge (<<)", "the keys written out")
            elif not self._is_text(key_node):
                self._note(key_node, key, f"the key {name} is not a text", "a text: put it in quotes")
            elif name in data:
                self._note(key_node, (*key, name), "the key occurs twice", "one")
            else:
                data[name] = self.read(child, (*key, name))
        return data

    def _note(self, node: yaml.Node, key: KeyPath, problem: str, allowed: str) -> None:
        self.faults.append(GoldenError(self.path, node.start_mark.line + 1, dotted(key), problem, allowed))


def _is_written(key: KeyPath) -> bool:
    """Whether something has to be written behind a key: without a value a check means the references."""
    return bool(_ANY_JSON.intersection(key)) or (len(key) > 1 and key[0] in _ROOTS)


def joined_pairs(text: str) -> str:
    """The text with each pair of surrogates as the character that it means."""
    return _PAIR.sub(lambda pair: pair[0].encode("utf-16-le", "surrogatepass").decode("utf-16-le"), text)


def dotted(key: KeyPath) -> str:
    """A key path as a person writes it: ``cases[3].checks[0].type``."""
    text = ""
    for step in key:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text
