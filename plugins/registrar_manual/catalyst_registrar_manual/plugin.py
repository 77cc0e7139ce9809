"""The plugin: tasks for a person, kept in its folder, and done when the parent's servers show them."""

import asyncio
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

from catalyst_sdk import Permanent, SecretRef, Temporary, hookimpl, load_manifest
from catalyst_sdk.context import PluginContext
from catalyst_sdk.registrar import (
    Access,
    Delegation,
    DsRecord,
    Glue,
    Instruction,
    Obstacle,
    RegistrarInfo,
    Target,
    Task,
    TaskState,
    delegation_target,
    domain_name,
    registrar_info,
)

from .parents import Parents

_ID = re.compile(r"^[0-9a-f]{32}$")


class ManualRegistrar:
    """A registrar that is a person. It needs no credential and changes nothing by itself."""

    def __init__(self, info: RegistrarInfo, parents: Parents, folder: Path) -> None:
        self._info = info
        self._parents = parents
        self._folder = folder

    async def info(self) -> RegistrarInfo:
        return self._info

    async def validate(self, *, credential: SecretRef | None, domain: str) -> Access:
        try:
            present = await self._parents.delegation(domain_name(domain, "manual"))
        except Temporary as failure:
            seen = Obstacle("REGISTRAR_UNAVAILABLE", failure.message, user_action="try again when the servers answer")
            return Access(valid=True, can_read=False, can_write_ns=True, can_write_ds=True, obstacles=(seen,))
        none = Obstacle("NOT_DELEGATED", f"the parent has no delegation of {domain}", user_action="register the domain")
        return Access(
            valid=True, can_read=True, can_write_ns=True, can_write_ds=True, obstacles=() if present.ns else (none,)
        )

    async def delegation(self, *, credential: SecretRef | None, domain: str) -> Delegation:
        return await self._parents.delegation(domain_name(domain, "manual"))

    async def apply(self, *, credential: SecretRef | None, domain: str, target: Target, expect: str) -> Task:
        name = domain_name(domain, "manual")
        wished = delegation_target(
            name, target.ns, ds=target.ds, glue=target.glue, min_ns=self._info.min_ns, max_ns=self._info.max_ns
        )
        present = await self._parents.delegation(name)
        task = _task(name, wished, present)
        # A person may have done it before we asked: then nothing is left to be changed, whatever was expected.
        if task.state is not TaskState.DONE and present.etag != expect:
            raise Permanent("CONFLICT", f"the delegation of {name} isn't the expected one any more", provider="manual")
        await asyncio.to_thread(self._keep, task.id, name, wished)
        return task

    async def task(self, *, credential: SecretRef | None, id: str) -> Task:
        name, wished = await asyncio.to_thread(self._kept, id)
        return _task(name, wished, await self._parents.delegation(name))

    def _keep(self, id: str, domain: str, target: Target) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{id}.json"
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps({"domain": domain, "target": asdict(target)}), encoding="utf-8")
        fresh.replace(path)

    def _kept(self, id: str) -> tuple[str, Target]:
        path = self._folder / f"{id}.json"
        if not _ID.match(id) or not path.exists():
            raise Permanent("TASK_NOT_FOUND", f"there is no task {id!r}", provider="manual")
        raw = json.loads(path.read_text(encoding="utf-8"))
        target = raw["target"]
        glue = tuple(Glue(one["host"], tuple(one["addresses"])) for one in target["glue"])
        return raw["domain"], Target(tuple(target["ns"]), tuple(DsRecord(**one) for one in target["ds"]), glue)


@hookimpl
def catalyst_plugin(context: PluginContext) -> ManualRegistrar:
    """The registrar that is a person; its tasks lie in the plugin's own folder."""
    manifest = load_manifest(Path(__file__).with_name("manifest.toml"))
    hints = context.config.get("hints")
    parents = Parents(Path(hints) if hints else None, float(context.config.get("query_seconds", 3)))
    return ManualRegistrar(registrar_info(manifest), parents, context.folder / "tasks")


def _task(domain: str, target: Target, present: Delegation) -> Task:
    # The id comes from the wish: asked for twice, it is one task.
    id = hashlib.sha256(repr((domain, target)).encode()).hexdigest()[:32]
    if present.shows(target):
        return Task(id, domain, TaskState.DONE, f"every server of the parent shows the delegation of {domain}")
    missing = tuple(_instructions(domain, target, present))
    waiting = Task(id, domain, TaskState.WAITING_FOR_PERSON, "", missing)
    if not missing or not present.consistent:
        text = "the parent's servers don't agree yet; this passes within the hours that the registrar takes"
    else:
        text = f"waiting for a person: {len(missing)} entries at the registrar of {domain}"
    return replace(waiting, message=text)


def _instructions(domain: str, target: Target, present: Delegation) -> Iterator[Instruction]:
    """All that is wished, and what has to go. A form at a registrar is filled in whole, not by differences."""
    for host in target.ns:
        yield Instruction("NS", f"{domain} IN NS {host}", {"host": host})
    for ds in target.ds:
        yield Instruction("DS", f"{domain} IN DS {ds}", {key: str(value) for key, value in asdict(ds).items()})
    for glue in target.glue:
        for address in glue.addresses:
            kind = "AAAA" if ":" in address else "A"
            yield Instruction("GLUE", f"{glue.host} IN {kind} {address}", {"host": glue.host, "address": address})
    for host in sorted(set(present.ns) - set(target.ns)):
        yield Instruction("REMOVE_NS", f"{domain} IN NS {host}", {"host": host})
    for ds in sorted(set(present.ds) - set(target.ds)):
        yield Instruction("REMOVE_DS", f"{domain} IN DS {ds}", {"key_tag": str(ds.key_tag)})
