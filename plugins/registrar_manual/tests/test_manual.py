"""The registrar that is a person, against real name servers."""

import asyncio
import sys

import dns.rcode
import pytest
from catalyst_registrar_manual.parents import Parents
from catalyst_sdk import Permanent, Temporary
from catalyst_sdk.registrar import DsRecord, Glue, Registrar, Target, TaskState
from catalyst_testkit.registrar_suite import RegistrarSuite
from catalyst_testkit.servers import free_port

OLD = ("ns1.old.example.", "ns2.old.example.")
NEW = ("ns1.new.example.", "ns2.new.example.")
DIGEST = "ab" * 32
DS = DsRecord(4711, 13, 2, DIGEST)
TARGET = Target(NEW, (DS,))


class TestConformance(RegistrarSuite):
    """The suite that every registrar passes; the fixture `bench` has a person in it."""


async def begun(registrar: Registrar, target: Target = TARGET):
    present = await registrar.delegation(credential=None, domain="acme.test")
    return await registrar.apply(credential=None, domain="acme.test", target=target, expect=present.etag)


async def test_a_delegation_is_read_from_the_parents_servers_without_recursion(internet) -> None:
    internet.delegate(*OLD, ds=(f"4711 13 2 {DIGEST}",))
    found = await internet.registrar().delegation(credential=None, domain="ACME.test")
    assert (found.ns, found.ds, found.consistent) == (OLD, (DS,), True)
    assert not internet.one.recursion_wished
    assert not internet.root.recursion_wished


async def test_a_domain_without_delegation_has_no_servers_and_says_so_when_validated(internet) -> None:
    registrar = internet.registrar()
    assert (await registrar.delegation(credential=None, domain="acme.test")).ns == ()
    access = await registrar.validate(credential=None, domain="acme.test")
    assert (access.valid, access.can_read, [o.reason for o in access.obstacles]) == (True, True, ["NOT_DELEGATED"])


async def test_a_change_is_a_task_that_lists_what_a_person_enters(internet) -> None:
    internet.delegate(*OLD)
    target = Target((*NEW, "ns.acme.test."), (DS,), (Glue("ns.acme.test.", ("192.0.2.7", "2001:db8::7")),))
    task = await begun(internet.registrar(), target)
    assert task.state is TaskState.WAITING_FOR_PERSON
    assert [line.text for line in task.instructions] == [
        "acme.test. IN NS ns1.new.example.",
        "acme.test. IN NS ns2.new.example.",
        "acme.test. IN NS ns.acme.test.",
        f"acme.test. IN DS 4711 13 2 {DIGEST}",
        "ns.acme.test. IN A 192.0.2.7",
        "ns.acme.test. IN AAAA 2001:db8::7",
        "acme.test. IN NS ns1.old.example.",
        "acme.test. IN NS ns2.old.example.",
    ]
    assert [line.type for line in task.instructions[-2:]] == ["REMOVE_NS"] * 2


async def test_a_task_is_done_when_every_server_of_the_parent_shows_it_and_not_before(internet) -> None:
    internet.delegate(*OLD)
    registrar = internet.registrar()
    task = await begun(registrar)
    ds = (f"4711 13 2 {DIGEST}",)
    internet.delegate(*NEW, ds=ds, by=(internet.one,))
    half = await registrar.task(credential=None, id=task.id)
    assert (half.state, "don't agree yet" in half.message) == (TaskState.WAITING_FOR_PERSON, True)
    internet.delegate(*NEW, ds=ds)
    assert (await registrar.task(credential=None, id=task.id)).state is TaskState.DONE


async def test_a_task_without_the_wished_keys_is_not_done(internet) -> None:
    internet.delegate(*OLD)
    registrar = internet.registrar()
    task = await begun(registrar)
    internet.delegate(*NEW)
    assert (await registrar.task(credential=None, id=task.id)).state is TaskState.WAITING_FOR_PERSON


async def test_a_task_outlives_the_plugin_and_is_the_same_when_asked_for_twice(internet) -> None:
    internet.delegate(*OLD)
    task = await begun(internet.registrar())
    assert await begun(internet.registrar()) == task
    assert await internet.registrar().task(credential=None, id=task.id) == task


async def test_a_target_that_is_there_already_is_done_at_once_whatever_was_expected(internet) -> None:
    internet.delegate(*NEW, ds=(f"4711 13 2 {DIGEST}",))
    task = await internet.registrar().apply(credential=None, domain="acme.test", target=TARGET, expect="older")
    assert (task.state, task.instructions) == (TaskState.DONE, ())


async def test_a_delegation_that_changed_meanwhile_is_a_conflict(internet) -> None:
    internet.delegate(*OLD)
    with pytest.raises(Permanent) as refused:
        await internet.registrar().apply(credential=None, domain="acme.test", target=TARGET, expect="older")
    assert refused.value.reason == "CONFLICT"


async def test_glue_is_read_from_the_referral_and_compared(internet) -> None:
    internet.delegate("ns.acme.test.", "ns1.new.example.")
    internet.one.glue = internet.two.glue = {"ns.acme.test.": ("192.0.2.7",), "else.example.": ("192.0.2.9",)}
    registrar = internet.registrar()
    found = await registrar.delegation(credential=None, domain="acme.test")
    assert found.glue == (Glue("ns.acme.test.", ("192.0.2.7",)),)
    target = Target(found.ns, (), (Glue("ns.acme.test.", ("192.0.2.8",)),))
    assert (await begun(registrar, target)).state is TaskState.WAITING_FOR_PERSON


async def test_a_silent_or_refusing_parent_is_temporary_and_never_taken_for_no_delegation(internet) -> None:
    internet.delegate(*OLD)
    internet.two.silent = True
    registrar = internet.registrar()
    with pytest.raises(Temporary):
        await registrar.delegation(credential=None, domain="acme.test")
    access = await registrar.validate(credential=None, domain="acme.test")
    assert (access.can_read, [o.reason for o in access.obstacles]) == (False, ["REGISTRAR_UNAVAILABLE"])
    internet.two.silent, internet.two.rcode = False, dns.rcode.SERVFAIL
    with pytest.raises(Temporary) as failure:
        await registrar.delegation(credential=None, domain="acme.test")
    assert failure.value.provider_code == "SERVFAIL"


@pytest.mark.parametrize("id", ["", "../x", "0" * 32, "a/b"])
async def test_an_unknown_task_is_refused(internet, id) -> None:
    with pytest.raises(Permanent) as refused:
        await internet.registrar().task(credential=None, id=id)
    assert refused.value.reason == "TASK_NOT_FOUND"


async def test_bad_input_is_refused_before_anybody_is_asked(internet) -> None:
    internet.root.silent = True
    registrar = internet.registrar()
    for ns, reason in ((("192.0.2.1.", NEW[0]), "NAMESERVER_REJECTED"), (("ns.acme.test.", NEW[0]), "GLUE_REQUIRED")):
        with pytest.raises(Permanent) as refused:
            await registrar.apply(credential=None, domain="acme.test", target=Target(ns), expect="")
        assert refused.value.reason == reason
    with pytest.raises(Permanent):
        await registrar.delegation(credential=None, domain="a/../b")


async def test_it_needs_no_credential_and_takes_up_to_two_days(internet) -> None:
    info = await internet.registrar().info()
    assert (info.name, info.credential_schema, info.delay_max.total_seconds()) == ("manual", {}, 172800)
    assert info.capabilities == {"set_ns", "set_ds", "glue", "async_tasks"}


async def test_it_reads_the_embedded_tree_by_its_hints_as_soon_as_they_are_there(tmp_path) -> None:
    parents = Parents(tmp_path / "hints.json", 2)
    with pytest.raises(Temporary, match="hints"):
        await parents.delegation("omani.works.")
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "catalyst_dns_embedded", "serve", "--data", str(tmp_path), "--listen",
        f"127.0.0.1:{free_port()}", "--control", f"127.0.0.1:{free_port()}", "--tree", "omani.works",
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert server.stdout
        assert b"serving" in await server.stdout.readline()
        found = await parents.delegation("omani.works.")
        assert (found.ns, len(found.ds), found.consistent) == (("ns1.omani.works.",), 1, True)
        assert (await parents.delegation("nothing.works.")).ns == ()
    finally:
        server.kill()
        await server.wait()
