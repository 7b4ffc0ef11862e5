"""YAML with line numbers: plain data, and the line of each key.

A file may have a hundred thousand cases. The nodes that PyYAML makes take fifty times as much memory as its
text, so each entry of a list at the top is turned into data as soon as it is composed.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from harness.errors import GoldenError, as_one
from tunegate.line_index import LineIndex
from tunegate.printable import printable_line
from tunegate.yaml_scalars import LIKE_NUMBER, SpellingError, block_value, unquoted_value

# Marks before a value: an anchor, a tag.
_TAG = re.compile(r"(?:&\S+\s+)?(?P<tag>!\S*)")
# A word behind a text that begins with #, which is cut off as a comment.
_CUT = re.compile(r"[ \t]+(#[^\s#!]\S*)")
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
        lines: Where each part of the data is in the text.
        faults: Values that YAML reads otherwise than they look; in the data is their text as written.
    """

    def __init__(
        self, path: Path, text: str, data: Any, lines: LineIndex, faults: Sequence[GoldenError] = ()
    ) -> None:
        """Store both forms of the text."""
        self.path, self.text, self.data, self.lines = path, text, data, lines
        self.faults = tuple(faults)

    def line(self, key_path: KeyPath) -> int:
        """1-based line of a key, or of the nearest enclosing key in the file."""
        return self.lines.line(key_path)


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
    if found := _LINE_ENDS.search(read):
        problem = f"the character U+{ord(found[0]):04X}, which ends a line of YAML 1.1"
        allowed = f'"\\u{ord(found[0]):04x}" in double quotes'
        raise GoldenError(path, len(read[: found.start()].splitlines()), "", problem, allowed)
    loader = (_FullLoader if _ESCAPED_PAIR.search(read) else _FastLoader)(read)
    reader = loader.reader = _Reader(path, read, loader)
    try:
        root = loader.get_single_node()
        if root is None:
            raise GoldenError(path, None, "", "the file is empty", "a mapping of keys")
        data = reader.read_root(root)
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
        loader.forget()
    return Document(path, text, data, reader.lines, sorted(reader.faults, key=lambda each: each.line or 0))


def composed(document: Document) -> yaml.Node:
    """The document's nodes, with the position of each in the text."""
    read = document.text.removeprefix("\ufeff")
    kind = yaml.SafeLoader if _ESCAPED_PAIR.search(read) else _Loader
    node = yaml.compose(read, Loader=kind)
    assert node is not None  # the document was read
    return node


def _explained(error: yaml.MarkedYAMLError, text: str) -> str:
    problem, mark = error.problem or error.context or "unreadable", error.problem_mark
    if "cannot start any token" in problem and mark is not None:
        lines = text.splitlines()
        found = lines[mark.line][mark.column : mark.column + 1] if mark.line < len(lines) else ""
        return (
            "a tab: indent with spaces" if found == "\t" else f"{found} at a text's start: put it in quotes"
        )
    return "a second document (---): one a file" if "another document" in problem else str(problem)


def _too_deep(path: Path, line: int | None) -> GoldenError:
    return GoldenError(path, line, "", f"nested deeper than {MAX_DEPTH} levels", "fewer")


class _EntryLoader:
    """Hands each entry of a list at the top to the reader, as soon as the next one begins."""

    reader: "_Reader"
    _root: Any = None
    _key: Any = None
    _list: Any = None
    _depth = 0

    def descend_resolver(self, parent: Any, index: Any) -> None:
        """Called by PyYAML before a node below another one is composed."""
        self._depth += 1
        if self._depth > MAX_DEPTH + 2:
            # libyaml composes by recursion in C: 30 000 levels overflow a stack of 8 MB and end the process.
            self.reader.refuse_depth(parent)
        if self._root is None or parent is self._root:
            self._root, self._key, self._list = parent, index, None
        elif self._list is None:
            # The first node below a value at the top; what is no list stays whole.
            is_list = isinstance(parent, yaml.SequenceNode) and isinstance(self._key, yaml.ScalarNode)
            self._list = parent if is_list else self
        elif parent is self._list:
            self.reader.take(parent, index, self._key.value)

    def ascend_resolver(self) -> None:
        """Called by PyYAML after that."""
        self._depth -= 1

    def forget(self) -> None:
        """Drop the reader and the nodes: a circle of them would stay in memory."""
        del self.reader
        self._root = self._key = self._list = None


class _FullLoader(_EntryLoader, yaml.SafeLoader):
    """Reads all that YAML is."""


class _FastLoader(_EntryLoader, _Loader):  # type: ignore[misc] # one of two classes
    """libyaml's, which refuses pairs of escapes."""


class _Reader:
    """From nodes to plain data; notes values that YAML silently reads differently than they look."""

    def __init__(self, path: Path, text: str, loader: Any) -> None:
        self.path, self.text, self.loader = path, text, loader
        self.faults: list[GoldenError] = []
        self.lines = LineIndex()
        # Where the list or mapping begins that was read last.
        self._at = -1

    def refuse_depth(self, node: yaml.Node) -> None:
        """Raise the error of a text that is nested too deeply."""
        raise _too_deep(self.path, node.start_mark.line + 1)

    def take(self, node: Any, count: int, name: str) -> None:
        """Read the first entries of a list at the top, which need their nodes no longer.

        Args:
            node: The list.
            count: How many entries are composed.
            name: Its key.
        """
        if not hasattr(node, "taken"):
            node.taken, self.lines, self._at = [], LineIndex(names=self.lines.names), node.start_mark.index
        for place in range(len(node.taken), count):
            child = node.value[place]
            node.taken.append(self._below(child, child.start_mark.line, None, (name, place)))
            node.value[place] = None
        node.lines, node.read_to = self.lines, self._at

    def read_root(self, root: Any) -> Any:
        """The document's data, without what was taken before."""
        self.lines, self._at = LineIndex(root.start_mark.line, self.lines.names), -1
        data = self.read(root, ())
        self.lines.end(0)
        return data

    def read(self, node: Any, key: KeyPath) -> Any:
        """The data under a node: texts, numbers, booleans, null, lists and mappings."""
        if node.tag not in _TAGS:
            kind = node.tag.removeprefix(_PREFIX)
            problem = "a date" if kind == "timestamp" else f"a YAML {kind}"
            self._note(node, key, problem, "a text: put it in quotes")
            return node.value if isinstance(node, yaml.ScalarNode) else None
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, key)
        # An alias is composed as the same node as its anchor, which begins before; aliases of lists multiply.
        if node.start_mark.index <= self._at:
            self._note(node, key, "an alias (*name)", "the value written out")
            return None
        self._at = node.start_mark.index
        if len(key) > MAX_DEPTH:
            raise _too_deep(self.path, node.start_mark.line + 1)
        return self._list(node, key) if isinstance(node, yaml.SequenceNode) else self._mapping(node, key)

    def _below(self, child: Any, line: int, name: str | None, key: KeyPath) -> Any:
        place = self.lines.begin(line, name)
        data = self.read(child, key)
        if not isinstance(child, yaml.ScalarNode):
            self.lines.end(place)
        return data

    def _list(self, node: Any, key: KeyPath) -> list[Any]:
        data = getattr(node, "taken", [])
        if data:
            self.lines.join(node.lines)
            self._at = node.read_to
        for place in range(len(data), len(node.value)):
            child = node.value[place]
            data.append(self._below(child, child.start_mark.line, None, (*key, place)))
        return data

    def _scalar(self, node: yaml.ScalarNode, key: KeyPath) -> Any:
        node.value = joined_pairs(node.value)
        if _HALF.search(node.value):
            self._note(node, key, "half of a character (a lone surrogate)", "the whole character")
        if node.style in _BLOCKS and node.tag == _TEXT:
            return block_value(node.value, self.text, node.start_mark.index)
        if node.tag in _NUMBERS and len(node.value) > _LONGEST_NUMBER:
            problem = f"a number of {len(node.value)} characters"
            self._note(node, key, problem, f"at most {_LONGEST_NUMBER}, or a text: put it in quotes")
            return node.value
        by_yaml = node.value if node.tag == _TEXT else self._constructed(node)
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

    def _constructed(self, node: yaml.ScalarNode) -> object:
        value = self.loader.construct_object(node)
        self.loader.constructed_objects.clear()  # it would keep every node
        return value

    def _has_tag(self, node: yaml.Node) -> bool:
        found = _TAG.match(self.text, node.start_mark.index)
        if found is not None and found["tag"] == "!":
            self._note(node, (), "a tag without a name (!)", "no tag; quotes for a text")
        return found is not None

    def _is_text(self, key_node: Any) -> bool:
        """Whether a key is a text to all readers of YAML; y is one to most, and a usual name."""
        if key_node.tag != _TEXT or key_node.style in _QUOTES or self._has_tag(key_node):
            return bool(key_node.tag == _TEXT)
        return LIKE_NUMBER.fullmatch(key_node.value) is None

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
                data[name] = self._below(child, key_node.start_mark.line, name, (*key, name))
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
