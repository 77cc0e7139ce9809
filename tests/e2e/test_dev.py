"""The life of `catalyst dev` itself: on taken ports, killed, stopped, started again, cleaned."""

import os
import signal
import socket
from pathlib import Path

import pytest

from .devs import Dev


def test_a_taken_port_names_its_holder_and_starts_nothing(folder: Path) -> None:
    dev = Dev(folder / "data")
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", dev.base + 6))
        holder.listen()
        answer = dev.command(*dev.arguments())
    assert answer.returncode == 1
    assert f"pid {os.getpid()}" in answer.stderr
    assert "--port-base" in answer.stderr
    assert dev.processes() == []


def test_a_folder_of_somebody_is_neither_taken_nor_cleaned(folder: Path) -> None:
    dev = Dev(folder / "work")
    dev.folder.mkdir()
    (dev.folder / "thesis").write_text("five years")
    for answer in (dev.command("dev", "--clean", "--data-dir", str(dev.folder)), dev.command(*dev.arguments())):
        assert (answer.returncode, answer.stdout) == (1, ""), answer.stderr
    assert [path.name for path in dev.folder.iterdir()] == ["thesis"]


def test_a_daemon_that_cannot_use_its_settings_ends_the_start_with_its_words(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CATALYST_FAILPOINTS", "no.such.point=kill@1")
    dev = Dev(folder / "data")
    answer = dev.command(*dev.arguments())
    assert (answer.returncode, answer.stdout) == (1, "")
    assert "catalog cannot begin: CATALYST_FAILPOINTS: no.such.point=kill@1: write" in answer.stderr
    assert str(dev.folder / "logs/catalog.log") in answer.stderr
    assert dev.processes() == []


def test_it_is_killed_started_stopped_started_and_cleaned_and_nothing_is_left_by_any_of_them(folder: Path) -> None:
    dev = Dev(folder / "data")
    dev.start()
    killed = dev.processes()
    assert dev.process is not None
    os.kill(dev.state["pid"], signal.SIGKILL)
    dev.process.wait()

    dev.start()  # it finds a clean place
    dev.until(lambda: not [p for p in killed if p.is_running()], 60, "what the killed dev left is gone")
    stopped = dev.processes()
    assert len(stopped) >= 12
    dev.stop()
    assert [p for p in stopped if p.is_running()] == []

    dev.start()  # the data is still there
    assert dev.command("name", "check", "free.omani.works").returncode == 0
    answer = dev.command("dev", "--clean", "--data-dir", str(dev.folder))
    assert answer.returncode == 0, answer.stderr
    assert not dev.folder.exists()
    dev.process.wait(60)  # it let go of its lock and has its interpreter's own end before it
    assert dev.processes() == []
    dev.stop()
