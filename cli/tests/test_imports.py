"""The command line starts quickly: what few commands need is imported by these alone."""

import subprocess
import sys

DEAR = ("alembic", "catalyst_kube", "grpc", "jsonschema", "pydantic", "sqlalchemy")


def test_no_command_waits_for_libraries_of_another() -> None:
    program = "import sys, catalyst_cli.tree; print(*sys.modules)"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert "typer" in said.split()
    assert [name for name in DEAR if name in said.split()] == []
