"""The fake's own books: one JSON file, replaced in one step, so that a kill leaves the old or the new one."""

import json
import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from catalyst_sdk import Permanent
from catalyst_sdk.payment import Amount

from .scripts import Checkout, Script

PROVIDER = "fake"


class Books:
    """Checkouts, charges, refunds and disputes by id, and which call a key was used for."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "books.json"
        known = json.loads(self._path.read_text()) if self._path.exists() else {}
        self.checkouts: dict[str, Any] = known.get("checkouts", {})
        self.charges: dict[str, Any] = known.get("charges", {})
        self.refunds: dict[str, Any] = known.get("refunds", {})
        self.disputes: dict[str, Any] = known.get("disputes", {})
        self._keys: dict[str, Any] = known.get("keys", {})

    def used(self, key: str, call: list[Any]) -> bool:
        """Whether `key` made something before. Raises Permanent CONFLICT if it was another call."""
        before = self._keys.get(key)
        if before is not None and before != call:
            raise Permanent("CONFLICT", f"key {key} was used for another call", provider=PROVIDER)
        return before is not None

    def keep(self, key: str, call: list[Any]) -> None:
        """Write everything down, together with what `key` was used for."""
        self._keys[key] = call
        self.write()

    def write(self) -> None:
        """Replace the file."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        new = self._path.with_suffix(".new")
        rows = {
            "checkouts": self.checkouts, "charges": self.charges, "refunds": self.refunds, "disputes": self.disputes,
            "keys": self._keys,
        }  # fmt: skip
        with new.open("w") as file:
            json.dump(rows, file, indent=1, sort_keys=True)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path)

    def checkout(self, ref: str) -> Checkout:
        """One checkout. Raises Permanent NOT_FOUND."""
        row = self.checkouts.get(ref)
        if row is None:
            raise Permanent("NOT_FOUND", f"there is no checkout {ref}", provider=PROVIDER)
        closed = row["closed_at"]
        return Checkout(
            ref=ref,
            amount=Amount(row["minor"], row["currency"]),
            metadata=row["metadata"],
            script=Script(row["script"]),
            created_at=datetime.fromisoformat(row["created_at"]),
            expires_at=datetime.fromisoformat(row["expires_at"]),
            delay=timedelta(seconds=row["delay"]),
            closed_at=datetime.fromisoformat(closed) if closed else None,
        )
