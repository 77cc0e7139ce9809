"""What drills ask of a region's daemon is what its contract takes."""

from typing import Any

import protovalidate
from catalyst.continuum.v1 import resources_pb2, service_pb2
from catalyst_cli.drills.move import Daemon
from google.longrunning import operations_pb2

SLOT = "namespaces/demo/continuums/shop"


class Stub:
    """A daemon whose runs succeed at once."""

    def __init__(self) -> None:
        self.asked: list[service_pb2.StartRunRequest] = []

    async def StartRun(self, asked: service_pb2.StartRunRequest) -> operations_pb2.Operation:
        protovalidate.validate(asked)
        self.asked.append(asked)
        return operations_pb2.Operation(name="operations/continuum-run-abcdefghij")

    async def PlanRun(self, asked: service_pb2.PlanRunRequest) -> resources_pb2.PlanReport:
        protovalidate.validate(asked)
        return resources_pb2.PlanReport(epoch=4, plan_fingerprint="0" * 16)

    async def GetRun(self, asked: service_pb2.GetRunRequest) -> resources_pb2.Run:
        protovalidate.validate(asked)
        return resources_pb2.Run(name=asked.name, state=resources_pb2.Run.STATE_SUCCEEDED)


async def test_a_drill_on_a_copy_and_a_move_say_in_which_epoch_they_were_begun() -> None:
    stub: Any = Stub()
    daemon = Daemon(stub, SLOT)
    run = await daemon.rehearse("sb-west-rtz-dev", "a drill", epoch=3)
    assert run.name == f"{SLOT}/runs/abcdefghij"
    await daemon.move("sb-west-rtz-dev", "a move")
    assert [one.expected_epoch for one in stub.asked] == [3, 4]
