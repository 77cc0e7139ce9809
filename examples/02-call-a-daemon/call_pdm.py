"""Hold a name with the pool-domain manager of a running `catalyst dev`, and give it back."""

import asyncio
import json
import sys
from pathlib import Path

from catalyst.pooldomain.v1.service_pb2 import CheckNameRequest, ReleaseAllocationRequest, ReserveAllocationRequest
from catalyst.pooldomain.v1.service_pb2_grpc import AllocationServiceStub
from catalyst_mesh import CallFailed, Mesh

POOL = "pools/omani.works"


async def main(folder: Path, label: str) -> None:
    dev = json.loads((folder / "dev.json").read_text())
    async with Mesh(dev["grpc"]["pdm"], token=Path(dev["token_file"]), deadline=5) as mesh:
        names = mesh.stub(AllocationServiceStub)

        seen = await names.CheckName(CheckNameRequest(parent=POOL, label=label))
        print(f"{seen.fqdn or label}: {'free' if seen.available else seen.reason}")

        wish = ReserveAllocationRequest(parent=POOL, label=label, owner="organizations/acme")
        held = await names.ReserveAllocation(wish)
        print(f"held: {held.allocation.name}")

        wish.owner = "organizations/globex"
        try:
            await names.ReserveAllocation(wish)
        except CallFailed as error:
            if error.reason != "NAME_TAKEN":
                raise
            print(f"refused: {error.reason}, {error.metadata['name']}")

        give_back = ReleaseAllocationRequest(name=held.allocation.name, reason="the example is over")
        await names.ReleaseAllocation(give_back)
        async with asyncio.timeout(10):
            while not (await names.CheckName(CheckNameRequest(parent=POOL, label=label))).available:
                await asyncio.sleep(0.2)
        print("free again")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
