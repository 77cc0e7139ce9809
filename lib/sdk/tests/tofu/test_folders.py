"""The run folder: for nobody else's eyes, read while it is written, and shredded."""

import json
import os
import stat
import sys
from pathlib import Path

import pytest
from catalyst_sdk.tofu import children, commands
from catalyst_sdk.tofu.children import Child
from catalyst_sdk.tofu.folders import RunFolder, Tail, make_passing, shred_orphans
from catalyst_testkit.waiting import eventually_sync


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "runs" / "one").make()
    folder.write("state", "secret")
    assert (mode(folder.path), mode(folder.path / "state")) == (0o700, 0o600)
    assert [path.name for path in folder.path.iterdir()] == ["state"]


def test_shredding_overwrites_before_it_removes(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "one").make()
    folder.write("state", "secret")
    os.link(folder.path / "state", tmp_path / "same-blocks")
    folder.shred()
    assert not folder.path.exists()
    assert (tmp_path / "same-blocks").read_bytes() == bytes(6)


def test_a_root_for_leftovers_has_the_base_and_the_scripts_but_no_resource(tmp_path: Path) -> None:
    module = tmp_path / "module"
    (module / "templates").mkdir(parents=True)
    for name in ("versions.tf", "main.tf", "more.tf.json", "cloud.sh", "templates/boot.sh"):
        (module / name).write_text(name)
    folder = RunFolder(tmp_path / "run").make()
    folder.copy_base(module)
    found = sorted(str(path.relative_to(folder.path)) for path in folder.path.rglob("*") if path.is_file())
    assert found == ["cloud.sh", "templates/boot.sh", "versions.tf"]


def test_imports_are_written_and_taken_away(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.write_imports({'server.cp["1"]': "42"})
    assert json.loads(folder.read(commands.IMPORTS)) == {"import": [{"to": 'server.cp["1"]', "id": "42"}]}
    folder.write_imports({})
    assert folder.read(commands.IMPORTS) == ""


def test_a_line_is_read_once_and_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "out"
    tail = Tail(path)
    assert list(tail.lines()) == []
    path.write_bytes(b'{"one": 1}\n{"tw')
    assert list(tail.lines()) == ['{"one": 1}']
    with path.open("ab") as file:
        file.write(b'o": 2}\n\nlast words')
    assert list(tail.lines()) == ['{"two": 2}']
    assert list(tail.lines(last=True)) == ["last words"]
    assert list(tail.lines(last=True)) == []


def test_a_line_without_end_is_cut_with_a_mark(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"x" * (Tail.LONGEST + 5) + b"\n")
    (line,) = Tail(path).lines()
    assert line.endswith("5 bytes cut")


def test_folders_of_dead_calls_are_shredded_and_those_of_living_ones_stay(tmp_path: Path) -> None:
    mine = make_passing(tmp_path)
    dead = RunFolder(tmp_path / "plan-999999999-abc").make()
    shred_orphans(tmp_path)
    assert (mine.path.exists(), dead.path.exists()) == (True, False)


def started(folder: Path, script: str) -> Child:
    command = [sys.executable, "-S", "-c", script]
    return children.start(command, folder=folder, env={}, out=folder / "apply.out", record=True)


def test_a_command_is_found_again_by_its_record_and_known_to_have_ended(tmp_path: Path) -> None:
    child = started(
        tmp_path, "import sys; sys.stdin.read(); print('said'); print('complained', file=sys.stderr); sys.exit(3)"
    )
    found = children.recorded(tmp_path)
    assert found is not None
    assert (found.pid, found.verb, found.is_own) == (child.pid, "apply", False)
    eventually_sync(lambda: not child.lives and not found.lives, within=60, what="the command has ended")
    assert child.code == 3
    assert (tmp_path / "apply.out").read_text() == "said\n"
    assert (tmp_path / "apply.err").read_text() == "complained\n"


def test_a_command_leads_a_session_of_its_own_and_is_interrupted_once_told(tmp_path: Path) -> None:
    waits = """if True:
        import signal, time
        def ended(*_):
            raise SystemExit(7)
        signal.signal(signal.SIGINT, ended)
        print("up", flush=True)
        time.sleep(60)
    """
    child = started(tmp_path, waits)
    eventually_sync(lambda: (tmp_path / "apply.out").read_text() == "up\n", within=60, what="it is up")
    assert os.getsid(child.pid) == child.pid != os.getsid(0)
    child.interrupt()
    eventually_sync(lambda: not child.lives, within=60, what="it has ended")
    assert child.code == 7
    child.interrupt()


@pytest.mark.parametrize("record", ["", "{", '{"pid": "x"}', '{"pid": 1}'])
def test_a_record_that_was_cut_off_is_none(tmp_path: Path, record: str) -> None:
    (tmp_path / children.RECORD).write_text(record)
    assert children.recorded(tmp_path) is None


def test_a_pid_that_is_used_again_is_another_process(tmp_path: Path) -> None:
    (tmp_path / children.RECORD).write_text(json.dumps({"pid": os.getpid(), "born": "long ago", "verb": "apply"}))
    found = children.recorded(tmp_path)
    assert found is not None
    assert not found.lives
