"""Answers to questions that were asked before, as resolvers ask them again and again.

Nothing outlives a change: whatever changes at the authority, all of them are forgotten. A cell that keeps leases has none of
this, as each of its answers is about a register that somebody may just have moved.
"""

from .authority import Authority

MOST = 4096
"""Answers that are kept, of 2.5 MiB together at most; then it begins anew."""
_LONGEST = 512
_ID = 2
"""Octets of the number of a question, which its answer repeats."""


class Remembered:
    """By the whole question but its number: flags, case of the letters and EDNS come back as they were asked."""

    def __init__(self, authority: Authority) -> None:
        self._authority = authority
        self._changes = authority.changes
        self._answers: dict[tuple[bytes, bool], bytes] = {}

    def answer(self, question: bytes, *, datagram: bool) -> bytes | None:
        """What was answered to the same question since the last change."""
        if self._changes != self._authority.changes:
            self._answers.clear()
            self._changes = self._authority.changes
        known = self._answers.get((question[_ID:], datagram))
        return None if known is None else question[:_ID] + known

    def keep(self, question: bytes, answer: bytes, *, datagram: bool) -> None:
        """Keep an answer that was made since the last `answer` was asked for."""
        if len(question) > _LONGEST or len(answer) > _LONGEST:
            return
        if len(self._answers) >= MOST:
            self._answers.clear()
        self._answers[question[_ID:], datagram] = answer[_ID:]
