"""What the chassis exports."""

import subprocess
import sys

import catalyst_mesh


def test_every_exported_name_is_there_and_nothing_else_is_promised() -> None:
    assert {name for name in catalyst_mesh.__all__ if getattr(catalyst_mesh, name) is None} == set()
    homes = {name for names in catalyst_mesh._HOMES.values() for name in names.split()}
    assert homes == set(catalyst_mesh.__all__)


def test_a_small_part_does_not_import_the_whole() -> None:
    program = "import sys, catalyst_mesh.identity; print('sqlalchemy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
