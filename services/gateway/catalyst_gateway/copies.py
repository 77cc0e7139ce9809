"""The copy of an Environment's state in a bucket of NATS, `ws-<env>-state/<kind>/<name>`: for readers inside the cluster.

It can be thrown away: whoever takes a partition over writes it whole.
"""

import json
from collections.abc import Sequence

from catalyst_mesh import Bus, get_logger
from nats.errors import Error as NatsError
from nats.js.errors import BucketNotFoundError, KeyNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue

from .things import SCHEMA, Fact, token

TRIES = 8
"""Tries against others who write the same key."""


class Copies:
    """Writes copies; that NATS is away costs nothing but the copy."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._log = get_logger("copies")

    async def put(self, environment: str, facts: Sequence[Fact]) -> None:
        """Copy `facts`, each unless a newer word about its thing stands there."""
        if not facts:
            return
        try:
            bucket = await self._bucket(environment)
            for fact in facts:
                await self._put(bucket, fact)
        except (NatsError, OSError, TimeoutError) as error:
            self._log.debug("copy not written", environment=environment, error=repr(error))

    async def _bucket(self, environment: str) -> KeyValue:
        js = await self._bus.jetstream()
        name = f"ws-{token(environment)}-state"
        try:
            return await js.key_value(name)
        except BucketNotFoundError:
            return await js.create_key_value(bucket=name, history=1)

    async def _put(self, bucket: KeyValue, fact: Fact) -> None:
        key = f"{token(fact.kind)}/{'.'.join(token(part) for part in fact.name.split('.'))}"
        for _ in range(TRIES):
            try:
                entry = await bucket.get(key)
            except KeyNotFoundError:
                revision = 0
            else:
                revision = entry.revision or 0
                if _is_newer(entry.value or b"", fact):
                    return
            try:
                await bucket.update(key, _value(fact), last=revision)
                return
            except KeyWrongLastSequenceError:
                continue


def _value(fact: Fact) -> bytes:
    shown = {
        "schema": SCHEMA, "uid": fact.key.rpartition("/")[2], "rank": list(fact.rank), "deleted": fact.is_gone,
        "time": fact.time.isoformat(), "body": dict(fact.body),
    }  # fmt: skip
    return json.dumps(shown).encode()


def _is_newer(value: bytes, fact: Fact) -> bool:
    """Whether what stands there is no older than `fact`. What cannot be read, or is of another schema, is written anew.

    A thing that was made again under its name has another uid, and an earlier one's last word does not count for it.
    """
    try:
        kept = json.loads(value)
        if kept["schema"] != SCHEMA:
            return False
        if kept["uid"] != fact.key.rpartition("/")[2]:
            return bool(fact.is_gone) and kept["time"] >= fact.time.isoformat()
        return tuple(kept["rank"]) >= fact.rank
    except (ValueError, KeyError, TypeError):
        return False
