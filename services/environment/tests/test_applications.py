"""Applications from the outside, over a real catalog: installed into Git, changed, taken back, taken away."""

from typing import Any

import pytest
from catalyst.environment.v1 import resources_pb2 as pb
from catalyst.environment.v1 import service_pb2 as rpc
from catalyst.environment.v1 import service_pb2_grpc as stubs
from catalyst_environment.domain import trees
from catalyst_mesh import CallFailed
from catalyst_testkit import eventually
from catalyst_testkit.daemons import reason_of
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct

from services.catalog.tests.asking import sync
from services.catalog.tests.makers import needs, write

from .house import A_MOMENT, conditions, metadata_of
from .shop import ENV, MULTI, Apps, Shop, State


async def test_an_installation_stands_in_git_and_ends_when_somebody_has_seen_it_healthy(shop: Shop) -> None:
    begun = await shop.install("blog")
    assert (begun.state, begun.uses) == (State.STATE_INSTALLING, ["blog-database"])
    one = await shop.settled(begun)
    assert one.state == State.STATE_INSTALLING, "files are no running Application"
    assert conditions(one) == {
        "Committed": "TRUE Written",
        "Delivered": "FALSE NotAvailable",
        "Healthy": "UNKNOWN NotObserved",
    }  # fmt: skip - one table
    files = shop.files("blog")
    assert trees.pin_of(files) == ("blueprints/bp-blog", "1.0.0", one.pin.digest)
    assert {"CODEOWNERS", "release.yaml", "values.yaml", "overlays/dev/values.yaml"} <= files.keys()
    for branch in ("develop", "staging"):
        assert trees.pin_of(shop.files("blog", branch)) is None
    database = await shop.get("blog-database")
    assert (database.backing, database.used_by) == (True, ["blog"])
    assert (await shop.seen(one, commit="0" * 40)).state == State.STATE_INSTALLING
    active = await shop.seen(one)
    assert active.state == State.STATE_ACTIVE
    assert active.HasField("active_time")
    told = await shop.house.told()
    assert (told.count("application.requested"), told.count("application.installed")) == (2, 1)
    stub: Any = shop.house.daemon.member(Apps, "acme", "org-admin")
    report = rpc.ReportApplicationRequest(name=one.name, commit=one.pin.commit, healthy=True)
    assert await reason_of(stub.ReportApplication(report)) == "CALL_DENIED", "nobody says so but who sees clusters"


@pytest.mark.either_database
async def test_two_share_a_database_and_the_last_one_takes_it_along(shop: Shop) -> None:
    await shop.settled(shop.install("blog"))
    await shop.settled(shop.install("wiki", choices={"database": "reuse:blog-database"}))
    database = await shop.get("blog-database")
    assert database.used_by == ["blog", "wiki"]
    leave = rpc.DeleteApplicationRequest(name=database.name, etag=database.etag)
    assert await reason_of(shop.dev.DeleteApplication(leave)) == "HAS_DEPENDENTS"
    preview = await shop.dev.PreviewUninstall(rpc.PreviewUninstallRequest(name=f"{ENV}/applications/blog"))
    assert (list(preview.purged), list(preview.retained)) == ([], ["blog-database"])
    for id, left in (("blog", ["blog-database", "wiki"]), ("wiki", [])):
        one = await shop.get(id)
        await shop.settled(shop.dev.DeleteApplication(rpc.DeleteApplicationRequest(name=one.name, etag=one.etag)))
        listed = await shop.dev.ListApplications(rpc.ListApplicationsRequest(parent=ENV))
        assert [a.name.rpartition("/")[2] for a in listed.applications] == left
    assert not list((shop.house.git / "acme").glob("blog*"))
    assert (await shop.house.told()).count("application.removed") == 3


@pytest.mark.either_database
async def test_an_upgrade_keeps_the_pin_before_and_a_rollback_writes_it_again(shop: Shop) -> None:
    first = await shop.settled(shop.install("blog"))
    up = rpc.UpgradeApplicationRequest(name=first.name, blueprint_version="2.0.0")
    assert await reason_of(shop.dev.UpgradeApplication(up)) == "UPGRADE_NOT_ADVISED"
    write(
        shop.house.home / "catalog" / "blueprints",
        "bp-blog",
        version="2.0.0",
        depends=needs(database="^1"),
        upgrades={"from": ["^1"]},
        **MULTI,
    )  # fmt: skip - one call
    await sync(shop.catalog)
    second = await shop.settled(shop.dev.UpgradeApplication(up))
    assert (second.state, second.pin.version, second.previous.version) == (State.STATE_UPDATING, "2.0.0", "1.0.0")
    assert trees.pin_of(shop.files("blog")) == ("blueprints/bp-blog", "2.0.0", second.pin.digest)
    assert (await shop.seen(second)).state == State.STATE_ACTIVE
    back = await shop.settled(shop.dev.RollbackApplication(rpc.RollbackApplicationRequest(name=first.name)))
    assert trees.pin_of(shop.files("blog")) == ("blueprints/bp-blog", "1.0.0", first.pin.digest)
    head = shop.repositories.head("acme", "blog", "main")
    assert head is not None
    assert head.parents == (second.pin.commit,), "a rollback is a commit, never a branch moved back"
    paused = await shop.settled(shop.dev.PauseApplication(rpc.PauseApplicationRequest(name=back.name)))
    assert paused.state == State.STATE_PAUSED
    assert b"paused" in shop.files("blog")["kustomization.yaml"]


@pytest.mark.either_database
async def test_what_cannot_be_installed_is_refused_with_the_reason_of_whoever_knows(shop: Shop) -> None:
    secret = ParseDict({"password": "hunter2"}, Struct())
    assert await reason_of(shop.install("blog", config=secret)) == "SECRET_IN_CONFIG"
    assert await reason_of(shop.install("blog", version="9.9.9")) in ("NO_MATCH", "VERSION_NOT_FOUND", "UNSATISFIABLE")
    assert await reason_of(shop.install("nothing")) == "BLUEPRINT_NOT_FOUND"
    assert await reason_of(shop.install("blog", choices={"database": "reuse:other"})) == "CHOICE_UNAVAILABLE"
    stale = rpc.CreateApplicationRequest(
        parent=ENV,
        application_id="blog",
        plan_digest="0" * 64,
        application=pb.Application(blueprint="blueprints/bp-blog", blueprint_version="1.0.0"),
    )  # fmt: skip - one request
    assert await reason_of(shop.dev.CreateApplication(stale)) == "PLAN_STALE"
    foreign = rpc.CreateApplicationRequest(
        parent=ENV,
        application_id="x",
        application=pb.Application(blueprint="organizations/other/blueprints/bp-own", blueprint_version="1.0.0"),
    )  # fmt: skip - one request
    assert await reason_of(shop.dev.CreateApplication(foreign)) == "BLUEPRINT_FOREIGN"
    await shop.settled(shop.install("blog"))
    assert await reason_of(shop.install("blog")) == "APPLICATION_EXISTS"
    viewer: Any = shop.house.daemon.member(Apps, "acme", "org-viewer")
    assert await reason_of(viewer.CreateApplication(stale)) == "CALL_DENIED"
    admin: Any = shop.house.daemon.admin(stubs.OrganizationServiceStub)
    await admin.SuspendOrganization(rpc.SuspendOrganizationRequest(name="organizations/acme", reason="unpaid"))
    assert await reason_of(shop.install("wiki")) == "ORGANIZATION_INACTIVE"


@pytest.mark.either_database
async def test_an_environment_that_holds_something_is_not_removed_and_goes_with_its_organization(shop: Shop) -> None:
    await shop.settled(shop.install("blog"))
    envs: Any = shop.house.daemon.member(stubs.EnvironmentServiceStub, "acme")
    held = await envs.GetEnvironment(rpc.GetEnvironmentRequest(name=ENV))
    gone = rpc.DeleteEnvironmentRequest(name=ENV, etag=held.etag)
    assert await reason_of(envs.DeleteEnvironment(gone)) == "ENVIRONMENT_NOT_EMPTY"


@pytest.mark.either_database
async def test_a_step_that_fails_is_named_and_what_it_made_can_be_taken_back(shop: Shop) -> None:
    blocked = shop.house.git / "acme" / ".blog.git"
    blocked.parent.mkdir(parents=True, exist_ok=True)
    blocked.write_text("a file where the repository is made")
    begun = await shop.install("blog")
    operation = await shop.house.ended(begun.operation)
    assert operation.HasField("error")
    failed = await shop.get("blog")
    assert (failed.state, failed.reason) == (State.STATE_FAILED, "write.blog")
    assert {s.name: s.state for s in metadata_of(operation).steps}["write.blog-database"] == 4
    ops: Any = shop.house.daemon.member(stubs.OperationServiceStub, "acme")
    await ops.CancelOperation(rpc.CancelOperationRequest(name=begun.operation))
    blocked.unlink()

    async def gone() -> bool:
        shop.house.clock.advance(A_MOMENT)
        listed = await shop.dev.ListApplications(rpc.ListApplicationsRequest(parent=ENV))
        return not listed.applications

    await eventually(gone, within=60, what="everything was taken back")
    # What stood in Git is set aside after that.
    await eventually(lambda: not list((shop.house.git / "acme").glob("blog*")), within=60)

    async def begun_anew() -> pb.Application | None:
        try:
            return await shop.install("blog")
        except CallFailed as refused:  # the run that took it back ends a moment later
            if refused.reason != "RUN_IN_PROGRESS":
                raise
            return None

    await shop.settled(await eventually(begun_anew, within=60))
