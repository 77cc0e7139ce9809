"""The command tree. Each command stands in a file of its own."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from .help import Command, Group

_GROUP: dict[str, Any] = {"no_args_is_help": True, "rich_markup_mode": None, "pretty_exceptions_enable": False}


def _tell_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"catalyst {version('catalyst-cli')}")
        raise typer.Exit


def build(asked: str = "") -> typer.Typer:
    """The whole command line; where `asked` is a first word of it, no more than what that word needs.

    The commands of a part are imported when the part is built: all of them together take as long as most commands run.
    """
    app = typer.Typer(help="Make Sovereigns exist, watch them, take them away.", **_GROUP)
    app.callback()(_whole)
    known = {word for words in _PARTS for word in words}
    for words, add in _PARTS.items():
        if asked in words or asked not in known:
            add(app)
    return app


def _whole(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_tell_version, is_eager=True)
    ] = False,
) -> None:
    pass


def _development(app: typer.Typer) -> None:
    from .commands import doctor
    from .commands.dev import cell, dev, region, status

    whole = typer.Typer(**{**_GROUP, "no_args_is_help": False}, cls=Group, invoke_without_command=True)
    whole.callback()(dev.dev)
    whole.command("status", cls=Command)(status.status)
    app.add_typer(whole, name="dev")
    _group(whole, "cell", "The cells of a running dev: kill, freeze, wipe, start.", {
        "kill": cell.kill, "pause": cell.pause, "resume": cell.resume, "wipe": cell.wipe, "start": cell.start,
    })  # fmt: skip
    _group(whole, "region", "The regions of a running `dev --regions`: kill, freeze, cut off, start.", {
        "kill": region.kill, "pause": region.pause, "resume": region.resume, "cut": region.cut, "heal": region.heal,
        "start": region.start,
    })  # fmt: skip
    app.command("doctor", cls=Command)(doctor.doctor)


def _events(app: typer.Typer) -> None:
    from .commands.events import dead_letters, replay, tail

    happenings = _group(app, "events", "What happens in the mesh.", {"tail": tail.tail, "replay": replay.replay})
    _group(happenings, "dead-letters", "Events that a daemon gave up.", {
        "list": dead_letters.list_dead_letters, "get": dead_letters.get, "replay": dead_letters.replay,
        "discard": dead_letters.discard,
    })  # fmt: skip


def _projector(app: typer.Typer) -> None:
    from .commands.projector import rebuild

    _group(app, "projector", "The read model of browsers.", {"rebuild": rebuild.rebuild})


def _plugins(app: typer.Typer) -> None:
    from .commands.plugins import check as check_plugin
    from .commands.plugins import list_plugins, new

    for name in ("plugins", "plugin"):
        _group(app, name, "Plugins: those of all daemons, and your own.", {
            "list": list_plugins.list_plugins, "new": new.new, "check": check_plugin.check,
        }, hidden=name == "plugin")  # fmt: skip


def _slots(app: typer.Typer) -> None:
    from .commands.continuum import apply as apply_slots
    from .commands.continuum import decisions, drill, moves, suspension, trace, witness
    from .commands.continuum import looks as slot_looks
    from .commands.continuum import plan as plan_run

    slots = _group(app, "continuum", "Slots: which region may write, and how that right moves.", {
        "apply": apply_slots.apply, "list": slot_looks.list_slots, "get": slot_looks.get, "watch": slot_looks.watch,
        "suspend": suspension.suspend, "resume": suspension.resume, "ack": suspension.ack,
        "switchover": moves.switchover, "failover": moves.failover, "failback": moves.failback,
        "force-takeover": moves.force_takeover, "run": decisions.run, "runs": decisions.runs,
        "approve": decisions.approve, "abort": decisions.abort, "plan": plan_run.plan, "drill": drill.drill,
        "trace": trace.trace,
    })  # fmt: skip
    _group(slots, "witness", "The cells that keep the register.", {
        "verify": witness.verify, "admit": witness.admit,
    })  # fmt: skip


def _organizations(app: typer.Typer) -> None:
    from .commands.app import applications
    from .commands.env import environments
    from .commands.org import members, organizations
    from .commands.promotion import promotions
    from .commands.webhook import webhooks

    _group(app, "org", "Organizations and who belongs to them.", {
        "list": organizations.list_organizations, "get": organizations.get, "create": organizations.create,
        "delete": organizations.delete, "undelete": organizations.undelete, "suspend": organizations.suspend,
        "resume": organizations.resume, "members": members.list_members, "invite": members.invite,
        "accept": members.accept, "remove": members.remove, "leave": members.leave, "hand-over": members.hand_over,
    })  # fmt: skip
    _group(app, "env", "Environments: places for Applications.", {
        "list": environments.list_environments, "get": environments.get, "create": environments.create,
        "delete": environments.delete, "policy": environments.policy,
    })  # fmt: skip
    _group(app, "app", "Applications: install, change, take away.", {
        "list": applications.list_applications, "get": applications.get, "install": applications.install,
        "configure": applications.configure, "upgrade": applications.upgrade, "rollback": applications.rollback,
        "pause": applications.pause, "resume": applications.resume, "uninstall": applications.uninstall,
        "operation": applications.operation, "retry": applications.retry, "cancel": applications.cancel,
    })  # fmt: skip
    _group(app, "promotion", "Applications on their way from one Environment to another.", {
        "create": promotions.promote, "list": promotions.list_promotions, "get": promotions.get,
        "approve": promotions.approve, "override": promotions.override, "cancel": promotions.cancel,
    })  # fmt: skip
    _group(app, "webhook", "Addresses that are told what happens to an Organization.", {
        "list": webhooks.list_webhooks, "get": webhooks.get, "create": webhooks.create, "update": webhooks.update,
        "delete": webhooks.delete, "enable": webhooks.enable, "disable": webhooks.disable,
        "rotate-secret": webhooks.rotate_secret, "test": webhooks.send_test, "deliveries": webhooks.deliveries,
        "replay": webhooks.replay,
    })  # fmt: skip


def _sovereigns(app: typer.Typer) -> None:
    from .commands.access import access
    from .commands.credential import credentials
    from .commands.run import cancel, events, gates, get_run, logs, pause, retry, skip
    from .commands.sovereign import apply as apply_sovereign
    from .commands.sovereign import create, destroy, get, list_sovereigns, looks, nodes, plan, upgrade, watch

    sovereigns = _group(
        app,
        "sovereign",
        "Sovereigns: plan, create, change, look at, destroy.",
        {
            "plan": plan.plan,
            "apply": apply_sovereign.apply,
            "create": create.create,
            "get": get.get,
            "list": list_sovereigns.list_sovereigns,
            "watch": watch.watch,
            "topology": looks.topology,
            "drift": looks.drift,
            "upgrade": upgrade.upgrade,
            "destroy": destroy.destroy,
        },
    )  # fmt: skip - one group a call
    _group(sovereigns, "node", "Single nodes: list, close, open, empty, restart, make anew.", {
        "list": nodes.list_nodes, "cordon": nodes.cordon, "uncordon": nodes.uncordon, "drain": nodes.drain,
        "reboot": nodes.reboot, "replace": nodes.replace,
    })  # fmt: skip
    _group(app, "run", "Runs: look at, agree to, pause, cancel, retry.", {
        "get": get_run.get_run, "events": events.events, "logs": logs.logs, "approve": gates.approve,
        "reject": gates.reject, "pause": pause.pause, "resume": pause.resume, "cancel": cancel.cancel,
        "retry": retry.retry, "skip": skip.skip,
    })  # fmt: skip
    _group(app, "credential", "Credentials of clouds: stored sealed, checked, never shown.", {
        "list": credentials.list_credentials, "get": credentials.get, "create": credentials.create,
        "add-version": credentials.add_version, "check": credentials.check, "delete": credentials.delete,
    })  # fmt: skip
    _group(app, "access", "Access of persons to clusters: short, on record, revocable.", {
        "kubeconfig": access.kubeconfig, "list": access.list_grants, "revoke": access.revoke,
    })  # fmt: skip


def _names(app: typer.Typer) -> None:
    from .commands.domain import flip, import_domain, rollback
    from .commands.domain import plan as plan_domain
    from .commands.domain import watch as watch_domain
    from .commands.name import check, holding, looks, owners, release, reserve
    from .commands.pool import pools
    from .commands.registrar import accounts, list_registrars, validate
    from .commands.zone import apply as apply_plan
    from .commands.zone import create as create_zone
    from .commands.zone import diff, dnssec, drifts, export, import_zone, list_zones, propagation
    from .commands.zone import plan as plan_zone

    _group(app, "pool", "Pools: domains under which names are handed out, and their rules.", {
        "list": pools.list_pools, "get": pools.get, "never": pools.never, "create": pools.create,
        "update": pools.update, "delete": pools.delete,
    })  # fmt: skip
    _group(app, "name", "Names under pool domains.", {
        "list": looks.list_names, "get": looks.get, "history": looks.history, "wait": looks.wait,
        "check": check.check, "reserve": reserve.reserve, "renew": holding.renew, "commit": holding.commit,
        "retarget": holding.retarget, "retry": holding.retry, "offer": owners.offer, "accept": owners.accept,
        "release": release.release, "force-release": owners.force_release,
    })  # fmt: skip
    registrars = _group(app, "registrar", "Registrars: what they can do, and what an account may do there.", {
        "list": list_registrars.list_registrars, "get": list_registrars.get, "validate": validate.validate,
    })  # fmt: skip
    _group(registrars, "accounts", "Stored accounts at registrars.", {
        "list": accounts.list_accounts, "get": accounts.get, "create": accounts.create, "replace": accounts.replace,
        "delete": accounts.delete, "delegation": accounts.delegation,
    })  # fmt: skip
    zones = _group(app, "zone", "Zones: plan and apply changes, compare, import, export.", {
        "list": list_zones.list_zones, "create": create_zone.create, "diff": diff.diff, "export": export.export,
        "import": import_zone.import_zone, "plan": plan_zone.plan, "apply": apply_plan.apply,
        "propagation": propagation.propagation,
    })  # fmt: skip
    _group(zones, "dnssec", "Keys and DS of a zone.", {
        "show": dnssec.show_dnssec, "roll": dnssec.roll, "disable": dnssec.disable,
    })  # fmt: skip
    _group(zones, "drift", "What differs between wish and world.", {
        "list": drifts.list_drifts, "repair": drifts.repair, "accept": drifts.accept,
    })  # fmt: skip
    _group(app, "domain", "Domains of one's own: import, plan, flip to our servers, watch, take back.", {
        "import": import_domain.import_domain, "plan": plan_domain.plan, "flip": flip.flip,
        "watch": watch_domain.watch, "rollback": rollback.rollback, "close": rollback.close,
    })  # fmt: skip


def _billing(app: typer.Typer) -> None:
    from .commands.billing import accounts as billing_accounts
    from .commands.billing import franchise, invoices, ledger, orders, providers, subscriptions, usage, vouchers

    billing = _group(app, "billing", "Money: accounts, orders, subscriptions, invoices, usage, shares, the book.", {
        "prove": ledger.prove, "findings": ledger.findings, "revenue": subscriptions.revenue, "usage": usage.usage,
    })  # fmt: skip
    _group(billing, "account", "Accounts: credit, goodwill, freezing, moves between Sovereigns.", {
        "list": billing_accounts.list_accounts, "get": billing_accounts.get, "balance": billing_accounts.balance,
        "grants": billing_accounts.grants, "update": billing_accounts.update, "freeze": billing_accounts.freeze,
        "unfreeze": billing_accounts.unfreeze, "goodwill": billing_accounts.goodwill,
        "goodwill-approve": billing_accounts.approve, "goodwills": billing_accounts.goodwills,
        "export": billing_accounts.export, "import": billing_accounts.import_account,
    })  # fmt: skip
    _group(billing, "voucher", "Vouchers: issue, edit, withdraw, look at their uses.", {
        "create": vouchers.create, "list": vouchers.list_vouchers, "get": vouchers.get, "update": vouchers.update,
        "activate": vouchers.activate, "pause": vouchers.pause, "revoke": vouchers.revoke, "uses": vouchers.uses,
        "revisions": vouchers.revisions,
    })  # fmt: skip
    _group(billing, "campaign", "Campaigns: vouchers with one budget.", {
        "create": vouchers.create_campaign, "list": vouchers.list_campaigns, "update": vouchers.update_campaign,
    })  # fmt: skip
    _group(billing, "order", "Orders: look at, cancel, refund; credit bought ahead.", {
        "list": orders.list_orders, "get": orders.get, "cancel": orders.cancel, "refund": orders.refund,
        "top-up": orders.top_up,
    })  # fmt: skip
    _group(billing, "ledger", "The book: accounts and transactions.", {
        "accounts": ledger.accounts, "transactions": ledger.transactions, "payout": ledger.payout,
    })  # fmt: skip
    _group(billing, "provider", "Payment providers: settings and secrets.", {
        "list": providers.list_providers, "get": providers.get, "set": providers.set_provider,
    })  # fmt: skip
    _group(billing, "subscription", "What runs from period to period.", {
        "list": subscriptions.list_subscriptions, "change": subscriptions.change, "cancel": subscriptions.cancel,
        "resume": subscriptions.resume,
    })  # fmt: skip
    _group(billing, "invoice", "Bills and credit notes.", {
        "list": invoices.list_invoices, "get": invoices.get, "pay": invoices.pay, "void": invoices.void,
    })  # fmt: skip
    _group(billing, "quota", "How far usage may go.", {"get": usage.quota, "set": usage.set_quota})
    _group(billing, "franchise", "Agreements with the publisher, and monthly statements.", {
        "agreements": franchise.agreements, "agree": franchise.agree, "statements": franchise.statements,
        "state": franchise.state,
    })  # fmt: skip


def _catalogue(app: typer.Typer) -> None:
    from .commands.blueprint import author, publish
    from .commands.blueprint import looks as blueprint_looks
    from .commands.catalog import addons, issues, mirror, plans, push, seed, sources, versions
    from .commands.resource import author as resources

    _group(app, "blueprint", "Blueprints: find, look at, plan; and for authors lint, new, import.", {
        "list": blueprint_looks.list_blueprints, "show": blueprint_looks.show_blueprint, "versions": blueprint_looks.versions,
        "closure": blueprint_looks.closure, "plan": blueprint_looks.plan, "lint": author.lint, "graph": author.graph,
        "new": author.new, "import": author.import_blueprint, "schema": author.schema,
        "publish": publish.publish,
    })  # fmt: skip
    _group(app, "resource", "Custom resources of Kubernetes, for those who write them: check, list kinds, print schemas.", {
        "lint": resources.lint_resources, "kinds": resources.kinds, "schema": resources.schema,
    })  # fmt: skip
    catalogue = _group(app, "catalog", "The catalogue: its sources, their issues, moves of versions; plans and add-ons.", {
        "sync": sources.sync, "issues": issues.issues, "retry": issues.retry, "yank": versions.yank,
        "unyank": versions.unyank, "deprecate": versions.deprecate, "quarantine": versions.quarantine,
        "release": versions.release, "seed": seed.seed, "mirror": mirror.mirror,
        "push": push.push,
    })  # fmt: skip
    _group(catalogue, "source", "Where Blueprints come from.", {
        "list": sources.list_sources, "get": sources.get, "create": sources.create, "delete": sources.delete,
    })  # fmt: skip
    _group(catalogue, "plan", "Plans: what sizes are sold, at which price and with which limits.", {
        "list": plans.list_plans, "get": plans.get, "create": plans.create, "update": plans.update, "delete": plans.delete,
    })  # fmt: skip
    _group(catalogue, "addon", "Add-ons: what is sold beside a plan.", {
        "list": addons.list_add_ons, "get": addons.get, "create": addons.create, "update": addons.update,
        "delete": addons.delete,
    })  # fmt: skip


def _group(app: typer.Typer, name: str, text: str, commands: dict[str, object], *, hidden: bool = False) -> typer.Typer:
    group = typer.Typer(help=text, **_GROUP)
    for command, function in commands.items():
        group.command(command, cls=Command)(function)  # type: ignore[type-var]
    app.add_typer(group, name=name, hidden=hidden)
    return group


_PARTS: Mapping[tuple[str, ...], Callable[[typer.Typer], None]] = {
    ("dev", "doctor"): _development,
    ("sovereign", "run", "credential", "access"): _sovereigns,
    ("pool", "name", "registrar", "zone", "domain"): _names,
    ("billing",): _billing,
    ("blueprint", "resource", "catalog"): _catalogue,
    ("continuum",): _slots,
    ("projector",): _projector,
    ("org", "env", "app", "promotion", "webhook"): _organizations,
    ("events",): _events,
    ("plugins", "plugin"): _plugins,
}
"""Which first words each part of the command line has, in the order in which help shows them."""
