"""Credentials that a spec names beside those of its clouds: whether they are there, and of the kind that is needed."""

from collections.abc import Iterator

from catalyst_sdk.cloud import Finding, Severity

from . import signing
from .domain import mirrors, remotes
from .domain.wishes import Document
from .store import Store
from .vault import CREDENTIAL


async def findings(tx: Store, document: Document) -> list[Finding]:
    """What is named and is not there. A login of Git that is missing is waited for by the run."""
    found = []
    for path, name, kind in _named(document):
        held = await tx.credential_record(name.removeprefix(CREDENTIAL))
        if held is None or held.kind != kind:
            text = f"there is no credential {name} of kind {kind}"
            found.append(Finding("auth.rejected", Severity.ERROR, path, text, "make it, or name another one"))
    return found


def _named(document: Document) -> Iterator[tuple[str, str, str]]:
    """Path, name and kind."""
    for i, mirror in enumerate(mirrors.read(document)):
        if mirror.credential:
            yield f"spec.air_gap.mirrors[{i}].credential", mirror.credential, mirrors.KIND
    remote = remotes.read(document)
    if remote is not None and remote.signing_key:
        yield "spec.gitops.signing_key", remote.signing_key, signing.KIND
