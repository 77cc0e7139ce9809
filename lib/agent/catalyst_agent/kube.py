"""The cluster as `kubectl` shows it. Every call has an end, and an answer that did not come is not an empty one."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

LIMIT = 30.0


class NotAnswered(Exception):
    """The API did not answer, or refused; the sentence is kubectl's."""


class Kube:
    """One cluster, by a program: `k3s kubectl` on a server."""

    def __init__(self, program: Sequence[str]) -> None:
        self._program = program

    async def is_healthy(self) -> bool:
        """Whether the API says of itself that it is ready."""
        try:
            return (await self._run("get", "--raw", "/readyz")).strip() == "ok"
        except NotAnswered:
            return False

    async def all(self, kind: str, *, selector: str = "", namespace: str = "") -> list[dict[str, Any]]:
        """Objects of a kind, of all namespaces or of one. Raises NotAnswered."""
        where = ["-n", namespace] if namespace else ["-A"]
        chosen = ["-l", selector] if selector else []
        answer = await self._run("get", kind, *where, *chosen, "-o", "json")
        return list(_document(answer).get("items") or [])

    async def apply(self, *objects: Mapping[str, Any]) -> None:
        """Make objects so. Raises NotAnswered."""
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        await self._run("apply", "--server-side", "--force-conflicts", "-f", "-", given=text)

    async def patch(self, kind: str, namespace: str, name: str, change: Mapping[str, Any]) -> None:
        """Merge a change into an object. Raises NotAnswered."""
        await self._run("patch", kind, name, "-n", namespace, "--type=merge", "-p", json.dumps(change))

    async def delete(self, kind: str, name: str, *, namespace: str = "") -> None:
        """Take an object away; what is not there is gone already. Raises NotAnswered."""
        where = ["-n", namespace] if namespace else []
        await self._run("delete", kind, name, *where, "--ignore-not-found", "--wait=false")

    async def token(self, account: str, namespace: str, seconds: int) -> str:
        """A token of a service account that ends by itself. Raises NotAnswered."""
        told = await self._run("create", "token", account, "-n", namespace, f"--duration={seconds}s")
        return told.strip()

    async def _run(self, *words: str, given: str = "") -> str:
        process = await asyncio.create_subprocess_exec(
            *self._program, *words,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            out, told = await asyncio.wait_for(process.communicate(given.encode()), LIMIT)
        except TimeoutError as error:
            raise NotAnswered(f"{words[0]} {words[1]} did not end within {LIMIT:g} s") from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            raise NotAnswered(told.decode(errors="replace").strip()[:2_000] or f"{words[0]} ended with an error")
        return out.decode(errors="replace")


def _document(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise NotAnswered("the answer is no JSON") from error
    if not isinstance(found, dict):
        raise NotAnswered("the answer is no object")
    return found
