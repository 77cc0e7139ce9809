"""Machines of a test, each in a network namespace of the kernel, on one bridge: lines that the kernel cuts, and one true clock.

Whoever uses it runs in a namespace of its own (`command`), in which the bridge is. Every machine has one address of the loopback
net, which is led over the bridge: servers that listen on loopback alone are reached across the machines, and by nobody else.
"""

import ctypes
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

NET = "127.77.0"
"""The net of all machines; the world, with its clients, is its first."""
_LEADS = "/proc/sys/net/ipv4/conf/all/route_localnet"
_PROGRAMS = ("ip", "unshare", "nsenter")


def missing() -> str:
    """Why there can be no namespaces here; empty: there can."""
    if absent := [program for program in _PROGRAMS if shutil.which(program) is None]:
        return f"not installed: {', '.join(absent)} (packages iproute2, util-linux)"
    # Whole names: `a` alone is read as the beginning of `address`.
    words = (
        f"ip link add name cable type veth peer name plug && ip link add name world type bridge && echo 1 > {_LEADS}"
    )
    tried = subprocess.run([*command(), "sh", "-c", words], capture_output=True, text=True, check=False)
    return f"no network namespaces: {tried.stderr.strip()[-200:]}" if tried.returncode else ""


def command() -> list[str]:
    """The words before a program that is to have a world of its own."""
    return ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-rn"]


@dataclass
class Machine:
    """One machine: its number is the last of its address."""

    name: str
    number: int
    anchor: "subprocess.Popen[bytes]"
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    started: dict[str, tuple[Sequence[str], Mapping[str, str], Path]] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """Where its servers listen."""
        return f"{NET}.{self.number}"


class Machines:
    """All machines of one world."""

    def __init__(self) -> None:
        self.all: dict[str, Machine] = {}
        _ip("link add name world type bridge")
        _led("world", 1)
        _ip("link set world up")
        self.can_shape = self._shapes()

    def add(self, name: str) -> Machine:
        """One more machine, on the bridge."""
        number = 10 + len(self.all)
        anchor = subprocess.Popen(["unshare", "-n", "cat"], stdin=subprocess.PIPE, preexec_fn=_dies_with_us)
        machine = self.all[name] = Machine(name, number, anchor)
        while os.readlink(f"/proc/{anchor.pid}/ns/net") == os.readlink("/proc/self/ns/net"):
            pass  # until it has its own: a moment
        _ip(f"link add name v{number} type veth peer name e{number}")
        _ip(f"link set e{number} netns {anchor.pid} name eth0")
        _ip(f"link set v{number} master world up")
        inside = (
            "ip link set lo up && ip addr flush dev lo && "
            f"echo 1 > {_LEADS} && ip addr add {machine.address}/24 dev eth0 && ip link set eth0 up"
        )
        subprocess.run([*self._inside(machine), "sh", "-ec", inside], check=True)
        return machine

    def start(self, machine: str, name: str, argv: Sequence[str], env: Mapping[str, str], log: Path) -> None:
        """Start a process on a machine."""
        one = self.all[machine]
        one.started[name] = argv, env, log
        with log.open("ab") as out:
            one.processes[name] = subprocess.Popen(
                [*self._inside(one), *argv],
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                preexec_fn=_dies_with_us,
            )  # fmt: skip - one call

    def kill(self, machine: str) -> None:
        """kill -9 to all processes of a machine."""
        for process in self.all[machine].processes.values():
            process.kill()
            process.wait()

    def start_again(self, machine: str) -> None:
        """Start what was killed."""
        one = self.all[machine]
        for name, (argv, env, log) in list(one.started.items()):
            if one.processes[name].poll() is not None:
                self.start(machine, name, argv, env, log)

    def freeze(self, machine: str, *, go_on: bool = False) -> None:
        """Stop all processes of a machine, or let them go on."""
        for process in self.all[machine].processes.values():
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGCONT if go_on else signal.SIGSTOP)

    def cut(self, machine: str) -> None:
        """Take its cable out."""
        _ip(f"link set v{self.all[machine].number} down")

    def mend(self, machine: str) -> None:
        """Put the cable in again, and make every way from it whole."""
        one = self.all[machine]
        _ip(f"link set v{one.number} up")
        for number in [1, *(other.number for other in self.all.values())]:
            subprocess.run(
                [*self._inside(one), "ip", "route", "del", "blackhole", f"{NET}.{number}/32"], check=False, capture_output=True
            )  # fmt: skip
        if self.can_shape:
            subprocess.run(["tc", "qdisc", "del", "dev", f"v{one.number}", "root"], check=False, capture_output=True)

    def swallow(self, machine: str, to: Sequence[str]) -> None:
        """Whatever a machine sends to these is lost; what they send arrives."""
        for other in to:
            where = f"{self.all[other].address}/32"
            words = ["ip", "route", "replace", "blackhole", where]
            subprocess.run([*self._inside(self.all[machine]), *words], check=True)

    def shape(self, machine: str, how: str) -> None:
        """Delay, lose or double what comes to a machine, in the words of netem; only where `can_shape`."""
        words = ["tc", "qdisc", "replace", "dev", f"v{self.all[machine].number}", "root", "netem", *how.split()]
        subprocess.run(words, check=True)

    def end(self) -> None:
        """End all processes, then the machines."""
        for machine in self.all.values():
            self.freeze(machine.name, go_on=True)
            for process in machine.processes.values():
                process.terminate()
        for machine in self.all.values():
            for process in machine.processes.values():
                try:
                    process.wait(60)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            machine.anchor.kill()
            machine.anchor.wait()

    def _inside(self, machine: Machine) -> list[str]:
        return ["nsenter", "-t", str(machine.anchor.pid), "-n"]

    def _shapes(self) -> bool:
        """Whether the kernel has netem."""
        if shutil.which("tc") is None:
            return False
        words = ["tc", "qdisc", "replace", "dev", "lo", "root", "netem", "delay", "0ms"]
        tried = subprocess.run(words, check=False, capture_output=True)
        subprocess.run(["tc", "qdisc", "del", "dev", "lo", "root"], check=False, capture_output=True)
        return tried.returncode == 0


def _led(device: str, number: int) -> None:
    """Lead the loopback net over a device, in the namespace that this process is in."""
    _ip("link set lo up")
    _ip("addr flush dev lo")
    Path(_LEADS).write_text("1")
    _ip("addr add 127.0.0.1/32 dev lo")
    _ip(f"addr add {NET}.{number}/24 dev {device}")


def _ip(words: str) -> None:
    subprocess.run(["ip", *words.split()], check=True)


def _dies_with_us() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
