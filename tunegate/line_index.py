"""Line numbers of a text's parts, in little memory."""

from array import array
from collections.abc import Sequence

# The entries of longer lists are found by their numbers at once.
_FEW = 16


class LineIndex:
    """The lines of a document's keys and entries, in the order of its text, in three numbers each."""

    def __init__(self, line: int = 0, names: dict[str, int] | None = None) -> None:
        """Begin with the document itself.

        Args:
            line: Its line, counted from 0.
            names: Numbers of keys, shared by indices that will be joined.
        """
        self.names = {} if names is None else names
        self._lines, self._sizes, self._named = array("I", [line]), array("I", [1]), array("I", [0])
        self._starts: dict[int, Sequence[int]] = {}

    def begin(self, line: int, name: str | None) -> int:
        """Note a key or, without a name, an entry of a list; what is inside of it comes next.

        Args:
            line: Its line, counted from 0.
            name: The key.

        Returns:
            Its place.
        """
        self._lines.append(line)
        self._sizes.append(1)
        self._named.append(0 if name is None else self.names.setdefault(name, len(self.names) + 1))
        return len(self._sizes) - 1

    def end(self, place: int) -> None:
        """Note that all that is inside of a place has been noted."""
        self._sizes[place] = len(self._sizes) - place

    def join(self, other: "LineIndex") -> None:
        """Add what another index has inside of its document."""
        self._lines += other._lines[1:]
        self._sizes += other._sizes[1:]
        self._named += other._named[1:]

    def line(self, path: Sequence[str | int]) -> int:
        """1-based line of a key, or of the nearest enclosing key in the file."""
        place = 0
        for step in path:
            found = self._inside(place, step)
            if found is None:
                break
            place = found
        return self._lines[place] + 1

    def _inside(self, place: int, step: str | int) -> int | None:
        at, end = place + 1, place + self._sizes[place]
        if at == end:
            return None
        if self._named[at] == 0:
            starts = self._starts.get(place) or self._note_starts(place)
            return starts[step] if isinstance(step, int) and step < len(starts) else None
        wanted = self.names.get(str(step))
        while at < end and self._named[at] != wanted:
            at += self._sizes[at]
        return at if at < end else None

    def _note_starts(self, place: int) -> Sequence[int]:
        """The places of a list's entries, which are looked for again and again."""
        starts, at, end = array("I"), place + 1, place + self._sizes[place]
        while at < end:
            starts.append(at)
            at += self._sizes[at]
        if len(starts) > _FEW:
            self._starts[place] = starts
        return starts
