"""The requests of one connection that have no reply yet, oldest first."""

from collections import deque
from typing import Final

from harness.toxics.exchange.rules import Rule

_ENTRY_BYTES: Final = 128
"""What an entry is reckoned to cost."""


class OpenRequest:
    """One open request, or a run of `count` requests with the same tag which nothing is done to."""

    __slots__ = ("answer", "count", "is_complete", "rule", "tag")

    def __init__(self, tag: str, rule: Rule | None = None, answer: bytes | None = None, *, count: int = 1) -> None:
        self.tag = tag
        self.count = count
        self.rule = rule
        """Which matching toxic acts on its reply."""
        self.answer = answer
        """What is said instead of the server, which never heard of it."""
        self.is_complete = False
        """Whether all of a request that gets an answer of ours has arrived."""

    @property
    def expected_tag(self) -> str | None:
        """The tag by which to read what the server says next; None if it has nothing to answer."""
        return None if self.answer is not None else self.tag


class OpenRequests:
    """A queue. Runs keep it short however many requests a client has under way."""

    __slots__ = ("_entries", "_held")

    def __init__(self) -> None:
        self._entries: deque[OpenRequest] = deque()
        self._held = 0

    @property
    def ordinary(self) -> int:
        """How many of the oldest requests, at least, have a tag of nothing and nobody who acts on them."""
        if not self._entries:
            return 0
        oldest = self._entries[0]
        return oldest.count if not oldest.tag and oldest.rule is None and oldest.answer is None else 0

    @property
    def held(self) -> int:
        """About how many bytes the queue itself takes; a client that lets it grow has to wait for its replies."""
        return self._held + _ENTRY_BYTES * len(self._entries)

    @property
    def oldest(self) -> OpenRequest | None:
        """The request whose reply comes next."""
        return self._entries[0] if self._entries else None

    def forwarded(self, tag: str, rule: Rule | None = None, count: int = 1) -> None:
        """The server will hear of a request, or of several on which nobody acts."""
        entries = self._entries
        if rule is None and entries:
            last = entries[-1]
            if last.rule is None and last.answer is None and last.tag == tag:
                last.count += count
                return
        entries.append(OpenRequest(tag, rule, count=count))

    def answered(self, tag: str, rule: Rule, answer: bytes) -> OpenRequest:
        """Only we shall answer a request."""
        entry = OpenRequest(tag, rule, answer)
        self._entries.append(entry)
        self._held += len(answer)
        return entry

    def pop(self, count: int = 1) -> None:
        """The oldest has got its reply, or several of one run theirs."""
        entry = self._entries[0]
        if entry.count > count:
            entry.count -= count
        else:
            self._entries.popleft()
            self._held -= len(entry.answer or b"")

    def forget(self, rule: Rule) -> None:
        """Let the replies pass that a matching toxic, which was removed, would have acted upon."""
        for entry in self._entries:
            if entry.rule is rule and entry.answer is None:
                entry.rule = None
