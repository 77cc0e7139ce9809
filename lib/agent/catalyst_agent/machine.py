"""The machine under the cluster: which k3s it runs, and how it comes to run another one.

The first boot writes one service, `k3s`, for servers and for workers alike. Containers do not end with it (KillMode), so
a restart is short for what runs in them.
"""

import asyncio
import hashlib
import platform
import re
import urllib.request
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from catalyst.provisioner.v1 import resources_pb2 as pb

Binary = pb.AgentCommand.Upgrade.Binary
ARCHES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
FETCH_LIMIT, RESTART_LIMIT, REBOOT_LIMIT = 120.0, 300.0, 30.0
"""Seconds in which a byte has to come, in which the service has to be up again, and in which a restart has to be begun."""
LARGEST = 512 * 1024 * 1024
PIECE = 1024 * 1024
FULL_TOKEN = re.compile(r"K10([0-9a-f]{64})::")
"""A join token of k3s in its secure form: by the digest in it a joiner knows the cluster's authority."""


class NotUpgraded(Exception):
    """The sentence says why."""


class NotRestarted(Exception):
    """The sentence says why."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Where things of k3s are on this server."""

    k3s: Path = Path("/usr/local/bin/k3s")
    token: Path = Path("/var/lib/rancher/k3s/server/token")
    """What k3s itself keeps of the token that servers join with, in the secure form."""
    service: Sequence[str] = ("systemctl", "restart", "k3s")
    arch: str = platform.machine()
    boot: Path = Path("/proc/sys/kernel/random/boot_id")
    """What the kernel calls this boot; nodes show it as their `bootID`."""
    restart: Sequence[str] = ("systemctl", "reboot")

    def authority(self) -> str:
        """The digest by which joiners know the cluster's authority; empty as long as k3s has not written it."""
        try:
            found = FULL_TOKEN.match(self.token.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return ""
        return found[1] if found else ""

    async def upgrade(self, version: str, binaries: Iterable[Binary]) -> None:
        """Put another k3s in place of this one and start it. Raises NotUpgraded; until the last line nothing has changed.

        The same again restarts the service once more: a death between the two may have left it undone.
        """
        arch = ARCHES.get(self.arch, self.arch)
        wanted = next((one for one in binaries if one.arch == arch), None)
        if wanted is None:
            raise NotUpgraded(f"nobody has said where a server of {arch} fetches k3s {version}")
        if not await asyncio.to_thread(self._is_there, wanted.sha256):
            await self._put(version, wanted)
        code, told = await _run(self.service, RESTART_LIMIT)
        if code:
            raise NotUpgraded(f"k3s {version} is in place, but its service did not start: {told}")

    async def reboot(self, boot: str) -> bool:
        """Restart, unless another boot than this one is meant: then it has happened. Whether it was begun. Raises NotRestarted.

        An answer may be lost with the machine; asked again after the restart, it does nothing.
        """
        try:
            now = (await asyncio.to_thread(self.boot.read_text, encoding="ascii")).strip()
        except (OSError, ValueError) as error:
            raise NotRestarted(f"the kernel does not tell its boot: {error}") from error
        if not boot or now != boot:
            return False
        try:
            code, told = await _run(self.restart, REBOOT_LIMIT)
        except NotUpgraded as error:
            raise NotRestarted(str(error)) from error
        if code:
            raise NotRestarted(f"{self.restart[0]} refused the restart: {told}")
        return True

    def _is_there(self, sha256: str) -> bool:
        try:
            with self.k3s.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == sha256.lower()
        except FileNotFoundError:
            return False

    async def _put(self, version: str, wanted: Binary) -> None:
        fresh = self.k3s.with_name(f".{self.k3s.name}.new")
        try:
            await asyncio.to_thread(_fetch, wanted, fresh)
            code, told = await _run([str(fresh), "--version"], FETCH_LIMIT)
            if code or version not in told.split():
                raise NotUpgraded(f"what {wanted.url} holds is not k3s {version}")
            fresh.replace(self.k3s)
        finally:
            fresh.unlink(missing_ok=True)


def _fetch(wanted: Binary, into: Path) -> None:
    if not wanted.url.startswith(("https://", "http://")):
        raise NotUpgraded(f"{wanted.url} is no address of the web")
    digest, size = hashlib.sha256(), 0
    try:
        with urllib.request.urlopen(wanted.url, timeout=FETCH_LIMIT) as answer, into.open("wb") as file:  # noqa: S310 - checked above
            while piece := answer.read(PIECE):
                size += len(piece)
                if size > LARGEST:
                    raise NotUpgraded(f"{wanted.url} holds more than {LARGEST} bytes")
                digest.update(piece)
                file.write(piece)
    except OSError as error:  # what urllib raises too
        raise NotUpgraded(f"{wanted.url} cannot be fetched: {error}") from error
    if digest.hexdigest() != wanted.sha256.lower():
        raise NotUpgraded(f"what {wanted.url} holds has the digest {digest.hexdigest()}, not {wanted.sha256}")
    into.chmod(0o755)


async def _run(words: Sequence[str], limit: float) -> tuple[int, str]:
    """Code and last words of a program that ends. Raises NotUpgraded."""
    try:
        process = await asyncio.create_subprocess_exec(
            *words, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
    except OSError as error:
        raise NotUpgraded(f"{words[0]} cannot be started: {error}") from error
    try:
        async with asyncio.timeout(limit):
            out, _ = await process.communicate()
    except TimeoutError as error:
        raise NotUpgraded(f"{words[0]} did not end within {limit:g} s") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return int(process.returncode or 0), out.decode(errors="replace").strip()[-1_000:]
