"""A wish whose fence budget is below what the fencers at hand take at worst is refused by the daemon of the region."""

from pathlib import Path

import grpc.aio
import pytest
from catalyst.continuum.v1.resources_pb2 import Continuum
from catalyst.continuum.v1.service_pb2 import CreateContinuumRequest, UpdateContinuumRequest
from catalyst.continuum.v1.service_pb2_grpc import ContinuumServiceStub
from catalyst_continuum.app import compose
from catalyst_continuum.rpc import specs
from catalyst_continuum.settings import ContinuumSettings
from catalyst_mesh.errors import explain
from catalyst_testkit.daemons import running
from catalyst_testkit.servers import NatsServer
from google.protobuf.field_mask_pb2 import FieldMask

from .manifests import EAST, WEST, having, on_own_cells, stateless
from .test_daemon import Cells, cells  # noqa: F401 - a fixture


def wished(budget: float) -> Continuum:
    document = having(on_own_cells(stateless()), leaseClient__config__fenceBudgetSeconds=budget)
    return Continuum(spec=specs.message(document))


async def test_a_budget_below_the_slowest_fencer_is_refused_with_one_that_would_do(
    home: Path, clean_nats: NatsServer, cells: Cells  # noqa: F811
) -> None:  # fmt: skip
    token = home / "gates.token"
    token.write_text("t")
    async with running(
        compose, ContinuumSettings, home, nats_url=clean_nats.url, cells=cells.setting, tsig_key_file=cells.key,
        region=EAST, gates=f"{EAST}=127.0.0.1:9", gate_token_file=token,
        plugins={"database_promoter:stateless": {"here": EAST, "regions": {EAST: {}, WEST: {}}}},
    ) as daemon:  # fmt: skip
        stub = daemon.member(ContinuumServiceStub, "demo")
        create = CreateContinuumRequest(parent="namespaces/demo", continuum_id="shop", continuum=wished(1))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.CreateContinuum(create)
        said = explain(refused.value)
        (violation,) = said.violations
        assert (said.reason, violation.field.rpartition(".")[2]) == ("SPEC_INVALID", "fence_budget")
        assert "1 s are less than the 2 s that the fencers declare" in violation.description
        create.continuum.CopyFrom(wished(2))
        made = await stub.CreateContinuum(create)
        made.spec.lease_client.config.CopyFrom(wished(1).spec.lease_client.config)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.UpdateContinuum(
                UpdateContinuumRequest(
                    continuum=made, etag=made.etag, update_mask=FieldMask(paths=["spec.lease_client"])
                )
            )
        assert "declare at worst" in explain(refused.value).violations[0].description
