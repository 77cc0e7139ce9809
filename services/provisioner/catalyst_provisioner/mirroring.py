"""How servers reach the mirrors of their Sovereign: opened from the vault for a server that enrols, and for nobody else."""

import json

from catalyst.provisioner.v1 import service_pb2
from catalyst_mesh import Sealer
from catalyst_sdk import Code, Refused

from .domain import mirrors
from .domain.mirrors import Mirror
from .domain.wishes import Document
from .store import Store
from .vault import CREDENTIAL


class MirrorLoginMissing(Refused):
    code, reason = Code.UNAVAILABLE, "MIRROR_LOGIN_MISSING"
    message = "{credential} holds no login for the mirror {mirror}; make it, and the server that asks goes on"


async def handed(tx: Store, sealer: Sealer, document: Document, answer: service_pb2.EnrollResponse) -> None:
    """Put what a server needs of its mirrors into the answer to its enrolment. Raises MirrorLoginMissing."""
    known = mirrors.read(document)
    if not known:
        return
    answer.registries = json.dumps(mirrors.registries(known), sort_keys=True)
    for mirror in {mirror.host: mirror for mirror in known}.values():
        if mirror.credential or mirror.ca_bundle:
            username, password = await _login(tx, sealer, mirror)
            answer.mirrors.add(server=mirror.host, username=username, password=password, ca_bundle_pem=mirror.ca_bundle)


async def _login(tx: Store, sealer: Sealer, mirror: Mirror) -> tuple[str, str]:
    if not mirror.credential:
        return "", ""
    row = await tx.credential(mirror.credential.removeprefix(CREDENTIAL), 0)
    if row is None or row.kind != mirrors.KIND:
        raise MirrorLoginMissing(credential=mirror.credential, mirror=mirror.host)
    fields = json.loads(sealer.open(row.value, row.place))
    return fields["username"], fields["password"]
