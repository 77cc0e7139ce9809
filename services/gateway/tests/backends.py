"""A small real daemon behind the gateway: Sovereigns in memory, over real gRPC and the real chassis."""

from collections.abc import AsyncIterator
from typing import Any

from catalyst.provisioner.v1 import events_pb2, resources_pb2, service_pb2, service_pb2_grpc
from catalyst_mesh import (
    SIGNED_IN,
    Bus,
    ChassisMetrics,
    Daemon,
    DaemonSettings,
    Database,
    Emitted,
    OperationService,
    PluginHost,
    Service,
    Transaction,
    Work,
    chassis_tables,
    rows,
)
from catalyst_sdk import Code, Refused
from google.longrunning import operations_pb2, operations_pb2_grpc
from google.protobuf import empty_pb2
from prometheus_client import CollectorRegistry
from pydantic_settings import SettingsConfigDict
from sqlalchemy import MetaData

metadata = MetaData()
chassis_tables(metadata)
SERVICE = "catalyst.provisioner.v1.SovereignService"
RUNS = "catalyst.provisioner.v1.RunService"
OPERATIONS = "google.longrunning.Operations"


class BackendSettings(DaemonSettings):
    model_config = SettingsConfigDict(env_prefix="CATALYST_PROVISIONER_")


class NoSovereign(Refused):
    code, reason, message = Code.NOT_FOUND, "SOVEREIGN_NOT_FOUND", "there is no {name}"


class EtagMismatch(Refused):
    code, reason, message = Code.ABORTED, "ETAG_MISMATCH", "{name} has changed since it was read"


class Sovereigns(service_pb2_grpc.SovereignServiceServicer):
    def __init__(self, work: Work[Transaction]) -> None:
        self._work = work
        self.known: dict[str, Any] = {}

    async def CreateSovereign(self, request: Any, context: Any) -> Any:
        made = resources_pb2.Sovereign()
        made.CopyFrom(request.sovereign)
        made.etag = '"1"'
        self.known[made.name] = made
        async with self._work.transaction() as tx:
            tx.emit(made)
        return made

    async def GetSovereign(self, request: Any, context: Any) -> Any:
        if request.name not in self.known:
            raise NoSovereign(name=request.name)
        return self.known[request.name]

    async def DeleteSovereign(self, request: Any, context: Any) -> Any:
        if request.etag != self.known[request.name].etag:
            raise EtagMismatch(name=request.name)
        del self.known[request.name]
        return empty_pb2.Empty()

    async def ListSovereigns(self, request: Any, context: Any) -> Any:
        return service_pb2.ListSovereignsResponse(sovereigns=list(self.known.values())[: request.page_size or 50])


class Runs(service_pb2_grpc.RunServiceServicer):
    async def WatchEvents(self, request: Any, context: Any) -> AsyncIterator[Any]:
        for seq in range(max(1, request.from_seq), 6):
            yield resources_pb2.RunEvent(seq=seq, code="step.started", message=f"event {seq}")
        yield resources_pb2.RunEvent(seq=0, code="done")

    def __init__(self) -> None:
        self.steps = {"a": resources_pb2.Step.STATE_SUCCEEDED, "b": resources_pb2.Step.STATE_FAILED}
        self.cancelled = False

    async def ListSteps(self, request: Any, context: Any) -> Any:
        steps = [resources_pb2.Step(name=f"{request.parent}/steps/{name}", state=s) for name, s in self.steps.items()]
        return service_pb2.ListStepsResponse(steps=steps)

    async def RetryStep(self, request: Any, context: Any) -> Any:
        name = request.name.rpartition("/")[2]
        self.steps[name] = resources_pb2.Step.STATE_PENDING
        return resources_pb2.Step(name=request.name)

    async def CancelRun(self, request: Any, context: Any) -> Any:
        self.cancelled = True
        return resources_pb2.Run(name=request.name)

    async def operation(self, name: str) -> Any:
        """The operation that the run is; any other is a look for drift."""
        made = operations_pb2.Operation(name=name, done=self.cancelled)
        made.metadata.Pack(
            resources_pb2.RunMetadata(run="sovereigns/acme/runs/run-1")
            if name.endswith("-run-1")
            else resources_pb2.DriftMetadata(sovereign="sovereigns/acme")
        )
        return made


def told(sovereign: Any) -> Any:
    owner = sovereign.spec.organization.slug
    return events_pb2.SovereignCreated(sovereign=sovereign.name, version=1, organization=owner)


async def compose(settings: BackendSettings) -> Daemon:
    db = await Database.open(settings.database_url, metadata=metadata)
    metrics = ChassisMetrics(CollectorRegistry())
    emitted = [Emitted("catalyst.v1.provisioner.sovereign.created", resources_pb2.Sovereign, told)]
    work = Work(db, Transaction, metadata=metadata, emitted=emitted)
    runs = Runs()
    return Daemon(
        "provisioner",
        settings,
        db,
        metadata,
        work,
        services=[
            Service(Sovereigns(work), service_pb2_grpc.add_SovereignServiceServicer_to_server, SERVICE),
            Service(runs, service_pb2_grpc.add_RunServiceServicer_to_server, RUNS),
            Service(OperationService(runs.operation), operations_pb2_grpc.add_OperationsServicer_to_server, OPERATIONS),
        ],
        access={
            **rows(
                SERVICE,
                CreateSovereign="sovereign-admin",
                DeleteSovereign="sovereign-admin",
                GetSovereign=SIGNED_IN,
                ListSovereigns=SIGNED_IN,
            ),
            **rows(RUNS, **dict.fromkeys(("WatchEvents", "ListSteps", "RetryStep", "CancelRun"), SIGNED_IN)),
            **rows(OPERATIONS, GetOperation=SIGNED_IN),
        },
        metrics=metrics,
        plugins=PluginHost(kinds=[], metrics=metrics),
        bus=Bus(settings.nats_url, "backend"),
    )
