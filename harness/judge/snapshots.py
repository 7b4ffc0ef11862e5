"""Which model a judge is today: what a name stands for may change at its server, whose replies then tell it.

Replies are stored under the name that was asked for. Those of one session are one judge's, however its server
names them: it deals the questions to several models. Stored ones are another judge's once a new reply has a
name that none of their session has, or where they have names that no session gave together.
"""

import secrets
from collections import Counter
from collections.abc import Collection

from harness.types import JudgeReply


class Snapshots:
    """The names of a judge's replies in one session.

    Attributes:
        session: Identifies the session in the replies that it asks for.
    """

    def __init__(self) -> None:
        """There is no reply yet."""
        self.session = secrets.token_hex(8)
        self._fresh: frozenset[str] = frozenset()
        self._stored: Counter[str] = Counter()
        self._by_session: dict[str, set[str]] = {}
        self._chosen: str | None = None

    @property
    def has_new(self) -> bool:
        """Whether any reply is new."""
        return bool(self._fresh)

    @property
    def names(self) -> frozenset[str]:
        """Those of today's judge: of new replies, and those given together with them; else of stored ones."""
        if self._fresh:
            return self._fresh.union(*filter(self._is_of_today, [*self._by_session.values()]))
        return frozenset(self._stored) if self._chosen is None else self._given_with(self._chosen)

    def add(self, reply: JudgeReply) -> None:
        """Note a new reply."""
        self._fresh |= {reply.model}

    def add_stored(self, reply: JudgeReply) -> None:
        """Note a stored reply. One of an earlier version doesn't say in which session it was asked for."""
        self._stored[reply.model] += 1
        if reply.asked_in:
            self._by_session.setdefault(reply.asked_in, set()).add(reply.model)

    def settle(self) -> None:
        """Say who judges where nothing was asked: those who gave most of the stored replies.

        Of as many the name that comes last: it has the later date as a rule.
        """
        if self._stored and not self._fresh and self._chosen is None:
            of_all = {
                name: sum(self._stored[each] for each in self._given_with(name)) for name in self._stored
            }
            self._chosen = max(of_all, key=lambda name: (of_all[name], name))

    def is_outdated(self, reply: JudgeReply) -> bool:
        """Whether a stored reply is another judge's; none is before it is known who judges."""
        if self._fresh:
            return not self._is_of_today({reply.model, *self._by_session.get(reply.asked_in, ())})
        return self._chosen is not None and reply.model not in self.names

    def _is_of_today(self, names: Collection[str]) -> bool:
        """Whether names that one session gave are today's judge's."""
        return not self._fresh.isdisjoint(names)

    def _given_with(self, name: str) -> frozenset[str]:
        """A name, and those that sessions gave together with it."""
        found, count = {name}, 0
        while len(found) > count:
            count = len(found)
            found |= {each for those in self._by_session.values() if those & found for each in those}
        return frozenset(found)
