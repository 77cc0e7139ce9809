"""A stand-in for the provider hetznercloud/hcloud, speaking the tool's plugin protocol over a fake project.

It runs in an environment of its own (script/infrastructure), started by the tool as `fake_provider.py WORLD`, or once
for many commands as `fake_provider.py WORLD --at SOCKET`.
"""

import os
import sys
from concurrent import futures
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from fake_world import Refused, World
from tf.blocks import SetNestedBlock
from tf.iface import Provider, Resource
from tf.runner import run_provider
from tf.schema import Attribute, Block, Schema
from tf.types import Bool, List, Map, Number, Set, String, Unknown

RIGHTS = {"w": "write", "r": "read"}
"""First letter of a token to what it may; another one is no token of this project."""


def text(name: str, **more: Any) -> Attribute:
    return Attribute(name, String(), **more)


def number(name: str, **more: Any) -> Attribute:
    return Attribute(name, Number(), **more)


def flag(name: str, default: bool = False) -> Attribute:
    return Attribute(name, Bool(), optional=True, computed=True, default=default)


def named(**more: Any) -> list[Attribute]:
    labels = Attribute("labels", Map(String()), optional=True)
    return [text("id", computed=True, default=Unknown), text("name", required=True, **more), labels]


class Nested(SetNestedBlock):
    """A block in which the cloud fills in what was not asked for."""

    def decode(self, value: Any) -> Any:
        computed = [a.name for a in self.block.attributes if a.computed]
        decoded = super().decode(value) if value is not None else []
        return [{**one, **{n: Unknown for n in computed if one.get(n) is None}} for one in decoded]

    def semantically_equal(self, a: Any, b: Any) -> bool:
        if any(value is Unknown for one in (*a, *b) for value in one.values()):
            return False
        return bool(super().semantically_equal(a, b))


class Kind(Resource):
    """A resource that bears a name."""

    kind = ""
    attributes: list[Attribute] = []
    blocks: list[Nested] = []
    unread: tuple[str, ...] = ()
    """What the API never tells again."""

    def __init__(self, provider: "Hcloud") -> None:
        self.provider = provider
        self.world = provider.world

    @classmethod
    def get_name(cls) -> str:
        return cls.kind

    @classmethod
    def get_schema(cls) -> Schema:
        return Schema(attributes=[*named(), *cls.attributes], block_types=list(cls.blocks))

    def create(self, ctx: Any, planned: dict[str, Any]) -> Any:
        doc = {key: value for key, value in planned.items() if value is not Unknown and key != "id"}
        for block in self.blocks:
            doc[block.type_name] = [
                {k: v for k, v in one.items() if v is not Unknown} for one in doc.get(block.type_name) or ()
            ]
        try:
            self.provider.demand_write()
            id = self.world.create(self.kind, {**doc, **self.given(doc)})
        except Refused as refused:
            ctx.diagnostics.add_error(str(refused))
            return None
        return self.state(id, planned)

    def read(self, ctx: Any, current: dict[str, Any]) -> Any:
        return self.state(int(current["id"]), current) if self.world.get(self.kind, int(current["id"])) else None

    def update(self, ctx: Any, current: dict[str, Any], planned: dict[str, Any]) -> Any:
        changes = {k: v for k, v in planned.items() if v is not Unknown and k not in ("id", *self.unread)}
        try:
            self.provider.demand_write()
            self.world.update(self.kind, int(current["id"]), **changes)
        except Refused as refused:
            ctx.diagnostics.add_error(str(refused))
            return current
        return self.state(int(current["id"]), planned)

    def delete(self, ctx: Any, current: dict[str, Any]) -> Any:
        try:
            self.provider.demand_write()
            self.world.delete(self.kind, int(current["id"]))
        except Refused as refused:
            ctx.diagnostics.add_error(str(refused))
            return current
        return None

    def import_(self, ctx: Any, id: str) -> Any:
        if self.world.get(self.kind, int(id)) is None:
            ctx.diagnostics.add_error(f"{self.kind} with ID '{id}' not found (not_found, 0a1b)")
            return None
        return self.state(int(id), {})

    def given(self, doc: dict[str, Any]) -> dict[str, Any]:
        """What the cloud adds."""
        return {}

    def state(self, id: int, known: dict[str, Any]) -> dict[str, Any]:
        doc = self.world.get(self.kind, id)
        assert doc is not None
        state = {a.name: doc.get(a.name) for a in self.get_schema().attributes} | {"id": str(id)}
        state |= {name: known.get(name) for name in self.unread}
        state |= {block.type_name: doc.get(block.type_name) or [] for block in self.blocks}
        return state


class Network(Kind):
    kind = "network"
    attributes = [text("ip_range", required=True, requires_replace=True), flag("delete_protection")]


class PlacementGroup(Kind):
    kind = "placement_group"
    attributes = [text("type", required=True, requires_replace=True)]


class SshKey(Kind):
    kind = "ssh_key"
    attributes = [text("public_key", required=True, requires_replace=True)]


class Firewall(Kind):
    kind = "firewall"
    blocks = [
        Nested(
            "rule",
            Block(
                attributes=[
                    text("direction", required=True),
                    text("protocol", required=True),
                    text("port", optional=True),
                    Attribute("source_ips", Set(String()), optional=True),
                    Attribute("destination_ips", Set(String()), optional=True),
                    text("description", optional=True),
                ]
            ),
        )
    ]  # fmt: skip - reads as a table

    def delete(self, ctx: Any, current: dict[str, Any]) -> Any:
        """As the provider does: it detaches a firewall from all servers first."""
        for _, server in self.world.all("server"):
            left = [id for id in server.get("firewall_ids") or () if id != int(current["id"])]
            if left != (server.get("firewall_ids") or []):
                self.world.update("server", server["id"], firewall_ids=left)
        return super().delete(ctx, current)


class Server(Kind):
    kind = "server"
    unread = ("user_data", "ssh_keys")
    attributes = [
        text("server_type", required=True),
        text("image", optional=True, requires_replace=True),
        text("location", optional=True, computed=True, requires_replace=True),
        text("user_data", optional=True, requires_replace=True),
        Attribute("ssh_keys", List(String()), optional=True, requires_replace=True),
        Attribute("firewall_ids", Set(Number()), optional=True),
        number("placement_group_id", optional=True),
        flag("delete_protection"),
        flag("rebuild_protection"),
        text("ipv4_address", computed=True),
        text("ipv6_address", computed=True),
        text("status", computed=True),
    ]  # fmt: skip - reads as a table
    blocks = [
        Nested(
            "public_net",
            Block(
                attributes=[
                    Attribute("ipv4_enabled", Bool(), optional=True),
                    Attribute("ipv6_enabled", Bool(), optional=True),
                ]
            ),
        ),
        Nested(
            "network",
            Block(
                attributes=[
                    number("network_id", optional=True),
                    text("ip", optional=True, computed=True),
                    Attribute("alias_ips", Set(String()), optional=True),
                ]
            ),
        ),
    ]  # fmt: skip - reads as a table


class LoadBalancer(Kind):
    kind = "load_balancer"
    attributes = [
        text("load_balancer_type", required=True),
        text("location", optional=True, computed=True, requires_replace=True),
        flag("delete_protection"),
        text("ipv4", computed=True),
        text("ipv6", computed=True),
    ]  # fmt: skip - reads as a table
    blocks = [Nested("algorithm", Block(attributes=[text("type", required=True)]))]

    def given(self, doc: dict[str, Any]) -> dict[str, Any]:
        return {"ipv4": "203.0.113.7", "ipv6": "2001:db8:ffff::7"}


class Volume(Kind):
    kind = "volume"
    attributes = [
        number("size", required=True),
        text("location", optional=True, computed=True, requires_replace=True),
        flag("delete_protection"),
    ]


class Part(Resource):
    """Something inside of another resource; its id names both."""

    kind = ""
    of = ""
    key = ""
    attributes: list[Attribute] = []
    blocks: list[Nested] = []

    def __init__(self, provider: "Hcloud") -> None:
        self.provider = provider
        self.world = provider.world

    @classmethod
    def get_name(cls) -> str:
        return cls.kind

    @classmethod
    def get_schema(cls) -> Schema:
        return Schema(attributes=[text("id", computed=True), *cls.attributes], block_types=list(cls.blocks))

    def place(self, values: dict[str, Any]) -> tuple[int, str, str]:
        """The owner's id, the name within it, and the id of the whole."""
        raise NotImplementedError

    def create(self, ctx: Any, planned: dict[str, Any]) -> Any:
        owner, name, id = self.place(planned)
        doc = {k: (None if v is Unknown else v) for k, v in planned.items()} | {"id": id}
        try:
            self.provider.demand_write()
            known = self.world.get(self.of, owner)
            if known is None:
                raise Refused("not_found", f"{self.of} not found")
            if name in known.get(self.key, {}):
                raise Refused("uniqueness_error", f"{self.kind} {id} exists")
            self.world.put_part(self.of, owner, self.key, name, doc)
        except Refused as refused:
            ctx.diagnostics.add_error(str(refused))
            return None
        return doc

    def read(self, ctx: Any, current: dict[str, Any]) -> Any:
        owner, name, _ = self.place(current)
        return (self.world.get(self.of, owner) or {}).get(self.key, {}).get(name)

    def update(self, ctx: Any, current: dict[str, Any], planned: dict[str, Any]) -> Any:
        owner, name, id = self.place(current)
        doc = {k: (None if v is Unknown else v) for k, v in planned.items()} | {"id": id}
        self.world.put_part(self.of, owner, self.key, name, doc)
        return doc

    def delete(self, ctx: Any, current: dict[str, Any]) -> Any:
        owner, name, _ = self.place(current)
        self.world.drop_part(self.of, owner, self.key, name)
        return None

    def import_(self, ctx: Any, id: str) -> Any:
        for kind, doc in self.world.all(self.of):
            for part in doc.get(self.key, {}).values():
                if kind == self.of and part["id"] == id:
                    return part
        ctx.diagnostics.add_error(f"{self.kind} {id} not found (not_found, 0a1b)")
        return None


class Subnet(Part):
    kind, of, key = "network_subnet", "network", "subnets"
    attributes = [
        number("network_id", required=True, requires_replace=True),
        text("type", required=True, requires_replace=True),
        text("network_zone", required=True, requires_replace=True),
        text("ip_range", required=True, requires_replace=True),
    ]  # fmt: skip - reads as a table

    def place(self, values: dict[str, Any]) -> tuple[int, str, str]:
        network = int(values["network_id"])
        return network, values["ip_range"], f"{network}-{values['ip_range']}"


class BalancerNetwork(Part):
    kind, of, key = "load_balancer_network", "load_balancer", "networks"
    attributes = [
        number("load_balancer_id", required=True, requires_replace=True),
        text("subnet_id", optional=True, requires_replace=True),
        text("ip", optional=True, requires_replace=True),
        flag("enable_public_interface", default=True),
    ]  # fmt: skip - reads as a table

    def place(self, values: dict[str, Any]) -> tuple[int, str, str]:
        balancer, network = int(values["load_balancer_id"]), values["subnet_id"].partition("-")[0]
        return balancer, network, f"{balancer}-{network}"


class BalancerService(Part):
    kind, of, key = "load_balancer_service", "load_balancer", "services"
    attributes = [
        number("load_balancer_id", required=True, requires_replace=True),
        text("protocol", required=True),
        number("listen_port", required=True, requires_replace=True),
        number("destination_port", required=True),
    ]  # fmt: skip - reads as a table
    blocks = [
        Nested(
            "health_check",
            Block(
                attributes=[
                    text("protocol", required=True),
                    number("port", required=True),
                    number("interval", required=True),
                    number("timeout", required=True),
                    number("retries", optional=True),
                ]
            ),
        )
    ]  # fmt: skip - reads as a table

    def place(self, values: dict[str, Any]) -> tuple[int, str, str]:
        balancer, port = int(values["load_balancer_id"]), int(values["listen_port"])
        return balancer, str(port), f"{balancer}__{port}"


class BalancerTarget(Part):
    kind, of, key = "load_balancer_target", "load_balancer", "targets"
    attributes = [
        number("load_balancer_id", required=True, requires_replace=True),
        text("type", required=True, requires_replace=True),
        text("label_selector", optional=True, requires_replace=True),
        Attribute("use_private_ip", Bool(), optional=True, requires_replace=True),
    ]  # fmt: skip - reads as a table

    def place(self, values: dict[str, Any]) -> tuple[int, str, str]:
        balancer, selector = int(values["load_balancer_id"]), values["label_selector"]
        return balancer, selector, f"{balancer}__label_selector__{selector}"


class Hcloud(Provider):
    """The provider."""

    def __init__(self, world: World, token: str | None) -> None:
        self.world = world
        self._token = token

    def demand_write(self) -> None:
        """As the API refuses a token. A server for many commands cannot see their environment, and takes any."""
        if self._token is None:
            return
        right = RIGHTS.get(self._token[:1])
        if right is None:
            raise Refused("unauthorized", "unable to authenticate")
        if right != "write":
            raise Refused("token_readonly", "token is only allowed to perform GET requests")

    def get_model_prefix(self) -> str:
        return "hcloud_"

    def full_name(self) -> str:
        return "hetznercloud/hcloud"

    def get_provider_schema(self, diags: Any) -> Schema:
        return Schema(
            attributes=[
                text("token", optional=True),
                text("endpoint", optional=True),
                text("poll_interval", optional=True),
            ]
        )

    def validate_config(self, diags: Any, config: Any) -> None: ...

    def configure_provider(self, diags: Any, config: Any) -> None: ...

    def get_data_sources(self) -> list[Any]:
        return []

    def get_resources(self) -> list[Any]:
        return [
            Network,
            PlacementGroup,
            SshKey,
            Firewall,
            Server,
            LoadBalancer,
            Volume,
            Subnet,
            BalancerNetwork,
            BalancerService,
            BalancerTarget,
        ]  # fmt: skip - all of them


def serve(world: World, socket: str) -> None:
    """For many commands, until the process is ended."""
    import grpc
    from tf.gen import tfplugin_pb2_grpc as rpc
    from tf.provider import ProviderServicer

    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16))
    rpc.add_ProviderServicer_to_server(ProviderServicer(Hcloud(world, None)), server)
    server.add_insecure_port(f"unix://{socket}")
    server.start()
    Path(f"{socket}.ready").touch()
    server.wait_for_termination()


if __name__ == "__main__":
    project = World(Path(sys.argv[1]))
    if sys.argv[2:3] == ["--at"]:
        serve(project, sys.argv[3])
    else:
        run_provider(Hcloud(project, os.environ.get("HCLOUD_TOKEN", "")), [])
