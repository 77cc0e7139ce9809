"""One cluster's work with the tool: attach to what runs, plan, carry out, and bring state and ledger up to date.

What holds, wherever a process dies:
  intent first   every create is in the ledger before the tool is started;
  id at once     each line of the stream that tells an id is written down when it is read, by whoever reads it;
  state kept     the state is sealed while the tool works, and the run folder stays until its last state was sealed;
  no twins       before a create the cloud is asked for the name: what is ours is imported, what isn't is a conflict;
  one tool       a command that still runs is waited for before anything else is done with the cluster, on whatever
                 machine it runs.
"""

import asyncio
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..cloud import LedgerRow, Workspace
from ..cloud_types import Action, Adopted, ClusterRequest, Discovered, owned
from ..failures import PluginFailure, Temporary
from ..secrets import Secret
from . import children, commands, folders, holders, locks, states
from . import tool as tools
from .changes import Part, Planned, Resource, moves_outputs, planned
from .folders import HOLDER, IDENTITIES, RunFolder
from .masks import Veil
from .module import TofuModule
from .states import Kept
from .stream import Diagnostic, Done, Message, Version, said
from .tool import Outcome, Tool

SEAL_EVERY = 0.5
"""Seconds between two looks at the state of a command that works."""
LOOK_ELSEWHERE = 1.0
"""Seconds between two looks at the sealed state for the end of a command of another machine."""
ROUNDS = 4
"""Plans until everything that exists is imported: first what bears a name, then the parts of it."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What the tool would do, and what stands in the way."""

    lines: tuple[Planned, ...]
    foreign: tuple[tuple[Planned, Discovered], ...] = ()
    """Resources of a wished name that aren't ours."""
    moves_outputs: bool = False
    """Whether the module would answer otherwise than before, as after a command that was broken off at its end."""

    @property
    def is_empty(self) -> bool:
        """Whether carrying it out would change neither the cloud nor the state."""
        return not self.moves_outputs and not any(
            line.action is not Action.NO_OP or line.is_import for line in self.lines
        )


@dataclass
class TofuWork:
    """What one call works with. Secrets live here, not in the plugin, and end with the call."""

    cloud: TofuModule
    tool: Tool
    folder: RunFolder
    work: "Workspace"
    kept: Kept
    credential: Secret = field(repr=False)
    secrets: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Sensitive variables of the module."""
    seals: bool = True
    """Whether the state of this folder is the cluster's own; a plan's and a sweep's are not."""
    rows: dict[tuple[str, str], "LedgerRow"] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Of the state that was shown last."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Of the cluster, where the folder is its own."""
    adopted: Mapping[str, Adopted] = field(default_factory=dict)
    """By address: what was there before and is ours whatever its labels say."""
    anew: Mapping[str, str] = field(default_factory=dict)
    """By name: the id of a server that is to be made anew."""
    is_ready: bool = False
    """Whether the providers are in place in this folder."""
    _sealed_at: float = 0.0
    _data_folder: Path = Path(".terraform")

    async def read_rows(self) -> None:
        """The ledger as it is now."""
        self.rows = {(row.kind, row.name): row for row in await self.work.rows()}

    # Before a command

    async def settle(self) -> None:
        """Wait for a command that an earlier call left behind, here or elsewhere, and go on from the newest state."""
        await self.wait_elsewhere()
        child = children.recorded(self.folder.path)
        if child is not None and not self._is_of_another_life:
            if child.lives:
                data = {"pid": str(child.pid), "command": child.verb}
                await self.work.emit(
                    code="tool.attached", message="the tool is still at work; waiting for it", data=data
                )
            outcome = await tools.follow(child, self.folder, heard=self._hearer(), ticked=self._tick)
            if outcome.interrupted:
                raise self.stopped()
        await self.keep(replace(self.kept, tool=self._newest(), holder=None))
        self.folder.forget_command()

    async def wait_elsewhere(self) -> None:
        """Wait until the sealed state says that a command of another machine has ended, or until nobody tells for long."""
        loop = asyncio.get_running_loop()
        until, told = loop.time() + self.cloud.patience, False
        while (held := self.kept.holder) and not held.is_at(self.cloud.machine):
            data = {"machine": held.machine}
            if loop.time() >= until:
                # No twins for all that: what it made is found by name and labels.
                text = f"nobody tells what became of the tool on {held.machine}; going on by what the cloud shows"
                await self.work.emit(code="tool.given_up", message=text, level="warn", data=data)
                return
            if not told:
                text = f"the tool is at work on {held.machine}; waiting for it"
                await self.work.emit(code="tool.elsewhere", message=text, data=data)
                told = True
            if await self.is_over():
                raise self.stopped()
            await asyncio.sleep(LOOK_ELSEWHERE)
            self.kept = states.decoded(await self.work.read_state())

    @property
    def _is_of_another_life(self) -> bool:
        """Whether the command was begun before this machine started: its number may be another process's now."""
        return self.kept.holder is not None and self.kept.holder.boot != holders.boot()

    def lay_out(self, request: ClusterRequest, *, fenced: bool, released: bool = False) -> None:
        """Module, variables and state, ready for a command."""
        variables = {**self.cloud.variables(request), "fenced": fenced}
        self.adopted, self.anew = request.adopted, request.anew
        self.folder.copy_module(self.cloud.module)
        self.folder.write_variables(self.cloud.released(variables) if released else variables)
        self.folder.write_imports({})
        self._write_base()

    def lay_out_root(self, root: Mapping[str, Any]) -> None:
        """A root of our own making on the module's base."""
        self.folder.copy_base(self.cloud.module)
        self.folder.write("main.tf.json", json.dumps(root))
        self._write_base()

    async def draft(self) -> Draft:
        """What the tool would do now; what exists already is imported rather than made again."""
        imports: dict[str, str] = {}
        anew: tuple[str, ...] = ()
        draft = Draft(())
        for _ in range(ROUNDS):
            self.folder.write_imports(imports)
            shown = await self.show_plan(commands.plan(anew=anew))
            lines = tuple(planned(shown, self.cloud.resource))
            foreign, more = await self._existing(lines)
            draft = Draft(lines, tuple(foreign), moves_outputs(shown))
            ending = tuple(line.address for line in lines if self._ends(line))
            if not more.keys() - imports.keys() and ending == anew:
                break
            imports, anew = imports | more, ending
        return draft

    async def show_plan(self, argv: Sequence[str]) -> Any:
        """Plan, and what the plan says."""
        await self._ready()
        self._judge(await self._run(argv))
        return tools.answer(await self._run(commands.show(commands.PLAN)))

    async def show_state(self) -> list[tuple[str, Resource, str]]:
        """Address, resource and id of all that the state holds, and nothing of its parts."""
        held = [(raw, self.cloud.resource(raw["type"], raw["values"])) for raw in await self._held()]
        return [
            (str(raw["address"]), what, str(raw["values"].get("id") or ""))
            for raw, what in held
            if isinstance(what, Resource)
        ]

    async def kept_addresses(self, keep: Sequence[str]) -> list[str]:
        """Of these names and ids what the state holds, with the parts of it: nobody knows which of them were there before."""
        held = [(raw, self.cloud.resource(raw["type"], raw["values"])) for raw in await self._held()]
        kept = [raw for raw, what in held if isinstance(what, Resource) and _is_among(raw, what, keep)]
        owners = {(raw["type"], raw["name"]) for raw in kept}
        parts = [raw for raw, what in held if isinstance(what, Part) and (what.of, raw["name"]) in owners]
        return [str(raw["address"]) for raw in (*kept, *parts)]

    async def _held(self) -> list[Mapping[str, Any]]:
        """What the state holds, in the tool's own words; its outputs are kept beside."""
        # Also after somebody asked to stop: what was made until then is to be in the ledger.
        shown = tools.answer(await self._run(commands.show(), to_its_end=True))
        self.outputs = (shown.get("values") or {}).get("outputs", {})
        root = (shown.get("values") or {}).get("root_module", {})
        return [raw for raw in root.get("resources", ()) if raw["mode"] == "managed"]

    # A command that changes the cloud

    async def intend(self, lines: Iterable[Planned]) -> None:
        """Write down everything that will be made or adopted, before the tool is started."""
        for line in lines:
            if isinstance(line.what, Resource) and (line.action is Action.CREATE or line.is_import):
                await self._intend(line.what)

    async def carry_out(self, lines: Iterable[Planned]) -> None:
        """Let the tool do what was planned last; raises what went wrong, after everything done is written down."""
        self.folder.write(IDENTITIES, json.dumps(_identities(lines)))
        await self._hold()
        outcome = await self.tool.work(
            self.folder, commands.apply(), self._env(), heard=self._hearer(), ticked=self._tick
        )
        if self.seals:
            await self.keep(replace(self.kept, tool=self._newest(), holder=None))
        if outcome.interrupted or outcome.failed:
            await self.reconcile()
        if outcome.interrupted:
            raise self.stopped()
        self._judge(outcome)

    async def reconcile(self) -> None:
        """Make the ledger say what the state says."""
        await self._ready()
        held = await self.show_state()
        for _, what, id in held:
            row = self.rows.get((what.kind, what.name))
            if id and (row is None or row.id != id):
                await self._intend(what)
                await self._created(what.kind, what.name, id)
                await self._tell("resource.adopted", "is in the ledger now", what.kind, what.name, id)

    async def drop(self, kind: str, name: str) -> None:
        """Write down that a resource is gone."""
        row = self.rows.pop((kind, name), None)
        if row is not None:
            await self.work.gone(kind=kind, name=name)
            await self._tell("resource.deleted", "is gone", kind, name, row.id)

    async def forget(self, addresses: Sequence[str]) -> None:
        """Take resources out of the state; the cloud and the ledger keep them."""
        if addresses:
            self._judge(await self._run(commands.forget(list(addresses))))
            await self._seal()

    async def keep(self, kept: Kept) -> None:
        """Seal what there is to keep, if it is something new. A state that is older than the sealed one is not."""
        if kept == self.kept or kept.version.precedes(self.kept.version):
            return
        if self.seals:
            await self.work.write_state(kept.encoded())
        self.kept = kept

    async def close(self) -> None:
        """Nothing is left of the cluster, and nothing is kept of it."""
        self.folder.remove(commands.STATE)
        await self.keep(Kept())

    @property
    def is_sealed(self) -> bool:
        """Whether the folder holds nothing that is not kept elsewhere."""
        child = children.recorded(self.folder.path)
        return not (child and child.lives) and (not self.seals or self._newest() == self.kept.tool)

    # Within

    async def _existing(self, lines: Sequence[Planned]) -> tuple[list[tuple[Planned, Discovered]], dict[str, str]]:
        """Of what would be created: strangers of the same name, and ids of what is ours."""
        creates = [line for line in lines if line.action is Action.CREATE]
        named = {(line.what.kind, line.what.name): line for line in creates if isinstance(line.what, Resource)}
        found = await self.cloud.find(names=list(named), credential=self.credential) if named else ()
        foreign, ours = [], {}
        for one in found:
            if line := named.get((one.kind, one.name)):
                assert isinstance(line.what, Resource)
                given = self.adopted.get(line.address)
                if owned(line.what.labels, one.labels) or (given and given.id == one.id):
                    ours[line.address] = one.id
                else:
                    foreign.append((line, one))
        owners = {(line.type, line.local) for line in creates}
        for line in creates:
            if isinstance(line.what, Resource) or (line.what.of, line.local) in owners:
                continue  # a part of what is only being made cannot exist
            if id := await self.cloud.find_part(type=line.type, values=line.values, credential=self.credential):
                ours[line.address] = id
        return foreign, {**{line.address: line.import_id for line in lines if line.is_import}, **ours}

    def _ends(self, line: Planned) -> bool:
        """Whether it is a server to be made anew: what has another id by now was made anew already."""
        if not isinstance(line.what, Resource) or line.is_import:
            return False
        return bool(line.id) and self.anew.get(line.what.name) == line.id

    def _hearer(self) -> tools.Heard:
        told = json.loads(self.folder.read(IDENTITIES) or "{}")

        async def heard(message: Message) -> None:
            await self._log(message)
            if isinstance(message, Done):
                await self._done(message, told.get(message.address))
            elif isinstance(message, Diagnostic):
                text, level = self._veil.over(str(message)), "error" if message.is_error else "warn"
                await self.work.emit(code="tool.diagnostic", message=text, level=level)

        return heard

    async def _done(self, done: Done, what: Mapping[str, Any] | None) -> None:
        if what is None:
            return  # a part
        kind, name = what["kind"], what["name"]
        if done.action == "delete":
            if not what["replaced"]:
                await self.drop(kind, name)
            elif (row := self.rows.get((kind, name))) and row.id == done.id:
                await self._emptied(row)
        elif done.action == "create":
            row = self.rows.get((kind, name))
            if row is not None and done.id and row.id != done.id:
                await self._created(kind, name, done.id)
                await self._tell("resource.created", "created", kind, name, done.id)
        elif done.action == "update":
            await self._tell("resource.updated", "changed", kind, name, done.id)

    async def _emptied(self, row: "LedgerRow") -> None:
        """Forget the id of what is made anew, before another one comes to be: whoever boots is bound to the id in the ledger."""
        await self.work.gone(kind=row.kind, name=row.name)
        await self.work.intend(kind=row.kind, name=row.name, region=row.region, labels=row.labels, price=row.price)
        self.rows[row.kind, row.name] = replace(row, id="")

    async def _intend(self, what: Resource) -> None:
        if (what.kind, what.name) in self.rows:
            return
        price = self.cloud.price(what)
        await self.work.intend(
            kind=what.kind, name=what.name, region=what.region, labels=dict(what.labels), price=price
        )  # fmt: skip
        self.rows[what.kind, what.name] = LedgerRow(what.kind, what.name, what.region, dict(what.labels), "", price)

    async def _created(self, kind: str, name: str, id: str) -> None:
        await self.work.created(kind=kind, name=name, id=id)
        self.rows[kind, name] = replace(self.rows[kind, name], id=id)

    async def _tell(self, code: str, what: str, kind: str, name: str, id: str) -> None:
        data = {"kind": kind, "name": name, "id": id}
        await self.work.emit(code=code, message=f"{kind} {name} {what}", data=data)

    async def _tick(self) -> bool:
        now = asyncio.get_running_loop().time()
        if now - self._sealed_at >= SEAL_EVERY:
            self._sealed_at = now
            await self._seal()
        return await self.is_over()

    async def _hold(self) -> None:
        """Say that a command begins, to those who cannot see it."""
        if self.seals:
            held = holders.holder(self.cloud.machine)
            self.folder.write(HOLDER, json.dumps({"token": held.token, "labels": dict(self.labels)}))
            await self.keep(replace(self.kept, holder=held))

    async def _seal(self) -> None:
        if self.seals:
            await self.keep(replace(self.kept, tool=self._newest()))

    def _newest(self) -> str:
        return states.newest(folder=self.folder.read(commands.STATE), sealed=self.kept.tool)

    async def _ready(self) -> None:
        """Providers at hand, at their pinned versions, and the lock file in the folder."""
        if not self.is_ready:
            place = self.cloud.providers_place(self.tool)
            if not place.exists():
                await self._fetch_providers(place)
            self._data_folder = place
            lock = (place / commands.LOCK).read_text() if self.cloud.providers else ""
            if lock:
                self.folder.write(commands.LOCK, lock)
            self.is_ready = True

    async def _fetch_providers(self, place: Path) -> None:
        """Once for each module and tool: whole or not at all, whoever else does it at the same time."""
        self._data_folder = folders.make_passing(place.parent).path
        try:
            pins = self.cloud.providers
            if pins:
                told = await self._run(commands.providers())
                self.folder.write(commands.LOCK, locks.lock_file(pins, locks.hosts(told.out)))
            self._judge(await self._run(commands.init(locked=bool(pins))))
            (self._data_folder / commands.LOCK).write_text(self.folder.read(commands.LOCK))
            with suppress(OSError):  # somebody else was quicker, and has the same
                self._data_folder.rename(place)
        finally:
            await asyncio.to_thread(shutil.rmtree, self._data_folder, ignore_errors=True)

    async def _run(self, argv: Sequence[str], *, to_its_end: bool = False) -> Outcome:
        ticked = tools.never if to_its_end else self.is_over
        outcome = await self.tool.run(self.folder, argv, self._env(), heard=self._checked, ticked=ticked)
        if outcome.interrupted:
            raise self.stopped()
        return outcome

    async def _log(self, message: Message) -> None:
        if text := said(message):
            level = "ERROR" if isinstance(message, Diagnostic) and message.is_error else "INFO"
            await self.work.log(text=self._veil.over(text), level=level)

    async def _checked(self, message: Message) -> None:
        if isinstance(message, Version):
            tools.demand_version(self.tool, message.tool)

    async def is_over(self) -> bool:
        """Whether a command shall end: the time is over, or somebody asks for it."""
        return self.cloud.context.clock.now() >= self.work.deadline or await self.work.stopping()

    def _env(self) -> dict[str, str]:
        return self.cloud.environment_of(self.folder, self._data_folder, self.credential, self.secrets)

    def _write_base(self) -> None:
        self.folder.write(commands.SETTINGS, self.cloud.tool_settings)
        # The file that is there stays unless it is older: a tool of which nobody knows may be writing it.
        if (newest := self._newest()) != self.folder.read(commands.STATE):
            self.folder.write(commands.STATE, newest)

    @property
    def _veil(self) -> Veil:
        return Veil([self.credential.reveal(), *_texts(self.secrets)])

    def _judge(self, outcome: Outcome) -> None:
        if outcome.failed:
            veil = self._veil
            veiled = [
                replace(one, summary=veil.over(one.summary), detail=veil.over(one.detail)) for one in outcome.errors
            ]
            raise self.cloud.failure(veiled)

    def stopped(self) -> PluginFailure:
        """What is raised for a call that was asked to end."""
        text = "asked to stop: the tool has finished the calls in flight and saved its state"
        return Temporary(text, provider=self.cloud.manifest.provider)


def _identities(lines: Iterable[Planned]) -> dict[str, Any]:
    return {
        line.address: {"kind": line.what.kind, "name": line.what.name, "replaced": line.action is Action.REPLACE}
        for line in lines
        if isinstance(line.what, Resource)
    }


def _is_among(raw: Mapping[str, Any], what: Resource, keep: Sequence[str]) -> bool:
    return what.name in keep or str(raw["values"].get("id") or "") in keep


def _texts(value: Any) -> Iterable[str]:
    """Every text in a nest of values."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, Sequence):
        for item in value:
            yield from _texts(item)
