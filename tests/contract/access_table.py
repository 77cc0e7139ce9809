"""The table of who may call what, as a page. Run it to write the page anew: `python tests/contract/access_table.py`."""

import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from catalyst_mesh import Row

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "access.md"
DAEMONS = {
    "billing": "catalyst_billing",
    "catalog": "catalyst_catalog",
    "continuum": "catalyst_continuum",
    "environment": "catalyst_environment",
    "pooldomain": "catalyst_pool_domain_manager",
    "provisioner": "catalyst_provisioner",
}
HEAD = """# Who may call what, on whose resource

Made from the tables of the daemons (`access.py` in each) by `python tests/contract/access_table.py`; a test compares.

- A method without a row, and a role that its row does not name, are denied (`CALL_DENIED`).
- `org-…` roles are held in an Organization and count there; the last column says what a stranger is told. Roles over
  the Sovereign and daemons (`service:`, `own:`) count on everybody's resources. What a private Blueprint says is the
  exception: of people, only members of its Organization read it.
- A daemon that serves a person shows the person's token beside its own: the row must let both in, and the resource must
  be the person's. `own:` lets a daemon ask in its own right whoever it serves. Work that outlives its call, such as a run on
  the journal, is the daemon's own; it was asked of the person when it was written down, by whom stands with it.
"""


def tables() -> Iterator[tuple[str, Mapping[str, Row]]]:
    """Each daemon with its table."""
    for name, package in DAEMONS.items():
        yield name, importlib.import_module(f"{package}.access").ACCESS


def page() -> str:
    """The page as it should stand."""
    parts = [HEAD]
    for name, table in tables():
        parts.append(f"\n## {name}\n\n| method | roles | whose |\n|---|---|---|\n")
        for method, row in sorted(table.items()):
            roles = ", ".join(sorted(row.roles))
            parts.append(f"| `{method.removeprefix(f'catalyst.{name}.v1.')}` | {roles} | {row.scope} |\n")
    return "".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page())
