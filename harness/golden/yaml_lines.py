"""YAML with line numbers: plain data, and where each key stands."""

from pathlib import Path
from typing import Any, TypeAlias

import yaml

from harness.errors import GoldenError

# A key's path inside a document: mapping keys and list indices.
KeyPath: TypeAlias = tuple[str | int, ...]

# libyaml's loader where PyYAML was built with it: about ten times as fast.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Document:
    """A parsed YAML file.

    Attributes:
        data: Plain data, as ``yaml.safe_load`` gives.
        root: The node tree, with the place of everything in the text.
    """

    def __init__(self, path: Path, text: str, data: Any, root: yaml.Node) -> None:
        """Hold the text's two readings."""
        self.path, self.text, self.data, self.root = path, text, data, root

    def line(self, key_path: KeyPath) -> int:
        """1-based line of a key, or of the nearest thing around it that the file has."""
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
        GoldenError: It can't be read, is no YAML, repeats a key, or uses anchors.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise GoldenError(path, None, "", f"can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise GoldenError(path, None, "", f"not UTF-8: byte {error.start}", "UTF-8 text") from error
    return parse_yaml_text(path, text)


def parse_yaml_text(path: Path, text: str) -> Document:
    """As parse_yaml, of a text that ``path`` holds or shall hold."""
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            raise GoldenError(path, None, "", "the file is empty", "a mapping with name and cases")
        _refuse_ambiguity(path, root, "", set())
        data = loader.construct_document(root)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = None if mark is None else mark.line + 1
        raise GoldenError(path, line, "", f"not YAML: {error.problem or error.context}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise GoldenError(path, None, "", f"not YAML: {str(error).splitlines()[0]}") from error
    finally:
        loader.dispose()
    return Document(path, text, data, root)


def _refuse_ambiguity(path: Path, node: yaml.Node, key: str, seen: set[int]) -> None:
    """Refuse repeated keys, of which YAML silently keeps the last, and aliases, which can explode."""
    if isinstance(node, yaml.ScalarNode):
        return
    if id(node) in seen:
        raise GoldenError(path, node.start_mark.line + 1, key, "an alias (*name)", "the value written out")
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for index, child in enumerate(node.value):
            _refuse_ambiguity(path, child, f"{key}[{index}]", seen)
    elif isinstance(node, yaml.MappingNode):
        names: set[str] = set()
        for key_node, child in node.value:
            name = str(key_node.value)
            place = f"{key}.{name}" if key else name
            if name in names:
                raise GoldenError(path, key_node.start_mark.line + 1, place, "the key stands twice", "one")
            names.add(name)
            _refuse_ambiguity(path, child, place, seen)
