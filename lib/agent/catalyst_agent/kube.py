"""The cluster as `kubectl` shows it. Every call has an end, and an answer that did not come is not an empty one."""

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

LIMIT = 30.0
REFUSED = re.compile(r"Error from server \((\w+)\)")
"""How kubectl names the reason that the API gave."""


class NotAnswered(Exception):
    """The API did not answer, or refused; the sentence is kubectl's."""

    @property
    def reason(self) -> str:
        """Why the API refused, in its own word (`NotFound`, `TooManyRequests`); empty where it did not answer."""
        found = REFUSED.search(str(self))
        return found[1] if found else ""


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

    async def all(
        self, kind: str, *, selector: str = "", fields: str = "", namespace: str = ""
    ) -> list[dict[str, Any]]:
        """Objects of a kind, of all namespaces or of one. Raises NotAnswered."""
        where = ["-n", namespace] if namespace else ["-A"]
        chosen = [*(("-l", selector) if selector else ()), *(("--field-selector", fields) if fields else ())]
        answer = await self._run("get", kind, *where, *chosen, "-o", "json")
        return list(_document(answer).get("items") or [])

    async def one(self, kind: str, name: str, *, namespace: str = "") -> dict[str, Any] | None:
        """One object; None: there is none. Raises NotAnswered."""
        where = ["-n", namespace] if namespace else []
        answer = await self._run("get", kind, name, *where, "--ignore-not-found", "-o", "json")
        return _document(answer) if answer.strip() else None

    async def raw(self, path: str) -> str:
        """What the API answers under a path, as it is. Raises NotAnswered."""
        return await self._run("get", "--raw", path)

    async def evict(self, namespace: str, name: str) -> None:
        """Ask for the end of a pod, which budgets of disruption may forbid. Raises NotAnswered."""
        asked = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": namespace}}
        path = f"/api/v1/namespaces/{namespace}/pods/{name}/eviction"
        await self._run("create", "--raw", path, "-f", "-", given=json.dumps(asked))

    async def apply(self, *objects: Mapping[str, Any]) -> None:
        """Make objects so. Raises NotAnswered."""
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        await self._run("apply", "--server-side", "--force-conflicts", "-f", "-", given=text)

    async def patch(self, kind: str, namespace: str, name: str, change: Mapping[str, Any]) -> None:
        """Merge a change into an object; of what lies in no namespace that is empty. Raises NotAnswered."""
        where = ["-n", namespace] if namespace else []
        await self._run("patch", kind, name, *where, "--type=merge", "-p", json.dumps(change))

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
            async with asyncio.timeout(LIMIT):
                out, told = await process.communicate(given.encode())
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
