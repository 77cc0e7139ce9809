"""Credentials on the way to the server: from a file or the standard input, never from the command line, where others look."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from catalyst_cli.failures import Failure
from catalyst_cli.reading import text_of

MOST_BYTES = 16 * 1024
CredentialFile = Annotated[
    str,
    typer.Option(
        "--credential",
        help="File with the fields of the credential (YAML or JSON); - reads the standard input. "
        "`catalyst registrar get` shows the fields.",
    ),
]


def read(source: str) -> dict[str, str]:
    """The fields. Raises Failure, which quotes nothing of them."""
    try:
        found: Any = yaml.safe_load(sys.stdin.read(MOST_BYTES) if source == "-" else text_of(Path(source)))
    except yaml.YAMLError:
        found = None  # the parser's sentence would quote the text
    if not isinstance(found, dict) or not found or not all(isinstance(v, str | int) for v in found.values()):
        raise Failure(
            f"{'the standard input' if source == '-' else source} holds no credential",
            why="fields with texts are expected, such as `token: …`",
            next_step="catalyst registrar get NAME",
            exit_code=2,
        )  # fmt: skip - one failure
    return {str(name): str(value) for name, value in found.items()}


def registrar(name: str) -> str:
    """`ovh` and `registrars/ovh` mean the same."""
    return f"registrars/{name.removeprefix('registrars/')}"


def account(name: str) -> str:
    """`acme` and `registrarAccounts/acme` mean the same."""
    return f"registrarAccounts/{name.removeprefix('registrarAccounts/')}"
