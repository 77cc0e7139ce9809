"""`examples/05-region-dies/run`: a dev with two regions in a temporary folder; one dies. The last line is one JSON object.

Its keys: rto_seconds, write_disruption_seconds, acked, lost, overlaps, epoch, and what `catalyst continuum drill` says besides.
The exit code is 0 only if nothing is lost, no two regions could write at once, and all else is as promised.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from pathlib import Path

from catalyst_cli.demo.mesh import Mesh, free_base
from catalyst_cli.dev.control import NotThere, ask

from .client import NotReady
from .house import House
from .kill import kill


def main() -> int:
    """Run the example; the exit code."""
    parser = argparse.ArgumentParser(prog="examples/05-region-dies/run", description=__doc__)
    parser.add_argument(
        "--keep", action="store_true", help="leave dev running, with the regions as the drill left them"
    )
    args = parser.parse_args()
    mesh = Mesh(Path(tempfile.mkdtemp(prefix="catalyst-regions-")), free_base(), ("--regions",))
    left: list[str] = []
    try:
        mesh.start()
        _say(f"dev is up in {mesh.state['start_seconds']} s with two regions and three cells")
        status = ask(mesh.state["control"], Path(mesh.state["control_token_file"]), "status")
        house = House(status)
        report = asyncio.run(kill(house, promised=house.demo["rto_promised"], tell=_say))
    except (NotReady, NotThere) as error:
        _say(f"{error}; the logs are in {mesh.layout.logs}")
        return 1
    finally:
        if not args.keep:
            left = mesh.stop()
    faults = [*report.faults(), *(f"left over: {one}" for one in left)]
    for fault in faults:
        _say(f"not as it should be: {fault}")
    if args.keep:
        _say(f"dev goes on in {mesh.layout.folder}; stop it with: kill {mesh.state['pid']}")
    print(json.dumps({**report.summary(), "faults": faults}), flush=True)
    return 1 if faults else 0


def _say(line: str) -> None:
    print(f"region dies: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
