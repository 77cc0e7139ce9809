"""The plugin host: bad plugins are listed with their reason and stop nothing; only the four errors pass."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from importlib.metadata import EntryPoint
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from catalyst_mesh import ChassisMetrics, PluginHost, PluginUnavailable
from catalyst_mesh.plugins import Guarded, PluginBug, SecretFiles, plugin_context
from catalyst_mesh.plugins.rates import Bucket
from catalyst_mesh.reports import to_plugin
from catalyst_sdk import NotSupported, Permanent, PluginFailure, RateLimited, SecretRef, Temporary
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

MANIFEST = 'kind = "registrar"\nname = "{name}"\nsdk = ">=1,<2"\n'
CODE = """
    from catalyst_sdk import hookimpl

    class Registrar:
        def __init__(self, context):
            self.context = context

        async def greet(self, *, whom):
            return f"{whom} from {self.context.config.get('region', 'here')}"

    @hookimpl
    def catalyst_plugin(context):
        return Registrar(context)
"""
CANARY = "canary-c0ffee"


class Shelf:
    """Distributions of strangers, and a host that finds them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.entries: list[EntryPoint] = []
        self.host = PluginHost(kinds=["registrar"], metrics=ChassisMetrics(CollectorRegistry()))

    def put(self, name: str, code: str = CODE, manifest: str = MANIFEST, entry: str = "") -> None:
        package = self.folder / f"shelf_{entry or name}"
        package.mkdir()
        (package / "__init__.py").touch()
        (package / "plugin.py").write_text(dedent(code))
        (package / "manifest.toml").write_text(manifest.replace("{name}", name))
        self.entries.append(EntryPoint(entry or name, f"{package.name}.plugin", "catalyst.plugins"))

    def load(self, **config: dict[str, Any]) -> PluginHost:
        named = {f"registrar:{name}": values for name, values in config.items()}
        self.host.load(plugin_context(self.folder), named, self.entries)
        return self.host

    def failure(self, entry: str) -> str:
        return next(p.failure for p in self.host.plugins if p.entry == entry)


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shelf]:
    monkeypatch.syspath_prepend(tmp_path)
    yield Shelf(tmp_path)
    for name in [module for module in sys.modules if module.startswith("shelf_")]:
        del sys.modules[name]


async def test_a_good_plugin_is_found_configured_and_called(shelf: Shelf) -> None:
    shelf.put("acme", manifest=MANIFEST + "[config.properties.region]\nenum = ['eu', 'us']\n")
    host = shelf.load(acme={"region": "eu"})
    assert host.names("registrar") == ["acme"]
    assert await host.get("registrar", "acme").greet(whom="ada") == "ada from eu"
    assert (shelf.folder / "plugins" / "registrar-acme").stat().st_mode & 0o077 == 0


RETURN = "return Registrar(context)"
BAD: dict[str, tuple[str, str, str]] = {
    "raises": ("raise ValueError('no licence')", MANIFEST, "it failed to load: ValueError: no licence"),
    "exits": ("import sys; sys.exit('bye')", MANIFEST, "it failed to load: SystemExit: bye"),
    "syntax": ("def (", MANIFEST, "it failed to load: SyntaxError"),
    "imports": ("import no_such_module", MANIFEST, "it failed to load: ModuleNotFoundError"),
    "no_hook": ("x = 1", MANIFEST, "implements no hook `catalyst_plugin`"),
    "answers_none": (CODE.replace(RETURN, "return None"), MANIFEST, "implements no hook"),
    "hook_raises": (CODE.replace(RETURN, "raise RuntimeError('x')"), MANIFEST, "RuntimeError: x"),
    "misspelt": (CODE.replace("def catalyst_plugin", "def catalyst_plugn"), MANIFEST, "catalyst_plugn"),
    "argument": (CODE.replace("def catalyst_plugin(context)", "def catalyst_plugin(kontext)"), MANIFEST, "kontext"),
    "too_new": (CODE, MANIFEST.replace(">=1,<2", ">=2"), "speaks contract versions >=2, this host speaks 1"),
    "no_toml": (CODE, "kind =", "manifest.toml: "),
    "bad_kind": (CODE, MANIFEST.replace("registrar", "toaster"), "kind: 'toaster' is none of"),
    "limits": (CODE, MANIFEST + "[limits]\nconcurrency = 0\n", "limits.concurrency: 0"),
    "table": (CODE, MANIFEST + "config = 1\n", "config: a table is expected"),
    "schema": (CODE, MANIFEST + "[config]\ntype = 'strng'\n", "the schema of its configuration is wrong"),
    "needs": (
        CODE,
        MANIFEST + "[config]\nrequired = ['url']\n",
        "it is not configured; it needs url",
    ),
}


@pytest.mark.parametrize("bad", BAD)
async def test_a_bad_plugin_is_listed_with_its_reason_and_stops_nothing(shelf: Shelf, bad: str) -> None:
    code, manifest, reason = BAD[bad]
    shelf.put("before")
    shelf.put(bad, code, manifest)
    shelf.put("later")
    host = shelf.load()
    assert reason in shelf.failure(bad)
    assert host.names("registrar") == ["before", "later"]
    assert await host.get("registrar", "later").greet(whom="ada") == "ada from here"
    host.observe("catalyst.v1.billing.order.paid", None)
    with pytest.raises(PluginUnavailable):
        host.get("registrar", bad)


async def test_a_plugin_that_hangs_while_it_is_imported_is_listed_and_holds_up_nobody(shelf: Shelf) -> None:
    shelf.host = PluginHost(kinds=["registrar"], metrics=ChassisMetrics(CollectorRegistry()), patience=0.5)
    shelf.put("hangs", "import threading; threading.Event().wait()")
    shelf.put("later", "import shelf_hangs\n" + dedent(CODE))
    host = shelf.load()
    assert shelf.failure("hangs") == "it failed to load: ImportHangs: its import did not end within 0.5 s"
    assert await host.get("registrar", "later").greet(whom="ada") == "ada from here"


async def test_a_plugin_whose_hook_hangs_is_listed_and_holds_up_nobody(shelf: Shelf) -> None:
    shelf.host = PluginHost(kinds=["registrar"], metrics=ChassisMetrics(CollectorRegistry()), patience=0.5)
    shelf.put("waits", CODE.replace(RETURN, "import threading; threading.Event().wait()"))
    shelf.put("later")
    host = shelf.load()
    assert shelf.failure("waits") == "it failed to load: HookHangs: its hook `catalyst_plugin` did not end within 0.5 s"
    assert await host.get("registrar", "later").greet(whom="ada") == "ada from here"


OBSERVER = """
    @hookimpl
    def catalyst_event(subject):
        {what}
"""


async def test_an_observer_that_hangs_or_raises_keeps_no_other_from_hearing(shelf: Shelf) -> None:
    shelf.host = PluginHost(kinds=["registrar"], metrics=ChassisMetrics(CollectorRegistry()), patience=0.5)
    heard = shelf.folder / "heard"
    write = "import pathlib; file = pathlib.Path('{path}').open('a'); file.write(subject + ' '); file.close()"
    deeds = {
        "watches": f"{write.format(path=shelf.folder / 'asked')}; import threading; threading.Event().wait()",
        "raises": "raise ValueError",
        "hears": write.format(path=heard),
    }
    for name, what in deeds.items():
        shelf.put(name, CODE + OBSERVER.format(what=what))
    host = shelf.load()
    for subject in ("first", "second"):
        host.observe(subject, None)
    assert heard.read_text() == "first second "
    assert (shelf.folder / "asked").read_text() == "first ", "who has hung is not asked again"


def test_who_asks_for_a_failed_plugin_hears_why(shelf: Shelf) -> None:
    shelf.put("acme", *BAD["raises"][:2])
    with pytest.raises(PluginUnavailable, match=r"registrar:acme is not available: .* no licence"):
        shelf.load().get("registrar", "acme")


def test_who_asks_for_what_is_not_installed_hears_what_is(shelf: Shelf) -> None:
    shelf.put("acme")
    with pytest.raises(PluginUnavailable, match=r"not installed \(found for registrar: acme"):
        shelf.load().get("registrar", "acmee")


def test_a_package_that_is_not_there_is_listed(shelf: Shelf) -> None:
    shelf.entries.append(EntryPoint("ghost", "shelf_ghost.plugin", "catalyst.plugins"))
    shelf.load()
    assert shelf.failure("ghost") == "ghost: package shelf_ghost is not there"


def test_the_code_of_a_plugin_of_another_kind_is_not_imported(shelf: Shelf) -> None:
    shelf.put("clock", "raise AssertionError", MANIFEST.replace("registrar", "lease_witness"))
    assert shelf.load().plugins == []
    assert "shelf_clock.plugin" not in sys.modules


def test_wrong_configuration_is_told_at_once_and_without_secrets(shelf: Shelf) -> None:
    schema = "[config.properties.n]\ntype = 'integer'\n[config.properties.key]\ntype = 'object'\nx-secret = true\n"
    shelf.put("acme", "raise AssertionError", MANIFEST + schema)
    shelf.load(acme={"n": "many", "key": CANARY, "typo": 1})
    failure = shelf.failure("acme")
    assert "n: 'many' is not of type 'integer'" in failure
    assert "key: the secret breaks the rule `type`" in failure
    assert "typo" in failure
    assert CANARY not in failure


async def test_of_two_with_one_name_the_first_works_and_the_second_is_listed(shelf: Shelf) -> None:
    shelf.put("acme")
    shelf.put("acme", "raise AssertionError", entry="impostor")
    host = shelf.load()
    assert shelf.failure("impostor").startswith("its name is taken: entry point acme is registrar:acme already")
    assert await host.get("registrar", "acme").greet(whom="ada") == "ada from here"
    assert len(host.plugins) == 2


def test_what_an_observer_raises_is_ignored(shelf: Shelf) -> None:
    seen = shelf.folder / "seen.txt"
    observer = f"""
    @hookimpl
    def catalyst_event(subject, body):
        with open({str(seen)!r}, "a") as file:
            file.write(subject)
        raise ZeroDivisionError
    """
    shelf.put("acme", CODE + observer)
    shelf.load().observe("catalyst.v1.a.b.done", None)
    assert seen.read_text() == "catalyst.v1.a.b.done"


async def test_without_secrets_of_the_daemon_a_reference_is_not_found(shelf: Shelf) -> None:
    shelf.put("acme")
    context = shelf.load().get("registrar", "acme").context
    with pytest.raises(Permanent) as caught:
        await context.secrets.resolve(SecretRef("registrar/key"))
    assert caught.value.reason == "SECRET_NOT_FOUND"


async def test_a_secret_of_the_configuration_arrives_as_a_reference_and_is_read_from_its_file(
    shelf: Shelf, tmp_path: Path
) -> None:
    schema = "[config]\nrequired = ['key']\n[config.properties.key]\ntype = 'string'\nx-secret = true\n"
    shelf.put("acme", manifest=MANIFEST + schema)
    files = SecretFiles(tmp_path)
    (tmp_path / "acme-key").write_text(f"{CANARY}\n")
    shelf.host.load(plugin_context(tmp_path, files), {"registrar:acme": {"key": "acme-key"}}, shelf.entries)
    context = shelf.host.get("registrar", "acme").context
    assert context.config == {"key": SecretRef("acme-key")}
    assert (await context.secrets.resolve(context.config["key"])).reveal() == CANARY
    (tmp_path / "acme-key").write_text("exchanged")
    assert (await context.secrets.resolve(context.config["key"])).reveal() == "exchanged"


@pytest.mark.parametrize("name", ["absent", "../outside", "", ".hidden", "a/b", "/etc/hostname"])
async def test_a_secret_without_a_file_of_its_name_is_not_found(tmp_path: Path, name: str) -> None:
    (tmp_path / "outside").write_text(CANARY)
    (tmp_path / "in").mkdir()
    with pytest.raises(Permanent) as caught:
        await SecretFiles(tmp_path / "in").resolve(SecretRef(name))
    assert caught.value.reason == "SECRET_NOT_FOUND"


def test_a_plugin_that_nobody_configured_is_off_and_not_broken(shelf: Shelf) -> None:
    schema = "[config]\nrequired = ['key']\n[config.properties.key]\ntype = 'string'\n"
    shelf.put("asked", manifest=MANIFEST + schema)
    shelf.put("unasked", manifest=MANIFEST + schema)
    shelf.load(asked={})
    rows = {p.name: to_plugin(p, "toy") for p in shelf.host.plugins}
    assert rows["asked"].state == rows["asked"].STATE_FAILED
    assert rows["unasked"].state == rows["unasked"].STATE_DISABLED
    assert rows["unasked"].message == "it is not configured; it needs key"


class Raises:
    """Every call raises what it was made with."""

    def __init__(self, error: Callable[[], BaseException]) -> None:
        self._error = error

    async def call(self) -> None:
        raise self._error()

    async def hang(self) -> None:
        await asyncio.Event().wait()

    def plain(self) -> str:
        return "as it is"


def guarded(error: Callable[[], BaseException] = RuntimeError, **rest: Any) -> Guarded:
    return Guarded("registrar:acme", Raises(error), metrics=ChassisMetrics(CollectorRegistry()), **rest)


class Slower(Temporary):
    pass


FOUR = [
    Temporary("later"),
    RateLimited("slow", retry_after=timedelta(seconds=2)),
    Permanent("ZONE_HELD"),
    NotSupported("dnssec"),
    Slower("much later"),
]


@pytest.mark.parametrize("error", FOUR, ids=lambda e: type(e).__name__)
async def test_the_four_errors_pass_as_they_are(error: PluginFailure) -> None:
    with pytest.raises(type(error)) as caught:
        await guarded(lambda: error).call()
    assert caught.value is error


RUBBISH: list[Callable[[], BaseException]] = [
    ValueError,
    TimeoutError,
    asyncio.CancelledError,
    SystemExit,
    StopAsyncIteration,
    MemoryError,
    lambda: PluginFailure("bare"),
    lambda: ValueError(CANARY),
]


@pytest.mark.parametrize("error", RUBBISH, ids=lambda error: type(error()).__name__)
async def test_everything_else_becomes_a_bug_of_the_plugin_that_names_it(error: Callable[[], BaseException]) -> None:
    with pytest.raises(PluginBug, match="call raised ") as caught:
        await guarded(error).call()
    assert caught.value.provider == "registrar:acme"
    assert CANARY not in str(caught.value)


async def test_a_call_that_hangs_is_ended_and_may_work_later() -> None:
    with pytest.raises(Temporary, match=r"hang did not answer within 0\.02 s"):
        await guarded(limit=0.02).hang()


async def test_a_call_of_a_stopping_daemon_is_cancelled_and_no_bug() -> None:
    task = asyncio.create_task(guarded().hang())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_no_more_calls_run_at_once_than_the_manifest_says() -> None:
    now, most = 0, 0

    class Counts:
        async def call(self) -> None:
            nonlocal now, most
            now += 1
            most = max(most, now)
            await asyncio.sleep(0)
            now -= 1

    plugin = Guarded("a:b", Counts(), metrics=ChassisMetrics(CollectorRegistry()), concurrency=3)
    await asyncio.gather(*(plugin.call() for _ in range(20)))
    assert most == 3


async def test_calls_beyond_the_rate_of_the_manifest_do_not_reach_the_plugin(shelf: Shelf) -> None:
    shelf.put("acme", manifest=MANIFEST + "[limits]\nper_minute = 30\n")
    plugin = shelf.load().get("registrar", "acme")
    for _ in range(10):
        await plugin.greet(whom="ada")
    with pytest.raises(RateLimited) as caught:
        await plugin.greet(whom="ada")
    assert timedelta(0) < caught.value.retry_after <= timedelta(seconds=3)
    assert caught.value.provider == "registrar:acme"


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 600), st.lists(st.floats(0, 90), max_size=60))
def test_in_no_minute_more_calls_pass_than_stated(per_minute: int, pauses: list[float]) -> None:
    now, passed = 1000.0, []
    bucket = Bucket(per_minute, clock=lambda: now)
    for pause in pauses:
        now += pause
        for _ in range(1 + per_minute // 2):
            if (wait := bucket.take()) is None:
                passed.append(now)
            else:
                assert timedelta(0) < wait <= timedelta(minutes=1)
    assert all(sum(began <= at < began + 59.999 for at in passed) <= per_minute for began in set(passed))


def test_who_waits_as_long_as_told_is_let_through() -> None:
    now = 0.0
    bucket = Bucket(7, clock=lambda: now)
    while (wait := bucket.take()) is None:
        pass
    now += wait.total_seconds() + 1e-5
    assert bucket.take() is None


async def test_calls_are_counted_by_their_outcome() -> None:
    metrics = ChassisMetrics(CollectorRegistry())
    for error in (ValueError, lambda: Temporary("x")):
        with pytest.raises(PluginFailure):
            await Guarded("a:b", Raises(error), metrics=metrics).call()
    for outcome in ("bug", "Temporary"):
        labels = {"plugin": "a:b", "operation": "call", "error_class": outcome}
        assert metrics.registry.get_sample_value("catalyst_plugin_calls_total", labels) == 1


def test_what_is_not_awaited_is_handed_through() -> None:
    assert guarded().plain() == "as it is"
    with pytest.raises(AttributeError):
        _ = guarded().no_such_operation
