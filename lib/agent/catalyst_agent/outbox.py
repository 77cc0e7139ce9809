"""Reports that the provisioner has not confirmed yet, on disk before they are sent.

Invariants:
  no gap      numbers rise by one for the life of the agent, over any number of deaths;
  no change   a number that may have been sent always means the same report;
  bounded     what is confirmed is forgotten; nobody adds much while there is no line (`Line`, the sandbox's `Uplink`).
"""

import base64
import json
import os
from pathlib import Path
from typing import TextIO

COMPACT_AT = 256 * 1024
"""Bytes of the file above which confirmed reports are cut off it."""


class Outbox:
    """The reports of one agent."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pending: dict[int, bytes] = {}
        self.last = 0
        """Number of the newest report ever made."""
        self._file: TextIO | None = None
        self._load()
        self._rewrite()

    @property
    def next(self) -> int:
        """The number that the next report must carry."""
        return self.last + 1

    def add(self, number: int, report: bytes) -> None:
        """Keep a report; `number` must be `next`."""
        assert number == self.next
        self._append({"seq": number, "report": base64.b64encode(report).decode()})
        self._pending[number] = report
        self.last = number

    def confirm(self, number: int) -> None:
        """Forget everything up to `number`."""
        confirmed = [n for n in self._pending if n <= number]
        for n in confirmed:
            del self._pending[n]
        if confirmed and self._file and self._file.tell() > COMPACT_AT:
            self._rewrite()

    def after(self, number: int) -> list[tuple[int, bytes]]:
        """Unconfirmed reports above `number`, in order."""
        return [(n, report) for n, report in self._pending.items() if n > number]

    def close(self) -> None:
        """Let go of the file."""
        if self._file:
            self._file.close()

    def __len__(self) -> int:
        return len(self._pending)

    def _load(self) -> None:
        lines = self._path.read_text(encoding="ascii").splitlines() if self._path.exists() else []
        for line in lines:
            try:
                entry = json.loads(line)
            except ValueError:
                break  # cut off by a death while writing: it was not sent
            self.last = entry["seq"]
            if entry["report"]:
                self._pending[self.last] = base64.b64decode(entry["report"])

    def _rewrite(self) -> None:
        fresh = self._path.with_name(self._path.name + ".new")
        first = self.last - len(self._pending)
        self.close()
        self._file = os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii")
        self._append({"seq": first, "report": ""})
        for number, report in self._pending.items():
            self._append({"seq": number, "report": base64.b64encode(report).decode()})
        fresh.replace(self._path)

    def _append(self, entry: dict[str, object]) -> None:
        assert self._file
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()
