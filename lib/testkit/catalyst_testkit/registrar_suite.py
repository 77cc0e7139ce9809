"""Conformance of registrars. An author subclasses one of the two suites and provides one fixture, `bench`.

class TestMine(RegistrarApiSuite):
    @pytest.fixture
    async def bench(self) -> AsyncIterator[RegistrarApiBench]: ...

`RegistrarSuite` is the contract, for every registrar; `RegistrarApiSuite` adds what holds where there is an API with
credentials: each fault of the line, and that no secret comes out. What a registrar cannot do is skipped by what it
declares, and must then be refused.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, replace

import pytest
from catalyst_sdk import Permanent, Temporary
from catalyst_sdk.registrar import (
    CAPABILITIES,
    Access,
    Delegation,
    Glue,
    RecordsHost,
    Registrar,
    Target,
    Task,
    TaskState,
)

from .registrar_bench import NEW, OLD, RegistrarApiBench, RegistrarBench, done_by
from .registrar_endings import (
    ONE_OF_FOUR,
    all_heard,
    asked_of,
    assert_useful,
    cut_off,
    reason,
    unsupported,
)
from .spoiling import Spoil
from .waiting import eventually

__all__ = ["RegistrarApiBench", "RegistrarApiSuite", "RegistrarBench", "RegistrarSuite"]

NO_DOMAINS = (
    "",
    "example",
    "a/../b.example",
    "a?x=1.example",
    "a b.example",
    "192.0.2.1",
    "a%2f.example",
    "-a.example",
)
NO_TASKS = ("", "x", "../x", "e30", "W10", "bm90IG91cnM")


class RegistrarSuite:
    """The tests that every registrar passes, ours or a stranger's."""

    @pytest.fixture
    async def able(self, bench: RegistrarBench) -> frozenset[str]:
        """What it declares, with the old name servers in place."""
        await done_by(bench.show(OLD))
        return (await bench.plugin.info()).capabilities

    async def test_it_declares_known_capabilities_and_says_how_long_changes_take(self, bench: RegistrarBench) -> None:
        about = await bench.plugin.info()
        assert about.capabilities <= CAPABILITIES
        assert about.display_name
        assert 1 <= about.min_ns <= about.max_ns <= 13
        assert about.delay_min <= about.delay_max

    async def test_a_delegation_is_read_in_order_and_stays_the_same(
        self, bench: RegistrarBench, able: frozenset[str]
    ) -> None:
        first, second = await bench.read(), await bench.read()
        assert set(first.ns) == set(OLD)
        assert first.etag == second.etag
        assert json.loads(json.dumps(asdict(first)))["ns"] == list(first.ns)

    async def test_what_it_may_do_is_what_it_declares(self, bench: RegistrarBench, able: frozenset[str]) -> None:
        access = await bench.plugin.validate(credential=bench.credential, domain=bench.domain)
        assert (access.valid, access.can_read) == (True, True)
        assert access.can_write_ns == bool({"set_ns", "subdomains"} & able)
        assert access.can_write_ds == bool({"set_ds", "subdomains"} & able)

    async def test_a_change_is_made_shown_and_then_there_is_nothing_more_to_do(
        self, bench: RegistrarBench, able: frozenset[str]
    ) -> None:
        task = await bench.done(Target(NEW))
        assert (task.state, set((await bench.read()).ns)) == (TaskState.DONE, set(NEW))
        before = bench.writes()
        again = await bench.apply(Target(NEW))
        assert (again.state, again.id, bench.writes()) == (TaskState.DONE, task.id, before)

    async def test_a_target_that_is_there_is_done_whatever_was_expected(
        self, bench: RegistrarBench, able: frozenset[str]
    ) -> None:
        before = bench.writes()
        task = await bench.apply(Target(OLD), expect="older")
        assert (task.state, bench.writes()) == (TaskState.DONE, before)

    async def test_a_delegation_that_changed_meanwhile_is_a_conflict_and_stays(
        self, bench: RegistrarBench, able: frozenset[str]
    ) -> None:
        read = await bench.read()
        await done_by(bench.show(("ns1.other.example.", "ns2.other.example.")))
        before = bench.writes()
        assert await reason(bench.apply(Target(NEW), expect=read.etag)) == "CONFLICT"
        assert bench.writes() == before

    async def test_name_servers_are_put_in_order_before_they_are_sent(
        self, bench: RegistrarBench, able: frozenset[str]
    ) -> None:
        task = await bench.done(Target((" NS1.New.example", "", "ns2.new.example.", "ns1.new.example")))
        assert task.state is TaskState.DONE
        assert set((await bench.read()).ns) == set(NEW)

    async def test_as_many_name_servers_as_it_takes_are_taken_and_no_more(
        self, bench: RegistrarBench, able: frozenset[str]
    ) -> None:
        most = (await bench.plugin.info()).max_ns
        many = tuple(f"ns{n}.many.example." for n in range(most + 1))
        assert (await bench.done(Target(many[:most]))).state is TaskState.DONE
        assert await reason(bench.apply(Target(many))) == "NAMESERVER_REJECTED"

    async def test_what_is_no_set_of_name_servers_is_refused_and_nothing_done(
        self, bench: RegistrarBench, able: frozenset[str]
    ) -> None:
        before = bench.writes()
        for ns in ((), NEW[:1], ("192.0.2.1", *NEW), ("a..b", *NEW), ("a/b.example.", *NEW)):
            assert await reason(bench.apply(Target(ns))) == "NAMESERVER_REJECTED", ns
        assert bench.writes() == before

    async def test_a_server_within_the_domain_needs_an_address(
        self, bench: RegistrarBench, able: frozenset[str]
    ) -> None:
        assert await reason(bench.apply(Target((f"ns.{bench.domain}.", NEW[0])))) == "GLUE_REQUIRED"

    async def test_what_is_no_domain_is_refused_and_not_sent(self, bench: RegistrarBench, able: frozenset[str]) -> None:
        plugin, asked = bench.plugin, asked_of(bench)
        for domain in NO_DOMAINS:
            with pytest.raises(Permanent):
                await plugin.delegation(credential=bench.credential, domain=domain)
            with pytest.raises(Permanent):
                await plugin.apply(credential=bench.credential, domain=domain, target=Target(NEW), expect="")
        assert asked_of(bench) == asked

    async def test_a_task_that_nobody_began_is_not_found(self, bench: RegistrarBench) -> None:
        for id in NO_TASKS:
            assert await reason(bench.plugin.task(credential=bench.credential, id=id)) == "TASK_NOT_FOUND", id

    async def test_a_task_outlives_the_plugin(self, bench: RegistrarBench, able: frozenset[str]) -> None:
        task = await bench.apply(Target(NEW))
        assert (await bench.plugin.task(credential=bench.credential, id=task.id)).id == task.id
        assert json.loads(json.dumps(asdict(task)))["id"] == task.id

    async def test_keys_come_and_go_where_it_sets_them_and_are_refused_where_it_does_not(
        self, bench: RegistrarBench, able: frozenset[str]
    ) -> None:
        ds, keys = bench.ds
        target = Target(OLD, ds, keys=keys)
        if not {"set_ds", "subdomains"} & able:
            before = bench.writes()
            assert await unsupported(bench.apply(target)) == "set_ds"
            assert bench.writes() == before
            return
        assert (await bench.done(target)).state is TaskState.DONE
        assert (await bench.read()).ds == ds
        assert (await bench.done(Target(OLD))).state is TaskState.DONE
        assert (await bench.read()).ds == ()

    async def test_addresses_are_set_and_changed_where_it_has_glue_and_refused_where_not(
        self, bench: RegistrarBench, able: frozenset[str]
    ) -> None:
        host = f"ns.{bench.domain}."
        target = Target((host, NEW[0]), glue=(Glue(host, ("192.0.2.7",)),))
        if "glue" not in able:
            assert await unsupported(bench.apply(target)) == "glue"
            return
        assert (await bench.done(target)).state is TaskState.DONE
        assert (await bench.read()).glue == target.glue
        moved = replace(target, glue=(Glue(host, ("192.0.2.8",)),))
        assert (await bench.done(moved)).state is TaskState.DONE
        assert (await bench.read()).glue == moved.glue

    async def test_records_are_told_by_who_declares_them_and_only_of_what_its_own_servers_have(
        self, bench: RegistrarBench, able: frozenset[str]
    ) -> None:
        plugin = bench.plugin
        if "host_records" not in able:
            pytest.skip("the registrar tells no records")
        assert isinstance(plugin, RecordsHost)
        asked = plugin.host_records(credential=bench.credential, domain=bench.domain)
        assert await reason(asked) == "ZONE_NOT_HOSTED"

    @pytest.mark.parametrize("steps", [1, 4, 8, 16, 32])
    async def test_a_host_that_dies_in_any_call_finds_its_way_when_it_is_back(
        self, bench: RegistrarBench, able: frozenset[str], steps: int
    ) -> None:
        await cut_off(bench.apply(Target(NEW)), steps)

        async def converged() -> bool:
            with suppress(Temporary, Permanent):  # what was cut off may still be at work
                return (await bench.done(Target(NEW))).state is TaskState.DONE
            return False

        await eventually(converged, within=60)  # type: ignore[arg-type]  # mypy takes T | Awaitable[T] for Never
        assert set((await bench.read()).ns) == set(NEW)


class RegistrarApiSuite(RegistrarSuite):
    """The tests that every registrar with an API passes besides."""

    async def test_a_domain_of_somebody_else_is_told_from_one_of_ours(self, bench: RegistrarApiBench) -> None:
        plugin = bench.plugin
        found = plugin.delegation(credential=bench.credential, domain=bench.strange)
        assert await reason(found) == "DOMAIN_NOT_IN_ACCOUNT"
        access = await plugin.validate(credential=bench.credential, domain=bench.strange)
        assert (access.valid, access.can_read, access.can_write_ns) == (True, False, False)
        assert [one.reason for one in access.obstacles] == ["DOMAIN_NOT_IN_ACCOUNT"]

    async def test_a_credential_that_is_not_taken_is_an_answer_to_validate_and_an_error_elsewhere(
        self, bench: RegistrarApiBench
    ) -> None:
        plugin = bench.plugin
        access = await plugin.validate(credential=bench.rejected, domain=bench.domain)
        assert (access.valid, access.can_read, access.can_write_ns) == (False, False, False)
        assert [one.reason for one in access.obstacles] == ["CREDENTIALS_REJECTED"]
        assert access.obstacles[0].user_action
        refused = plugin.delegation(credential=bench.rejected, domain=bench.domain)
        assert await reason(refused) == "CREDENTIALS_REJECTED"

    async def test_a_credential_without_its_fields_is_refused_by_name_before_anybody_is_asked(
        self, bench: RegistrarApiBench
    ) -> None:
        before = bench.asked()
        with pytest.raises(Permanent) as refused:
            await bench.plugin.delegation(credential=bench.broken, domain=bench.domain)
        assert (refused.value.reason, bench.asked()) == ("CREDENTIALS_REJECTED", before)
        assert refused.value.metadata["fields"]
        with pytest.raises(Permanent):
            await bench.plugin.delegation(credential=None, domain=bench.domain)

    async def test_a_locked_domain_is_named_as_such_and_not_changed(
        self, bench: RegistrarApiBench, able: frozenset[str]
    ) -> None:
        if bench.lock is None:
            pytest.skip("the registrar shows no locks")
        await done_by(bench.lock())
        before, told = bench.writes(), "a locked domain; where the registrar shows no locks, its bench says lock=None"
        assert await reason(bench.apply(Target(NEW))) == "DOMAIN_LOCKED", told
        assert bench.writes() == before

    @pytest.mark.parametrize("operation", ["delegation", "validate", "apply"])
    async def test_each_fault_becomes_one_error_and_the_same_call_mends_it_later(
        self, bench: RegistrarApiBench, able: frozenset[str], operation: str
    ) -> None:
        etag = (await bench.read()).etag
        for how in Spoil:
            bench.proxy.spoil("", how)
            spoiled, patient = bench.make(bench.proxy.port), bench.plugin
            calls: dict[str, Callable[[Registrar], Awaitable[Delegation | Access | Task]]] = {
                "delegation": bench.read,
                "validate": lambda one: one.validate(credential=bench.credential, domain=bench.domain),
                "apply": lambda one: bench.apply(Target(NEW), expect=etag, plugin=one),
            }
            try:
                answer = await calls[operation](spoiled)
            except ONE_OF_FOUR as failure:
                assert_useful(failure, how, reads=operation != "apply")
            else:  # a credential that the registrar refuses is an answer to `validate`
                assert isinstance(answer, Access), how
                assert [one.reason for one in answer.obstacles] == ["CREDENTIALS_REJECTED"], how
                assert how is Spoil.STRANGER
            bench.proxy.heal()
            await done_by(bench.finish())
            assert await calls[operation](patient), how
            await done_by(bench.finish())
            await done_by(bench.show(OLD))

    @pytest.mark.parametrize("how", [Spoil.LOST, Spoil.SILENT, Spoil.TORN, Spoil.REFUSED, Spoil.AWAY])
    async def test_a_write_whose_answer_was_lost_is_made_once_until_somebody_has_read(
        self, bench: RegistrarApiBench, able: frozenset[str], how: Spoil
    ) -> None:
        plugin = bench.make(bench.proxy.port)
        bench.proxy.spoil(bench.write, how)
        with pytest.raises(Temporary) as lost:
            await bench.apply(Target(NEW), plugin=plugin)
            met = any(line.startswith(bench.write) for line in bench.proxy.seen)
            assert met, (
                f"no request began with {bench.write!r}, the bench's `write`, but these came: {bench.proxy.seen}"
            )
        told = (
            "a lost write may have happened: its outcome is unknown. Was it a read that was spoilt? "
            "The bench's `write` says how a request begins that changes something, `METHOD path`"
        )
        assert lost.value.metadata.get("outcome") == "unknown", told
        assert sum(line.startswith(bench.write) for line in bench.proxy.seen) == 1
        bench.proxy.heal()

        async def converged() -> bool:
            await done_by(bench.finish())
            with suppress(Temporary):
                return (await bench.apply(Target(NEW))).state is TaskState.DONE
            return False

        await eventually(converged, within=60)  # type: ignore[arg-type]  # mypy takes T | Awaitable[T] for Never
        assert set((await bench.read()).ns) == set(NEW)

    async def test_of_two_who_change_at_once_one_does_and_the_other_hears_of_it(
        self, bench: RegistrarApiBench, able: frozenset[str]
    ) -> None:
        plugin, etag = bench.plugin, (await bench.read()).etag
        others = ("ns1.other.example.", "ns2.other.example.")
        wishes = (Target(NEW), Target(others))
        both = await asyncio.gather(
            *(bench.apply(wish, expect=etag, plugin=plugin) for wish in wishes), return_exceptions=True
        )
        lost = [one for one in both if isinstance(one, Permanent)]
        assert [one.reason for one in lost] == ["CONFLICT"]
        await done_by(bench.finish())
        winner = wishes[[isinstance(one, Task) for one in both].index(True)]
        assert set((await bench.read()).ns) == set(winner.ns)

    async def test_no_secret_is_in_what_leaves_whatever_happens(
        self, bench: RegistrarApiBench, able: frozenset[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        etag, told = (await bench.read()).etag, []
        for how in (None, *Spoil):
            if how is None:
                bench.proxy.heal()
            else:
                bench.proxy.spoil("", how)
            told += await all_heard(bench, etag)
        bench.proxy.heal()
        await done_by(bench.parrot())
        told += await all_heard(bench, etag)
        told += [line.getMessage() + repr(line.args) for line in caplog.records]
        assert any(len(text) > 10 for text in told)
        assert [(secret[:3], text) for secret in bench.secrets for text in told if secret in text] == []
