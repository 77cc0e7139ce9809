"""Values of other clusters than ours: odd, legal, and each of them rendered as Kubernetes wants it."""

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from chartmaker.daemons import found

from .charts import Rendered, containers, environment, render, template

BASE: dict[str, Any] = {
    "sovereign": {"name": "home"},
    "image": {"registry": "registry.example/catalyst"},
    "crds": {"install": False},
}
TRIAL: dict[str, Any] = {**BASE, "postgresql": {"bundled": True}, "powerdns": {"bundled": True}}
AWAY: dict[str, Any] = {
    **BASE,
    "database": {
        "host": "db.example",
        "port": 6432,
        "tls": "verify-full",
        "authoritiesSecret": {"name": "db-ca", "key": "ca.crt"},
        "cidrs": ["10.1.0.0/24"],
    },
    "nats": {
        "bundled": False,
        "url": "tls://nats.example:4443",
        "monitorUrl": "https://nats.example",
        "tokenSecret": {"name": "", "key": "token"},
    },
    "trust": {"configMapName": "bundle", "key": "trust.pem"},
    "networkPolicy": {"telemetryTo": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "obs"}}}]},
    "settings": {"otlpEndpoint": "http://collector.obs:4318/v1"},
}
NUMBERS: dict[str, Any] = {
    "sovereign": {"name": "2026"},
    "image": {"registry": "registry.example", "tag": "1.0", "pullSecrets": ["0123"]},
    "crds": {"install": False},
    "postgresql": {"bundled": True, "secretName": "1"},
    "database": {"secretName": "1", "tls": "disable"},
    "nats": {"tokenSecret": {"name": "007", "key": "1"}},
    "sealing": {"secretName": "1e3"},
    "priorityClassName": "1",
    "nodeSelector": {"rack": "12"},
    "podLabels": {"cost": "0x1f"},
    "podAnnotations": {"on": "true"},
    "gateway": {"serviceAnnotations": {"a": "1"}},
    "billing": {"secrets": ["10"]},
    "continuum": {"persistence": {"storageClassName": "1"}},
    "trust": {"configMapName": "5", "key": "1"},
    "tls": {"secretName": "3"},
}
"""Names that YAML takes for something else."""
PLACED = {
    "pullSecrets": ["mirror"],
    "nodeSelector": {"pool": "system"},
    "tolerations": [{"key": "system", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "priorityClassName": "system-cluster-critical",
}
AFFINITY = {
    "podAntiAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": [
            {"topologyKey": "rack", "labelSelector": {"matchLabels": {"app.kubernetes.io/name": "catalog"}}}
        ]
    }
}
CLUSTERS: dict[str, dict[str, Any]] = {
    "all-away": AWAY,
    "numbers": NUMBERS,
    "openshift": {
        **TRIAL,
        "podSecurity": {"userId": "cluster"},
        **{name: {"bundled": True, "userId": "cluster"} for name in ("nats", "postgresql", "powerdns")},
    },
    "great-user": {**TRIAL, "podSecurity": {"userId": 1000660000}},
    "sixth-version": {
        **TRIAL,
        "global": {"ipFamily": "IPv6"},
        "networkPolicy": {"outsideCidrs": ["::/0"], "outsideExcept": ["fd00::/8", "fe80::/10"]},
    },
    "private-registry": {
        **TRIAL,
        "image": {"registry": "10.0.0.5:5000/mirror", "pullSecrets": ["mirror"], "pullPolicy": "Always"},
        **{name: {"bundled": True, "image": f"10.0.0.5:5000/{name}:1", **PLACED} for name in ("nats", "powerdns")},
        "postgresql": {"bundled": True, "image": "10.0.0.5:5000/postgres@sha256:" + "0" * 64, **PLACED},
    },
    "racks": {
        **TRIAL,
        "topologySpread": [{"topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule", "maxSkew": 2}],
        "catalog": {"affinity": AFFINITY, "replicas": 5},
    },
    "spread-nowhere": {**TRIAL, "topologySpread": []},
    "one-disk-less": {**TRIAL, **{name: {"persistence": {"enabled": False}} for name in ("continuum", "provisioner")}},
    "lonely-catalogue": {**TRIAL, **{each.key: {"enabled": each.folder == "catalog"} for each in found()}},
    "no-policies": {**TRIAL, "networkPolicy": {"enabled": False}, "migrations": {"enabled": False}},
    "nothing-limited": {
        **TRIAL,
        "catalog": {"resources": {"limits": None, "requests": None}},
        "nats": {"memory": "1Gi"},
    },
}  # fmt: skip - a table


@pytest.fixture(scope="module")
def clusters(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Rendered]:
    home = tmp_path_factory.mktemp("helm")
    return {name: render(home=home, values=values) for name, values in CLUSTERS.items()}


def test_kubernetes_takes_them_all(clusters: dict[str, Rendered]) -> None:
    alike: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for one in (one for rendered in clusters.values() for one in rendered.objects):
        alike.setdefault((one["apiVersion"], f"{one['kind']}List"), []).append(one)
    for (version, kind), items in alike.items():  # one list each: the schema is read anew at every call
        kubernetes_validate.validate({"apiVersion": version, "kind": kind, "items": items}, "1.37", strict=True)


@pytest.mark.parametrize("daemon", found(), ids=lambda daemon: daemon.name)
def test_its_daemons_start_with_what_they_are_told(daemon: Any, clusters: dict[str, Rendered]) -> None:
    for name, rendered in clusters.items():
        told = [
            environment(each)
            for _, pod in rendered.pods()
            for each in containers(pod)
            if each["name"] == daemon.name
        ]  # fmt: skip
        for one in told:
            plain = {key: text for key, text in one.items() if not key.endswith("NATS_TOKEN_FILE")}
            settings = daemon.settings.load(plain, [])
            assert settings.listen == ("[::]:7400" if name == "sixth-version" else "0.0.0.0:7400")


def test_who_runs_a_pod_is_the_clusters_business_where_it_says_so(clusters: dict[str, Rendered]) -> None:
    for name, pod in clusters["openshift"].pods():
        told = pod["spec"]["securityContext"]
        assert not {"runAsUser", "runAsGroup", "fsGroup"} & told.keys(), name
        assert told["runAsNonRoot"] is True, name
    users = {pod["spec"]["securityContext"]["runAsUser"] for _, pod in clusters["great-user"].pods()}
    assert users == {1000660000, 10001, 999, 953}


def test_where_addresses_are_of_the_sixth_version_all_listen_there(clusters: dict[str, Rendered]) -> None:
    six = clusters["sixth-version"]
    assert not [
        value
        for _, pod in six.pods()
        for one in containers(pod)
        for value in environment(one).values()
        if "0.0.0.0" in value
    ]
    (nats,) = [one for one in six.of("ConfigMap") if one["metadata"]["name"] == "catalyst-nats"]
    assert 'listen: "[::]:4222"' in nats["data"]["nats.conf"]


def test_bundled_servers_have_a_place_of_their_own(clusters: dict[str, Rendered]) -> None:
    bundled = [pod for name, pod in clusters["private-registry"].pods() if name.endswith(("nats", "sql", "powerdns"))]
    assert len(bundled) == 3
    for pod in bundled:
        spec = pod["spec"]
        assert spec["imagePullSecrets"] == [{"name": "mirror"}]
        assert {key: spec[key] for key in PLACED if key != "pullSecrets"} == {
            key: value for key, value in PLACED.items() if key != "pullSecrets"
        }


def test_the_authorities_of_a_cluster_reach_whoever_looks_at_a_certificate(clusters: dict[str, Rendered]) -> None:
    for name, pod in clusters["all-away"].pods():
        (container,) = containers(pod)
        told = environment(container)
        assert told["PGSSLROOTCERT"] == "/etc/catalyst/database-authorities/ca.crt", name
        assert told["SSL_CERT_FILE"] == told["GIT_SSL_CAINFO"] == "/etc/catalyst/trust/ca.crt", name
        folders = {mount["mountPath"] for mount in container["volumeMounts"]}
        assert {"/etc/catalyst/trust", "/etc/catalyst/database-authorities"} <= folders, name


def test_a_checked_database_is_checked_by_the_images_authorities_if_by_no_others(tmp_path: Path) -> None:
    """asyncpg refuses to start without a file of them."""
    values = {**BASE, "database": {"host": "db.example", "tls": "verify-full"}}
    catalog = render(home=tmp_path, values=values).one("Deployment", "catalyst-catalog")
    told = environment(catalog["spec"]["template"]["spec"]["containers"][0])
    assert told["PGSSLROOTCERT"] == "/etc/ssl/certs/ca-certificates.crt"
    assert "SSL_CERT_FILE" not in told


def test_spans_and_zones_find_their_way(clusters: dict[str, Rendered]) -> None:
    egress = clusters["all-away"].one("NetworkPolicy", "catalyst-catalog")["spec"]["egress"]
    (collector,) = [rule for rule in egress if rule["ports"] == [{"protocol": "TCP", "port": 4318}]]
    assert collector["to"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "obs"}}}]
    rules = clusters["racks"].one("NetworkPolicy", "catalyst-pool-domain-manager")["spec"]["egress"]
    peers = [peer for rule in rules if {"protocol": "TCP", "port": 8081} in rule["ports"] for peer in rule["to"]]
    assert "powerdns" in [
        peer["podSelector"]["matchLabels"]["app.kubernetes.io/name"] for peer in peers if "podSelector" in peer
    ]


def test_two_releases_of_one_namespace_share_nothing_but_secrets(tmp_path: Path) -> None:
    def names(release: str) -> set[tuple[str, str]]:
        rendered = render(home=tmp_path, values=TRIAL, release=release)
        pods = {pod["metadata"]["labels"]["app.kubernetes.io/instance"] for _, pod in rendered.pods()}
        assert pods == {release}
        for policy in rendered.of("NetworkPolicy", "PodDisruptionBudget"):
            key = "podSelector" if policy["kind"] == "NetworkPolicy" else "selector"
            assert policy["spec"][key]["matchLabels"]["app.kubernetes.io/instance"] == release
        return {(one["kind"], one["metadata"]["name"]) for one in rendered.objects}

    assert not names("catalyst") & names("trial")


@pytest.mark.parametrize("release", ["a" * 26, "catalyst-" + "a" * 26])
def test_the_longest_name_of_a_release_fits_all_names_made_of_it(release: str, tmp_path: Path) -> None:
    for one in render(home=tmp_path, values=TRIAL, release=release).objects:
        if one["kind"] in ("Service", "Job", "StatefulSet", "Deployment"):
            assert len(one["metadata"]["name"]) <= 63, one["metadata"]["name"]


@pytest.mark.parametrize("release", ["a" * 27, "catalyst-" + "a" * 27, "1st", "a.b"])
def test_a_name_of_a_release_that_services_cannot_have_is_refused(release: str, tmp_path: Path) -> None:
    done = template(home=tmp_path, values=TRIAL, release=release)
    assert done.returncode != 0
    assert f"release {release}: " in done.stderr


def test_before_an_upgrade_that_turns_a_daemon_on_its_job_has_all_that_it_needs(clusters: dict[str, Rendered]) -> None:
    """Nothing else of that daemon is there yet: no account, no way through the policies."""
    racks = clusters["racks"]
    first = {
        (one["kind"], one["metadata"]["name"]): int(one["metadata"]["annotations"].get("helm.sh/hook-weight", 0))
        for one in racks.objects
        if one["metadata"].get("annotations", {}).get("helm.sh/hook") == "post-install,pre-upgrade"
    }
    jobs = racks.of("Job")
    assert jobs
    for job in jobs:
        account = job["spec"]["template"]["spec"]["serviceAccountName"]
        for needed in (("ServiceAccount", account), ("NetworkPolicy", "catalyst-migrate")):
            assert first[needed] < first["Job", job["metadata"]["name"]]
        selector = racks.one("NetworkPolicy", "catalyst-migrate")["spec"]["podSelector"]
        labels = job["spec"]["template"]["metadata"]["labels"]
        assert selector["matchLabels"].items() <= labels.items()
        assert all(each["key"] in labels for each in selector["matchExpressions"])
