"""Enrolment: once in the life of a server, over and over until it is answered.

The same token with the same key gets the same answer, so every try but the first is a repeat of it.
"""

import asyncio
import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from catalyst.provisioner.v1 import service_pb2, service_pb2_grpc

from . import VERSION, files, handover, identity, trust
from .identity import Identity

TRIES, PAUSE = 60, 10.0
"""Tries, and seconds between two of them at the most."""
LIMIT = 30.0
FINAL = {
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.UNIMPLEMENTED,
}
"""Answers that another try would only get again."""
LOOPBACK = ("127.0.0.1", "[::1]", "localhost")
"""Where the provisioner is asked without TLS: in development."""
DEFAULT_HEARTBEAT = 15.0


class NotEnrolled(Exception):
    """The sentence says why."""


@dataclass(frozen=True, slots=True)
class Born:
    """What the server was told at its birth."""

    endpoint: str
    cluster: str
    token: str = field(repr=False)
    ca_pin: str = ""


def born(path: Path) -> Born:
    """From the file that the first boot wrote. Raises NotEnrolled."""
    try:
        return Born(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise NotEnrolled(f"{path} does not tell where to enrol: {type(error).__name__}") from error


async def enrol(
    here: Born, folder: Path, *, server_id: str, addresses: Sequence[str], pause: float = PAUSE, tries: int = TRIES
) -> Identity:
    """Enrol, and write down what the first boot needs. Raises NotEnrolled."""
    request = service_pb2.EnrollRequest(
        token=here.token, csr_pem=identity.request_pem(folder), server_id=server_id, agent_version=VERSION,
        addresses=addresses,
    )  # fmt: skip
    if not here.ca_pin and here.endpoint.rpartition(":")[0] not in LOOPBACK:
        raise NotEnrolled(
            f"no authority is pinned, and {here.endpoint} is not on this machine: the token would go in clear"
        )
    why = ""
    for number in range(tries):
        if number:
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads tries, guards nothing
        try:
            authority = await asyncio.to_thread(trust.authority, here.endpoint, here.ca_pin) if here.ca_pin else ""
            async with channel(here.endpoint, authority) as line:
                answer = await service_pb2_grpc.AgentServiceStub(line).Enroll(request, timeout=LIMIT)
        except trust.NotTrusted as error:
            why = str(error)
        except OSError as error:
            why = f"{here.endpoint} cannot be reached: {error}"
        except grpc.aio.AioRpcError as error:
            why = f"{error.code().name}: {error.details()}"
            if error.code() in FINAL:
                break
        else:
            return _kept(folder, here, answer, server_id, authority)
        print(f"enrol: {why}", flush=True)  # noqa: T201 - the log of the first boot
    raise NotEnrolled(why)


def channel(endpoint: str, authority: str) -> grpc.aio.Channel:
    """To the provisioner; without an authority in clear, which is for loopback."""
    options = [("grpc.max_receive_message_length", 4 * 1024 * 1024), ("grpc.keepalive_time_ms", 30_000)]
    if not authority:
        return grpc.aio.insecure_channel(endpoint, options=options)
    return grpc.aio.secure_channel(endpoint, grpc.ssl_channel_credentials(authority.encode()), options=options)


def _kept(folder: Path, here: Born, answer: service_pb2.EnrollResponse, server_id: str, authority: str) -> Identity:
    for name, text in handover.written(answer, str(folder)).items():
        files.write(folder / name, text)
    made = Identity(
        endpoint=here.endpoint,
        cluster=answer.cluster,
        server=answer.server,
        server_id=server_id,
        role=handover.ROLES[answer.role],
        agent_token=answer.agent_token,
        authority_pem=authority,
        renew_at=two_thirds(answer.expire_time.seconds),
        heartbeat_seconds=answer.heartbeat_interval.ToTimedelta().total_seconds() or DEFAULT_HEARTBEAT,
    )
    # Last: whoever finds it finds the rest too.
    identity.save(folder, made)
    return made


def two_thirds(ends: float) -> float:
    """When to renew what is valid from now to `ends`."""
    now = time.time()
    return now + (ends - now) * 2 / 3
