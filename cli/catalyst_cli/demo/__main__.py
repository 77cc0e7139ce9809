"""`script/demo`: everything in a temporary folder on free ports; the last line is one JSON object.

Its keys: sovereign, state, run_seconds, steps, components, dns, http_status, events, ledger_balanced, lease, leftovers,
dev_start_seconds, pss_mib; with `--backends real` also backends, which says what was real. The exit code is 0 only if all
of it is as it should be.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from .backends import EMBEDDED, REAL
from .mesh import Mesh, free_base
from .proofs import Proof, faults, prove_gone, prove_there

SPEC = Path("examples/01-first-sovereign/sovereign.yaml")
VOUCHER = "FIRST-SOVEREIGN"


def main() -> int:
    """Run the demonstration; the exit code."""
    parser = argparse.ArgumentParser(
        prog="script/demo", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--keep", action="store_true", help="leave dev and the Sovereign running")
    parser.add_argument("--file", type=Path, default=SPEC, help="the Sovereign to create")
    parser.add_argument(
        "--backends", choices=("embedded", "real"), default="embedded",
        help="real: PostgreSQL, PowerDNS, and two replicas of each daemon; slower, and more memory",
    )  # fmt: skip
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="catalyst-demo-"))
    backends = REAL if args.backends == "real" else EMBEDDED
    mesh = Mesh(folder, free_base(), backends.options)
    try:
        mesh.start()
        for line in backends.told:
            _say(line)
        proof = _show(mesh, args.file, keep=args.keep)
    finally:
        if not args.keep:
            left = mesh.stop()
    if not args.keep:
        proof.leftovers += left
    found = faults(proof, kept=args.keep)
    for fault in found:
        _say(f"not as it should be: {fault}")
    if args.keep:
        _say(f"dev goes on: {mesh.state['gateway']}/console; stop it with: kill {mesh.state['pid']}")
    print(json.dumps({**proof.summary(), **backends.summary}), flush=True)
    return 1 if found else 0


def _show(mesh: Mesh, file: Path, *, keep: bool) -> Proof:
    _say(f"dev is up in {mesh.state['start_seconds']} s; creating the Sovereign of {file}")
    mesh.command("sovereign", "create", "--file", str(file), "--voucher", VOUCHER, "--yes", "--output", "json")
    proof = prove_there(mesh)
    _say(f"{proof.sovereign} is {proof.state}: {proof.dns}, HTTP {proof.http_status}")
    if not keep:
        mesh.command("sovereign", "destroy", proof.sovereign, "--yes", "--output", "json")
        prove_gone(mesh, proof)
        _say(f"destroyed; left over: {proof.leftovers or 'nothing'}")
    return proof


def _say(line: str) -> None:
    print(f"demo: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
