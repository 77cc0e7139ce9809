"""Which server the command line talks to, and as whom.

`CATALYST_CLI_SERVER` and `CATALYST_CLI_TOKEN_FILE` win; else what `catalyst dev` remembered in the configuration file.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from .failures import Failure

OPERATOR, SECOND = "operator", "second"
"""Files of a dev's tokens: of who started it, and of a second person, who approves what the first one asked for."""


@dataclass(frozen=True, slots=True)
class Context:
    """A gateway and a token for it."""

    server: str
    token_file: Path

    def token(self) -> str:
        """The bearer token, read at each use, because it is renewed while commands run."""
        try:
            return self.token_file.read_text().strip()
        except OSError as error:
            raise Failure(
                f"the token file {self.token_file} cannot be read", next_step="start `catalyst dev`"
            ) from error

    def second(self) -> Path | None:
        """The token of the second person, where the caller is the first one of a dev."""
        file = self.token_file.with_name(SECOND)
        return file if self.token_file.name == OPERATOR and file.exists() else None


def config_file() -> Path:
    """Where the context is remembered (XDG Base Directory Specification)."""
    if given := os.environ.get("CATALYST_CLI_CONFIG"):
        return Path(given)
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "catalyst" / "context.json"


def remember(*, server: str, token_file: str) -> None:
    """Make this the context of later commands."""
    path = config_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"server": server, "token_file": token_file}))


def context() -> Context:
    """The context of this command. Raises Failure where there is none."""
    server, token_file = os.environ.get("CATALYST_CLI_SERVER"), os.environ.get("CATALYST_CLI_TOKEN_FILE")
    if not (server and token_file):
        try:
            known = json.loads(config_file().read_text())
        except (OSError, ValueError) as error:
            raise Failure(
                "no server is known", why="neither CATALYST_CLI_SERVER with CATALYST_CLI_TOKEN_FILE nor a running dev",
                next_step="catalyst dev", exit_code=6,
            ) from error  # fmt: skip
        server, token_file = server or known["server"], token_file or known["token_file"]
    return Context(str(server).rstrip("/"), Path(str(token_file)))
