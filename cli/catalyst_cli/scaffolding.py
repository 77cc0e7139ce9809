"""A new plugin as a distribution that works before any edit: the files of `scaffold/<kind>`, written for a name.

They are written for a provider that is called Acme, and pass the conformance suite of their kind over a fake of it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from .failures import Failure

PACKAGES = {
    "registrar": "catalyst_registrar_{name}",
    "dns_backend": "catalyst_dns_{name}",
    "cloud_provider": "catalyst_cloud_{name}",
    "payment_provider": "catalyst_payment_{name}",
    "blueprint_source": "catalyst_source_{name}",
    "lease_witness": "catalyst_witness_{name}",
    "database_promoter": "catalyst_promoter_{name}",
    "safety_check": "catalyst_check_{name}",
    "fencer": "catalyst_fencer_{name}",
    "traffic": "catalyst_traffic_{name}",
}
"""Kinds that can be made, and the import name of such a plugin."""
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_MOST = 24
_EMPTY = "py.typed"


@dataclass(frozen=True, slots=True)
class Scaffold:
    """A plugin to be made. Raises Failure for a kind or a name that cannot be."""

    kind: str
    name: str

    def __post_init__(self) -> None:
        if self.kind not in PACKAGES:
            raise Failure(
                f"nothing is known of how a {self.kind} begins", why=f"kinds with a beginning: {', '.join(PACKAGES)}",
                next_step="catalyst plugins new registrar acme", exit_code=2,
            )  # fmt: skip
        if not _NAME.fullmatch(self.name) or len(self.name) > _MOST:
            raise Failure(
                f"{self.name!r} is no name of a plugin",
                why=f"a small letter first, then small letters, digits and single underscores, at most {_MOST}",
                next_step=f"catalyst plugins new {self.kind} acme", exit_code=2,
            )  # fmt: skip

    @property
    def package(self) -> str:
        """The import name."""
        return PACKAGES[self.kind].format(name=self.name)

    @property
    def folder(self) -> str:
        """The distribution's name, and its folder's."""
        return self.package.replace("_", "-")

    def contents(self) -> Iterator[tuple[str, str]]:
        """Each file: path in the distribution, and text."""
        places = {
            "pyproject.toml": "pyproject.toml",
            "README.md": "README.md",
            "package__init__.py": f"{self.package}/__init__.py",
            "manifest.toml": f"{self.package}/manifest.toml",
            "plugin.py": f"{self.package}/plugin.py",
            "fake.py": f"tests/fake_{self.name}.py",
            "test.py": f"tests/test_{self.name}.py",
        }
        yield f"{self.package}/{_EMPTY}", ""
        for name, place in places.items():
            template = files("catalyst_cli") / "scaffold" / self.kind / f"{name}.txt"
            yield place, self._named(template.read_text(encoding="utf-8"))

    def write(self, into: Path) -> Path:
        """Make the distribution's folder below `into`. Raises Failure where something of that name is there."""
        home = into / self.folder
        try:
            home.mkdir(parents=True)
            for place, text in self.contents():
                path = home / place
                path.parent.mkdir(exist_ok=True)
                path.write_text(text, encoding="utf-8")
        except FileExistsError as error:
            raise Failure(
                f"{home} is there already", next_step="choose another name, or another folder with --into", exit_code=4
            ) from error
        except OSError as error:
            raise Failure(f"{home} cannot be written", why=error.strerror or str(error)) from error
        return home

    def _named(self, text: str) -> str:
        title = "".join(part.capitalize() for part in self.name.split("_"))
        dashed = self.name.replace("_", "-")
        text = text.replace("api.acme.", f"api.{dashed}.").replace("pay.acme.", f"pay.{dashed}.")
        distribution = PACKAGES[self.kind].format(name="acme").replace("_", "-")
        text = text.replace(distribution, distribution.replace("acme", dashed))
        return text.replace("acme", self.name).replace("Acme", title)
