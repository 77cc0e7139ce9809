"""The PostgreSQL server of one region, on this machine: its settings, its start and end, its copies.

Invariants
  starts as a standby   `standby.signal` lies in the data folder at every start, also where the server was primary: whoever starts
                        it, and after whatever death, it takes no write before it is promoted again. PostgreSQL takes the file
                        away when it is promoted; it is put back at once, as it counts at a start only;
  outside the data      settings and epochs lie beside the data folder, since a copy or a rewind writes over what is inside;
  damaged is said       before a copy is begun that leaves the data useless if it ends halfway, that is on disk; such data is not
                        started, only copied anew.
"""

import asyncio
import json
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from catalyst_sdk import Permanent, Temporary
from catalyst_sdk.deadman import boottime
from catalyst_sdk.epochs import EpochFile, durable

from .place import PROVIDER, Configured, Place
from .programs import run
from .questions import number

START, STOP, COPY = 60.0, 10.0, 3600.0
"""Seconds for a start; for a stop in peace; for a copy of everything."""
LOOK = 0.02
"""Seconds between two looks whether a server that was asked to end has ended."""
_FIXED = {
    "hot_standby": "on",
    "wal_level": "replica",
    "max_wal_senders": "10",
    "wal_keep_size": "512MB",
    "wal_log_hints": "on",
    "track_commit_timestamp": "on",
    "synchronous_commit": "remote_apply",
    "recovery_target_timeline": "latest",
    # A server that put itself in order after a crash would do so as a standby; its supervisor starts it as one anyway.
    "restart_after_crash": "off",
}


class Server:
    """One server. Calls of one region are made one after the other, by whoever holds its lock."""

    def __init__(self, configured: Configured, place: Place) -> None:
        if place.folder is None:
            raise Permanent("NOT_HERE", f"the server of {place.region} runs on another machine", provider=PROVIDER)
        self._c = configured
        self._place = place
        self._folder = place.folder
        self.epochs = EpochFile(self._folder / "epochs.json")
        self.lock = asyncio.Lock()

    @property
    def data(self) -> Path:
        """The data folder."""
        return self._folder / "data"

    @property
    def has_data(self) -> bool:
        """Whether there is a copy that may be started."""
        return (self.data / "PG_VERSION").exists() and not self._damaged.exists()

    @property
    def is_running(self) -> bool:
        """Whether a server works on the data folder."""
        return self.pid is not None

    @property
    def pid(self) -> int | None:
        """The server's process, which its own file names; None: that one is no more."""
        try:
            found = int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
            os.kill(found, 0)
            # Another process may have been given the number since: the server works in its data folder.
            return found if Path(f"/proc/{found}/cwd").resolve() == self.data.resolve() else None
        except (OSError, ValueError, ProcessLookupError):
            return None

    @property
    def parted(self) -> str:
        """What this copy has and its primary has not, as it was found last; empty: nothing that is known."""
        path = self._folder / "parted"
        return path.read_text() if path.exists() else ""

    def part(self, why: str) -> None:
        """Keep what was found; empty: nothing any more."""
        if why:
            durable(self._folder / "parted", why)
        else:
            (self._folder / "parted").unlink(missing_ok=True)

    def intend(self, epoch: int, timeline: int, at: int) -> None:
        """Keep that a promotion begins: it counts even if nobody lives to write its epoch into the database."""
        durable(self._folder / "intent.json", json.dumps({"epoch": epoch, "timeline": timeline, "at": at}))

    def intended(self, timeline: int) -> tuple[int, int] | None:
        """Epoch and position of the promotion that was begun last, if the copy is on a later timeline since."""
        with suppress(FileNotFoundError):
            raw = json.loads((self._folder / "intent.json").read_text())
            return (raw["epoch"], raw["at"]) if timeline > raw["timeline"] else None
        return None

    def give_up(self, epoch: int) -> None:
        """Keep that the primary of an epoch was stopped: what is left of its demotion is to start it as a standby."""
        durable(self._folder / "given-up", str(epoch))

    def gave_up(self, epoch: int) -> bool:
        """Whether that was kept, for this epoch."""
        with suppress(FileNotFoundError):
            return (self._folder / "given-up").read_text() == str(epoch)
        return False

    async def found(self) -> None:
        """Make the first copy of a database that never was; nothing changes where there is one."""
        if self.has_data:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        words = (
            "-D",
            str(self.data),
            "-U",
            self._c.user,
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--data-checksums",
        )
        await self._run("initdb", *words, within=START)
        # A standby does not start with smaller settings than its log tells of, and initdb has written the usual ones.
        self.configure({})
        await self._launch()
        await self.stop()

    async def start(self, follow: Mapping[str, str] | None = None) -> None:
        """Start as a standby, and return when it answers; nothing changes where it runs.

        follow   settings that say whose log is pulled; None: as before
        """
        if not self.has_data:
            raise Temporary(f"{self._place.region} has no sound copy yet", provider=PROVIDER)
        if follow is not None or not (self._folder / "postgresql.conf").exists():
            self.configure(follow or {})
        if self.is_running:
            self.reload()
            return
        self.guard()
        await self._launch()

    async def stop(self, budget: float = STOP) -> None:
        """End it: in peace, which sends everything to the standbys, and if that takes too long at once.

        Whom the server serves is killed with it in the end: they would go on for a while without it.
        """
        self.guard()
        pid = self.pid
        if pid is None:
            return
        for sent, share in ((signal.SIGINT, 0.7), (signal.SIGQUIT, 0.2), (signal.SIGKILL, 0.1)):
            served = _children(pid) if sent == signal.SIGKILL else ()
            for one in (pid, *served):
                with suppress(ProcessLookupError):
                    os.kill(one, sent)
            if await self._gone(max(0.2, budget * share), served):
                return
        raise Temporary(f"the server of {self._place.region} does not end", provider=PROVIDER)

    async def ended_at(self) -> int | None:
        """A log position that only a copy with the whole log has; None: it was not stopped in peace, and a start has to tell.

        The last record is then a checkpoint. Its own beginning is what the control file has; whoever is past that has it all.
        """
        said = await run(
            self._c.programs.command("pg_controldata", "-D", str(self.data)), within=STOP, cwd=self._folder
        )
        told = {
            name.strip(): value.strip() for name, _, value in (line.partition(":") for line in said.text.splitlines())
        }
        if said.code or told.get("Database cluster state") != "shut down":
            return None
        return number(told.get("Latest checkpoint location")) + 1

    def guard(self) -> None:
        """Have the next start be one of a standby."""
        if self.has_data and not (self.data / "standby.signal").exists():
            durable(self.data / "standby.signal", "")
            self._own(self.data / "standby.signal")

    def configure(self, more: Mapping[str, str]) -> None:
        """Write all settings anew. A running server reads them at `reload`, some of them at its next start."""
        ours = {
            "listen_addresses": self._place.host,
            "port": str(self._place.port),
            "unix_socket_directories": str(self._folder),
        }
        whole = {**_FIXED, **self._c.settings, **ours, **more}
        text = "".join(f"{name} = {_quoted(value)}\n" for name, value in sorted(whole.items()))
        durable(self._folder / "postgresql.conf", text)
        hosts = "local all all trust\nhost all all samehost trust\nhost replication all samehost trust\n"
        if not (self._folder / "pg_hba.conf").exists():
            durable(self._folder / "pg_hba.conf", hosts)
        for name in ("postgresql.conf", "pg_hba.conf"):
            self._own(self._folder / name)

    def reload(self) -> None:
        """Have a running server read its settings."""
        if (pid := self.pid) is not None:
            os.kill(pid, signal.SIGHUP)

    async def clone(self, source: str) -> None:
        """Copy everything from a running server, and only then give up what is here."""
        fresh = self._folder / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        words = ("-d", source, "-D", str(fresh), "-X", "stream", "-c", "fast", "--no-password")
        await self._run("pg_basebackup", *words, within=COPY)
        await self.stop()
        self._damaged.touch()
        shutil.rmtree(self.data, ignore_errors=True)
        fresh.rename(self.data)
        self._sound()

    async def rewind(self, source: str) -> bool:
        """Go back to where the two histories part, and take over what `source` has since; False: it has to be copied whole."""
        await self.stop()
        self._damaged.touch()
        words = ("-D", str(self.data), f"--source-server={source}", "--no-sync")
        with suppress(Temporary):
            await self._run("pg_rewind", *words, within=COPY)
            self._sound()
            return True
        return False

    @property
    def _damaged(self) -> Path:
        return self._folder / "damaged"

    def _sound(self) -> None:
        """What is here now is a part of the primary's history."""
        (self._folder / "intent.json").unlink(missing_ok=True)
        self.part("")
        self._damaged.unlink()
        self.guard()

    async def _launch(self) -> None:
        options = f"-c config_file={self._folder}/postgresql.conf -c hba_file={self._folder}/pg_hba.conf"
        await self._run(
            "pg_ctl",
            "-D",
            str(self.data),
            "-l",
            str(self._folder / "log"),
            "-w",
            "-t",
            str(int(START)),
            "-s",
            "-o",
            options,
            "start",
            within=START + 5,
        )  # fmt: skip - pairs

    async def _gone(self, within: float, served: Sequence[int] = ()) -> bool:
        until = boottime() + within
        while self.pid is not None or any(_parent(one) for one in served):
            if boottime() >= until:
                return False
            await asyncio.sleep(LOOK)
        return True

    async def _run(self, program: str, *words: str, within: float) -> None:
        said = await run(self._c.programs.command(program, *words), within=within, cwd=self._folder)
        if said.code:
            why = said.text.splitlines()[-1] if said.text else f"code {said.code}"
            raise Temporary(
                f"{program} in {self._place.region}: {why}", provider=PROVIDER, provider_code=str(said.code)
            )

    def _own(self, path: Path) -> None:
        """What we write belongs to the server's user, where we are another."""
        owner = self._folder.stat()
        if path.stat().st_uid != owner.st_uid:
            os.chown(path, owner.st_uid, owner.st_gid)


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _children(pid: int) -> Sequence[int]:
    return [one for place in Path("/proc").glob("[0-9]*") if _parent(one := int(place.name)) == pid]


def _parent(pid: int) -> int:
    """Of a process that runs; 0: it does not, or has ended and nobody has asked how."""
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return 0
    return int(parent) if state not in "ZX" else 0
