"""Values that are wrong: refused by their names before anything is sent, by the schema or where they do not fit each other."""

import re
from pathlib import Path
from typing import Any

import pytest

from .charts import LATEST, Rendered, environment, render, template
from .test_rendering import LEAN

WRONG = {
    "sovereign": {"name": "Omantel!", "fqdn": "console..example", "gitFqdn": "-git.example"},
    "image": {"registry": "https://registry.example/", "tag": "a b", "digests": {"catalogue": "sha256:0"}},
    "database": {"cidrs": ["10.0.0.0/33"]},
    "priorityClassName": "Not Valid",
    "catalog": {
        "replica": 3,
        "resources": {"limits": {"memory": "1Gb"}},
        "settings": {"solverSecond": 3, "solverSeconds": "fast"},
    },
    "billing": {"settings": {"currency": "omr"}},
    "settings": {"logLevel": "LOUD", "natsToken": "secret"},
    "gateway": {"settings": {"development": True}},
    "nats": {"url": "http://nats", "replica": 5, "replicas": 2, "storage": {"sise": "1Gi"}},
    "postgresql": {"storage": {"size": "-1Gi"}},
    "nodeSelector": {"disk": True},
    "podLabels": {"a b": "c"},
    "powerdns": {"bundeld": True},
    "probes": {"readiness": "tcp"},
    "dbHost": "x",
}
"""Every line of it is wrong."""
TOLERATIONS = [{"key": "a", "operator": "Exits"}, {"key": "a", "operator": "Exists", "value": "b"}]
ODD: dict[str, dict[str, Any]] = {
    "/sovereign/name": {"sovereign": {"name": "home."}},
    "/image/pullSecrets/0": {"image": {"pullSecrets": [""]}},
    "/sealing/secretName": {"sealing": {"secretName": "Key ring"}},
    "/database/host": {"database": {"host": "https://db.example"}},
    "/database/secretName": {"database": {"secretName": "a/b"}},
    "/nats/monitorUrl": {"nats": {"monitorUrl": "nats:8222"}},
    "/nats/userId": {"nats": {"userId": 0}},
    "/kubernetes/issuer": {"kubernetes": {"issuer": "https://"}},
    "/tls/secretName": {"tls": {"secretName": "TLS"}},
    "/workloads/system:serviceaccount:a:b": {"workloads": {"system:serviceaccount:a:b": "root"}},
    "/networkPolicy/gatewayFrom/0": {"networkPolicy": {"gatewayFrom": [{}]}},
    "/networkPolicy/metricsFrom/0": {"networkPolicy": {"metricsFrom": [{"podSelektor": {}}]}},
    "/networkPolicy/dnsTo": {"networkPolicy": {"dnsTo": []}},
    "/networkPolicy/outside/https/0": {"networkPolicy": {"outside": {"https": [0]}}},
    "/networkPolicy/outsideCidrs/0": {"networkPolicy": {"outsideCidrs": ["300.0.0.0/8"]}},
    "/metrics/interval": {"metrics": {"interval": "0s"}},
    "/metrics/labels/release": {"metrics": {"labels": {"release": 7}}},
    "app.kubernetes.io/part-of": {"podLabels": {"app.kubernetes.io/part-of": "mine"}},
    "/nodeSelector/disk": {"nodeSelector": {"disk": "very fast"}},
    "/global/ipFamily": {"global": {"ipFamily": "IPv5"}},
    "/podSecurity/userId": {"podSecurity": {"userId": "root"}},
    "/postgresql/userId": {"postgresql": {"userId": 0}},
    "/topologySpread/0/whenUnsatisfiable": {"topologySpread": [{"topologyKey": "rack", "whenUnsatisfiable": "Never"}]},
    "/trust/configMapName": {"trust": {"configMapName": "A B"}},
    "/nats/tolerations/0": {"nats": {"tolerations": [{"operator": "Exists", "value": "b"}]}},
    "/powerdns/pullSecrets/0": {"powerdns": {"pullSecrets": ["Not A Name"]}},
    "/networkPolicy/telemetryTo/0": {"networkPolicy": {"telemetryTo": [{}]}},
    "/tolerations/0/operator": {"tolerations": TOLERATIONS},
    "/tolerations/1": {"tolerations": TOLERATIONS},
    "/gatewayRoute/ingress/annotations/a": {"gatewayRoute": {"ingress": {"annotations": {"a": True}}}},
    "/gatewayRoute/ingress/className": {"gatewayRoute": {"ingress": {"className": "N G"}}},
    "/gatewayRoute/httpRoute/parentRefs/0": {"gatewayRoute": {"httpRoute": {"parentRefs": [{"nam": "public"}]}}},
    "/catalog/affinity": {"catalog": {"affinity": {"podAffinty": {}}}},
    "/catalog/secrets/0": {"catalog": {"secrets": ["Not A Name"]}},
    "/catalog/serviceAnnotations/a": {"catalog": {"serviceAnnotations": {"a": 1}}},
    "/catalog/settings/oidcIssuer": {"catalog": {"settings": {"oidcIssuer": "login.example"}}},
    "/continuum/persistence/storageClassName": {"continuum": {"persistence": {"storageClassName": "fast ssd"}}},
    "/environment/settings/repositoriesUrl": {"environment": {"settings": {"repositoriesUrl": "git.example"}}},
    "/environment/settings/ownNetworks/0": {"environment": {"settings": {"ownNetworks": ["203.0.113.0/33"]}}},
    "/gateway/settings/callSeconds": {"gateway": {"settings": {"callSeconds": -1}}},
    "/gateway/settings/corsOrigins/0": {"gateway": {"settings": {"corsOrigins": ["https://console.example/"]}}},
    "/gateway/settings/publicUrl": {"gateway": {"settings": {"publicUrl": "console.example"}}},
    "/gateway/settings/trustedProxies/0": {"gateway": {"settings": {"trustedProxies": ["the proxy"]}}},
    "/provisioner/settings/publicUrl": {"provisioner": {"settings": {"publicUrl": "https://agents.example"}}},
}
"""Each is refused at its place, though all others are right."""
NAMED = (
    "/sovereign/name",
    "/sovereign/fqdn",
    "/sovereign/gitFqdn",
    "/image/registry",
    "catalogue",
    "/database/cidrs/0",
    "/image/tag",
    "replica",
    "/priorityClassName",
    "/catalog/resources/limits/memory",
    "solverSecond",
    "/catalog/settings/solverSeconds",
    "/billing/settings/currency",
    "/settings/logLevel",
    "natsToken",
    "development",
    "/nats/url",
    "/nats/replicas",
    "/postgresql/storage/size",
    "/nodeSelector/disk",
    "a b",
    "/probes/readiness",
    "dbHost",
)  # fmt: skip - as they stand above
ROUTED = {"sovereign": {"name": "home", "fqdn": "console.home.example"}}
UNFIT = [
    ({"postgresql": {"bundled": False}}, "database.host"),
    ({"nats": {"tokenSecret": {"name": ""}}}, "nats.tokenSecret.name"),
    ({"database": {"secretName": "mine"}}, "postgresql.secretName"),
    ({"database": {"userPrefix": "mine_"}}, "database.userPrefix"),
    ({"database": {"port": 6432}}, "database.port"),
    ({"database": {"tls": "verify-full"}}, "database.tls"),
    ({"database": {"authoritiesSecret": {"name": "ca"}}}, "database.authoritiesSecret.name"),
    ({"controllers": {"requesters": {"enabled": True}}, "kubeVersion": "1.35.0"}, "1.36"),
    ({"nats": {"bundled": False}}, "nats.url"),
    ({"gateway": {"autoscaling": {"enabled": True, "min": 5, "max": 2}}}, "gateway.autoscaling.min"),
    ({"image": {"registry": "registry.example", "tag": "latest"}}, "image.tag"),
    ({"provisioner": {"replicas": 2}}, "ReadWriteMany"),
    ({"environment": {"replicas": 2}}, "environment.persistence"),
    ({"provisioner": {"autoscaling": {"enabled": True}}}, "ReadWriteMany"),
    ({"gatewayRoute": {"ingress": {"enabled": True}}}, "sovereign.fqdn"),
    ({"database": {"host": "db.example"}}, "postgresql.bundled"),
    ({"nats": {"url": "nats://nats.example:4222"}}, "nats.bundled"),
    ({"tls": {"requireClient": True}}, "tls.requireClient"),
    ({"catalog": {"resources": {"requests": {"memory": "1Gi"}}}}, "catalog.resources.requests.memory"),
    ({"catalog": {"autoscaling": {"enabled": True}, "resources": {"requests": {"cpu": None}}}}, "requests.cpu"),
    ({"gateway": {"secrets": ["a"]}}, "gateway.secrets"),
    ({"catalog": {"persistence": {"enabled": True}}}, "catalog.persistence.enabled"),
    ({"service": {"side": 7400}}, "service.side"),
    ({**ROUTED, "gatewayRoute": {"httpRoute": {"enabled": True}}}, "gatewayRoute.httpRoute.parentRefs"),
    (
        {"networkPolicy": {"outsideCidrs": ["10.1.0.0/16"], "outsideExcept": ["10.0.0.0/8"]}},
        "networkPolicy.outsideExcept",
    ),
]


def test_all_wrong_values_are_refused_together_by_their_names(tmp_path: Path) -> None:
    done = template(home=tmp_path, values=WRONG)
    assert done.returncode != 0
    told = [line for line in done.stderr.splitlines() if line.lstrip().startswith("- ")]
    for name in NAMED:
        assert [line for line in told if re.search(rf"{name}\b", line)], name


def test_each_odd_value_is_refused_at_its_place(tmp_path: Path) -> None:
    """The schema tells all faults together: so one rendering tells them all, and one of what is right tells none of them."""
    whole: dict[str, Any] = {}
    for odd in ODD.values():
        _into(whole, odd)
    told = template(home=tmp_path, values=whole).stderr
    assert [name for name in ODD if f"'{name}'" not in told] == []


def _into(whole: dict[str, Any], part: dict[str, Any]) -> None:
    """Add `part`; lists of the same place become the longer one."""
    for name, value in part.items():
        if isinstance(value, dict) and isinstance(whole.get(name), dict):
            _into(whole[name], value)
        else:
            whole[name] = value


@pytest.mark.parametrize(
    ("values", "named"),
    UNFIT,
    ids=[
        *("database", "token", "passwords", "prefixes", "port", "unchecked", "authorities"),
        *("requesters", "nats", "bounds", "tag", "trees", "homes", "growth", "route"),
        *(
            "two-databases",
            "two-buses",
            "certificate",
            "memory",
            "shares",
            "secrets",
            "disk",
            "ports",
            "parents",
            "networks",
        ),
    ],
)
def test_values_that_do_not_fit_each_other_are_refused_by_their_names(
    values: dict[str, Any], named: str, tmp_path: Path
) -> None:
    good = {"sovereign": {"name": "home"}, "image": {"registry": "registry.example"}, "postgresql": {"bundled": True}}
    version = values.get("kubeVersion", LATEST)
    values = {name: each for name, each in values.items() if name != "kubeVersion"}
    done = template(home=tmp_path, values={**good, "crds": {"install": False}, **values}, version=version)
    assert done.returncode != 0
    assert named in done.stderr


def test_exceptions_stand_with_the_network_that_holds_them(tmp_path: Path) -> None:
    """Kubernetes refuses an exception of another network."""
    networks = {
        "outsideCidrs": ["10.0.0.0/8", "203.0.113.0/24", "::/0", "2001:db8:0:10::/60"],
        "outsideExcept": [
            "10.42.0.0/16",
            "fd00::/8",
            "2001:db8::1f:0:0:0:0/64",
            "2001:db8:0:1f::/64",
            "2001:db8:0:20::/60",
        ],
    }
    (rule,) = _outside(render(home=tmp_path, values={**LEAN, "networkPolicy": networks}))
    assert [peer["ipBlock"] for peer in rule["to"]] == [
        {"cidr": "10.0.0.0/8", "except": ["10.42.0.0/16"]},
        {"cidr": "203.0.113.0/24"},
        {"cidr": "::/0", "except": networks["outsideExcept"][1:]},
        {"cidr": "2001:db8:0:10::/60", "except": ["2001:db8::1f:0:0:0:0/64", "2001:db8:0:1f::/64"]},
    ]


@pytest.mark.parametrize("closed", [{"outsideCidrs": []}, {"outside": {"https": []}}], ids=["networks", "ports"])
def test_who_may_go_nowhere_is_not_let_go_everywhere(closed: dict[str, Any], tmp_path: Path) -> None:
    assert _outside(render(home=tmp_path, values={**LEAN, "networkPolicy": closed})) == []


def _outside(rendered: Rendered) -> list[dict[str, Any]]:
    """Rules of the catalogue's policy that lead out of the cluster, but to the API server."""
    rules: list[dict[str, Any]] = rendered.one("NetworkPolicy", "catalyst-catalog")["spec"]["egress"]
    assert all(rule.get("ports") for rule in rules)
    out = [rule for rule in rules if [port["port"] for port in rule["ports"]] != [443, 6443]]
    return [rule for rule in out if not rule.get("to") or any("ipBlock" in peer for peer in rule["to"])]


def test_agents_are_told_where_the_provisioner_is_and_not_where_it_listens(tmp_path: Path) -> None:
    def told(settings: dict[str, str]) -> tuple[str, str]:
        values = {**LEAN, "provisioner": {**LEAN["provisioner"], "settings": settings}}
        provisioner = render(home=tmp_path, values=values).one("StatefulSet", "catalyst-provisioner")
        given = environment(provisioner["spec"]["template"]["spec"]["containers"][0])
        return given["CATALYST_PROVISIONER_PUBLIC_URL"], given["CATALYST_PROVISIONER_TREES_URL"]

    inside = "catalyst-provisioner.catalyst-system"
    assert told({}) == (f"{inside}:7400", f"http://{inside}:7440")
    own = {"publicUrl": "agents.example:443", "treesUrl": "https://trees.example"}
    assert told(own) == ("agents.example:443", "https://trees.example")


def test_browsers_come_back_to_the_host_name_of_the_route(tmp_path: Path) -> None:
    gateway = render(home=tmp_path, values=LEAN).one("Deployment", "catalyst-gateway")
    given = environment(gateway["spec"]["template"]["spec"]["containers"][0])
    assert given["CATALYST_GATEWAY_PUBLIC_URL"] == "https://console.all.example"
