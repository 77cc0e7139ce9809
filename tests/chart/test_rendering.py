"""Every example: accepted by Helm and by Kubernetes, restricted everywhere, with probes, and no secret in it."""

import json
from pathlib import Path
from typing import Any

import celpy
import kubernetes_validate
import pytest
import yaml
from catalyst_kube import KINDS
from catalyst_mesh import DaemonSettings
from celpy.adapter import json_to_cel
from chartmaker.daemons import Found, found
from chartmaker.making import made

from .charts import CHART, EXAMPLES, OLDEST, Rendered, containers, environment, helm, render

OTHERS = {"HTTPRoute", "ServiceMonitor", "PrometheusRule"}
"""Kinds that are not Kubernetes' own."""
EVERYTHING: dict[str, Any] = {
    "sovereign": {"name": "all", "fqdn": "console.all.example", "gitFqdn": "git.all.example"},
    "image": {
        "registry": "registry.example/catalyst",
        "pullSecrets": ["pull"],
        "digests": {"catalog": "sha256:" + "0" * 64},
    },
    "postgresql": {"bundled": True},
    "powerdns": {"bundled": True},
    "tls": {"secretName": "grpc"},
    "metrics": {"serviceMonitor": True, "rules": True, "labels": {"release": "prometheus"}},
    "gatewayRoute": {"ingress": {"enabled": True}, "httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}]}},
    "gateway": {
        "autoscaling": {"enabled": True},
        "serviceType": "LoadBalancer",
        "serviceAnnotations": {"ip": "203.0.113.7"},
    },
    "provisioner": {"serviceType": "NodePort", "replicas": 3, "persistence": {"accessMode": "ReadWriteMany"}},
    "nodeSelector": {"pool": "system"},
    "tolerations": [{"key": "system", "operator": "Exists"}],
    "workloads": {"system:serviceaccount:other:continuum": "continuum"},
    "controllers": {"requesters": {"enabled": True, "prefix": "oidc:"}},
}
LEAN = {**EVERYTHING, "crds": {"install": False}}
"""The same without the definitions of our kinds, which are most of its text and the same each time."""
NAMES = [*(path.stem for path in EXAMPLES), "everything"]


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Rendered:
    return render(home=tmp_path_factory.mktemp("helm"), values=EVERYTHING)


@pytest.fixture(scope="module", params=NAMES)
def rendered(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Rendered:
    if request.param == "everything":
        whole = request.getfixturevalue("everything")
        assert isinstance(whole, Rendered)
        return whole
    (path,) = [path for path in EXAMPLES if path.stem == request.param]
    return render(path, home=tmp_path_factory.mktemp("helm"))


def test_what_is_made_from_the_daemons_is_up_to_date() -> None:
    assert [str(path) for path, text in made().items() if path.read_text() != text] == []


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_helm_finds_nothing_to_complain_of(path: Path, tmp_path: Path) -> None:
    done = helm("lint", "--strict", str(CHART), "--values", str(path), home=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_kubernetes_knows_every_field(rendered: Rendered) -> None:
    alike: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for one in rendered.objects:
        if one["kind"] not in OTHERS:
            alike.setdefault((one["apiVersion"], f"{one['kind']}List"), []).append(one)
    for (version, kind), items in alike.items():  # one list each: the schema is read anew at every call
        whole = {"apiVersion": version, "kind": kind, "items": items}
        kubernetes_validate.validate(whole, "1.37", strict=True)


def test_what_has_an_address_outside_shows_neither_metrics_nor_a_door_without_limits(everything: Rendered) -> None:
    services = {one["metadata"]["name"]: one for one in everything.objects if one["kind"] == "Service"}
    ours = {name: one for name, one in services.items() if "powerdns" not in name}
    reached = {
        name: [port["name"] for port in one["spec"]["ports"]]
        for name, one in ours.items()
        if one["spec"].get("type", "ClusterIP") != "ClusterIP"
    }
    assert reached == {"catalyst-gateway-outside": ["http"], "catalyst-provisioner-outside": ["grpc", "git"]}
    outside = ours["catalyst-gateway-outside"]
    assert outside["metadata"]["annotations"] == {"ip": "203.0.113.7"}
    inside = ours["catalyst-gateway"]["spec"]
    assert inside["selector"] == outside["spec"]["selector"]
    assert {"grpc", "http", "side"} == {port["name"] for port in inside["ports"]}


def test_nothing_is_written_twice(rendered: Rendered) -> None:
    names = [(one["kind"], one["metadata"]["name"]) for one in rendered.objects]
    assert len(names) == len(set(names))


def test_every_container_has_the_restricted_profile(rendered: Rendered) -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/, the profile Restricted."""
    for name, pod in rendered.pods():
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["runAsUser"] > 0, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys(), name
        assert spec["automountServiceAccountToken"] is False, name
        kinds = {key for volume in spec["volumes"] for key in volume if key != "name"}
        assert kinds <= {"emptyDir", "secret", "configMap", "projected", "persistentVolumeClaim"}, name
        for container in containers(pod):
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False, name
            assert context["readOnlyRootFilesystem"] is True, name
            assert context["capabilities"] == {"drop": ["ALL"]}, name
            assert context["seccompProfile"] == {"type": "RuntimeDefault"}, name
            assert not any("hostPort" in port for port in container.get("ports", ())), name
            assert not container["image"].endswith(":latest"), name
            assert ":" in container["image"].rsplit("/", 1)[1], name


def test_every_mount_has_its_volume(rendered: Rendered) -> None:
    for one in rendered.of("Deployment", "StatefulSet", "Job"):
        spec = one["spec"]["template"]["spec"]
        claimed = [claim["metadata"]["name"] for claim in one["spec"].get("volumeClaimTemplates", ())]
        there = [*claimed, *(volume["name"] for volume in spec["volumes"])]
        assert len(there) == len(set(there)), one["metadata"]["name"]
        mounted = {
            mount["name"] for container in containers(one["spec"]["template"]) for mount in container["volumeMounts"]
        }
        assert mounted == set(there), one["metadata"]["name"]


def test_secrets_are_named_and_never_written(rendered: Rendered) -> None:
    assert rendered.of("Secret") == []


def test_every_daemon_has_its_probes_its_budget_and_time_to_stop(everything: Rendered) -> None:
    for daemon in found():
        name = f"catalyst-{daemon.name}"
        one = running(daemon, everything)
        (container,) = one["spec"]["template"]["spec"]["containers"]
        assert container["startupProbe"]["httpGet"]["path"] == "/livez"
        assert container["livenessProbe"]["httpGet"]["path"] == "/livez"
        assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"  # over TLS Kubernetes cannot ask gRPC
        assert one["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 40
        budget = everything.one("PodDisruptionBudget", name)
        assert budget["spec"]["maxUnavailable"] == 1
        assert budget["spec"]["selector"] == one["spec"]["selector"]
        assert everything.one("Service", name)["spec"]["selector"] == one["spec"]["selector"]["matchLabels"]


def test_people_reach_console_and_repositories_each_under_its_name(everything: Rendered) -> None:
    named = {"gateway": ("console.all.example", "http", 80), "environment": ("git.all.example", "repositories", 7450)}
    for daemon, (host, port, number) in named.items():
        name = f"catalyst-{daemon}"
        (rule,) = everything.one("Ingress", name)["spec"]["rules"]
        assert rule["host"] == host
        assert rule["http"]["paths"][0]["backend"]["service"] == {"name": name, "port": {"name": port}}
        route = everything.one("HTTPRoute", name)["spec"]
        assert route["hostnames"] == [host]
        assert route["rules"][0]["backendRefs"] == [{"name": name, "port": number}]
        assert (port, number) in [
            (each["name"], each["port"]) for each in everything.one("Service", name)["spec"]["ports"]
        ]


def test_without_tls_readiness_is_asked_by_grpc(tmp_path: Path) -> None:
    plain = {**LEAN, "tls": {"secretName": ""}}
    catalog = render(home=tmp_path, values=plain).one("Deployment", "catalyst-catalog")
    assert catalog["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]["grpc"] == {"port": 7400}


def running(daemon: Found, rendered: Rendered) -> dict[str, Any]:
    """The Deployment or StatefulSet of a daemon."""
    name = f"catalyst-{daemon.name}"
    (one,) = [one for one in rendered.of("Deployment", "StatefulSet") if one["metadata"]["name"] == name]
    return one


def settings_of(daemon: Found, rendered: Rendered) -> DaemonSettings:
    """The daemon's own settings, read from the environment that the chart gives it."""
    one = running(daemon, rendered)
    given = environment(one["spec"]["template"]["spec"]["containers"][0])
    files = {name: text for name, text in given.items() if name.endswith("NATS_TOKEN_FILE")}
    return daemon.settings.load({name: text for name, text in given.items() if name not in files}, [])


@pytest.mark.parametrize("daemon", found(), ids=lambda daemon: daemon.name)
def test_a_daemon_starts_with_the_environment_that_it_is_given(daemon: Found, everything: Rendered) -> None:
    settings = settings_of(daemon, everything)
    assert settings.listen == "0.0.0.0:7400"
    assert settings.sovereign == "sovereigns/all"
    assert settings.database_url.startswith("postgresql+asyncpg://catalyst_")
    assert settings.workloads["system:serviceaccount:catalyst-system:catalyst-catalog"] == "catalog"
    assert settings.workloads["system:serviceaccount:other:continuum"] == "continuum"
    for setting, peer in daemon.peers.items():
        assert getattr(settings, setting) == f"catalyst-{peer.replace('_', '-')}:7400"


def test_settings_reach_the_daemon_in_its_own_form(tmp_path: Path) -> None:
    own = {"logLevel": "DEBUG", "solverSeconds": 2.5, "plugins": {"blueprint_source:git": {"depth": 3}}}
    values = {**LEAN, "settings": {"traceRatio": 0.25, "logLevel": "ERROR"}, "catalog": {"settings": own}}
    (catalog,) = [daemon for daemon in found() if daemon.name == "catalog"]
    settings: Any = settings_of(catalog, render(home=tmp_path, values=values))
    assert (settings.log_level, settings.solver_seconds, settings.trace_ratio) == ("DEBUG", 2.5, 0.25)
    assert settings.plugins == {"blueprint_source:git": {"depth": 3}}


def test_clusters_are_told_an_address_of_the_repositories_that_they_reach(everything: Rendered, tmp_path: Path) -> None:
    (daemon,) = [daemon for daemon in found() if daemon.name == "environment"]
    told: Any = settings_of(daemon, everything)
    assert told.repositories_url == "https://git.all.example"
    nowhere = {**LEAN, "sovereign": {**LEAN["sovereign"], "gitFqdn": ""}}
    inside: Any = settings_of(daemon, render(home=tmp_path, values=nowhere))
    assert inside.repositories_url == "http://catalyst-environment.catalyst-system:7450"
    own = {**LEAN, "environment": {"settings": {"repositoriesUrl": "https://git.example"}}}
    chosen: Any = settings_of(daemon, render(home=tmp_path, values=own))
    assert chosen.repositories_url == "https://git.example"


def test_each_peer_is_shown_a_token_that_opens_no_other_door(everything: Rendered) -> None:
    for daemon in found():
        (one,) = [
            one
            for one in everything.of("Deployment", "StatefulSet")
            if one["metadata"]["name"] == f"catalyst-{daemon.name}"
        ]
        volumes = {volume["name"]: volume for volume in one["spec"]["template"]["spec"]["volumes"]}
        sources = volumes.get("tokens", {"projected": {"sources": []}})["projected"]["sources"]
        tokens = {
            source["serviceAccountToken"]["path"]: source["serviceAccountToken"]["audience"] for source in sources
        }
        contracts = {each.folder: each.contract for each in found()}
        assert tokens == {contracts[peer]: f"catalyst-{contracts[peer]}" for peer in daemon.peers.values()}


@pytest.mark.parametrize("off", [daemon.key for daemon in found()])
def test_a_daemon_that_is_off_leaves_nothing_behind(off: str, tmp_path: Path) -> None:
    (daemon,) = [daemon for daemon in found() if daemon.key == off]
    text = render(home=tmp_path, values={**LEAN, off: {"enabled": False}})
    names = [one["metadata"]["name"] for one in text.objects]
    assert not [name for name in names if daemon.name in name]
    told = {
        name: value for _, pod in text.pods() for one in containers(pod) for name, value in environment(one).items()
    }
    for caller in found():
        for setting, folder in caller.peers.items():
            variable = f"{caller.prefix}{setting}".upper()
            is_told = folder != daemon.folder or caller.settings.model_fields[setting].default
            assert caller.key == off or (variable in told) == bool(is_told), variable


def test_an_old_cluster_gets_what_it_knows(tmp_path: Path) -> None:
    old = render(home=tmp_path, values={**LEAN, "tls": {"secretName": ""}, "controllers": {}}, version=OLDEST)
    assert {one["apiVersion"] for one in old.of("PodDisruptionBudget")} == {"policy/v1beta1"}
    assert {one["apiVersion"] for one in old.of("HorizontalPodAutoscaler")} == {"autoscaling/v2beta2"}
    readiness = [
        each["readinessProbe"] for _, pod in old.pods() for each in containers(pod) if "readinessProbe" in each
    ]
    assert [probe for probe in readiness if "grpc" in probe] == []


def test_the_migration_runs_before_an_upgrade_as_the_daemon_would(everything: Rendered) -> None:
    for daemon in found():
        job = everything.one("Job", f"catalyst-{daemon.name}-migrate")
        assert job["metadata"]["annotations"]["helm.sh/hook"] == "post-install,pre-upgrade"
        (container,) = job["spec"]["template"]["spec"]["containers"]
        assert container["args"] == ["--migrate"]
        assert f"{daemon.prefix}DATABASE_URL" in environment(container)


def test_rules_and_scrapes_name_what_is_there(everything: Rendered) -> None:
    (monitor,) = everything.of("ServiceMonitor")
    (endpoint,) = monitor["spec"]["endpoints"]
    daemons = {f"catalyst-{daemon.name}" for daemon in found()}
    for service in everything.of("Service"):
        if service["metadata"]["name"] in daemons:
            assert endpoint["port"] in [port["name"] for port in service["spec"]["ports"]]
            assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    (rules,) = everything.of("PrometheusRule")
    assert rules["spec"]["groups"]


def test_every_value_has_its_line_in_the_file(tmp_path: Path) -> None:
    """What the schema lets through stands in values.yaml with a word about it, and the other way round."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert set(values) == set(schema["properties"])
    for name, kind in schema["properties"].items():
        known = set(kind.get("properties", {}))
        if name not in ("settings", "nats", "postgresql", "powerdns", "global") and known:
            assert set(values[name]) == known, name


def test_a_daemon_may_do_with_objects_what_its_controllers_do_and_no_more(everything: Rendered) -> None:
    for daemon in found():
        rules = [
            rule
            for role in everything.of("ClusterRole", "Role")
            if f"catalyst-{daemon.name}-" in role["metadata"]["name"]
            for rule in role["rules"]
        ]
        may = {(resource, verb) for rule in rules for resource in rule["resources"] for verb in rule["verbs"]}
        reads, shows = ([kind.plural for kind in daemon.kinds(role)] for role in ("RECONCILES", "SHOWS"))
        assert may == {
            *((plural, verb) for plural in reads for verb in ("get", "list", "watch", "patch")),
            *((plural, verb) for plural in shows for verb in ("get", "list", "create", "patch", "delete")),
            *((f"{plural}/status", "patch") for plural in (*reads, *shows)),
            *((("events", "create"),) if reads else ()),
        }
        assert not any("*" in (*rule["apiGroups"], *rule["resources"], *rule["verbs"]) for rule in rules)
        pods = [pod for name, pod in everything.pods() if name.endswith(f"-{daemon.name}")]
        told = {name for pod in pods for container in containers(pod) for name in environment(container)}
        assert (f"{daemon.prefix}CONTROLLERS" in told) == bool(reads)


def test_who_changes_a_wish_is_written_by_the_api_server_and_by_nobody_else(everything: Rendered) -> None:
    (policy,) = everything.of("MutatingAdmissionPolicy")
    (binding,) = everything.of("MutatingAdmissionPolicyBinding")
    assert binding["spec"]["policyName"] == policy["metadata"]["name"]
    (rule,) = policy["spec"]["matchConstraints"]["resourceRules"]
    assert (rule["operations"], rule["resources"]) == (["CREATE", "UPDATE"], ["sovereigns"])
    expressions = [(one["name"], one["expression"]) for one in policy["spec"]["variables"]]

    def by(new: dict[str, Any], old: dict[str, Any] | None) -> str:
        """What is written when eve sends `new`."""
        known: dict[str, Any] = {"object": new, "oldObject": old, "request": {"userInfo": {"username": "eve"}}}
        known["variables"] = {}
        for name, expression in expressions:
            known["variables"][name] = evaluated(expression, known)
        return str(known["variables"]["by"])

    def sovereign(fqdn: str, **marks: str) -> dict[str, Any]:
        annotations = {"annotations": {f"catalyst.openova.io/{key}": value for key, value in marks.items()}}
        return {"metadata": {"name": "one", **(annotations if marks else {})}, "spec": {"fqdn": fqdn}}

    ours = {"applied-by": "ada"}
    assert by(sovereign("a.example"), None) == by(sovereign("a.example", **ours), None) == "eve"
    assert by(sovereign("b.example", **ours), sovereign("a.example", **ours)) == "eve"
    assert by(sovereign("a.example", **{"applied-by": "bob"}), sovereign("a.example", **ours)) == "ada"
    assert by(sovereign("a.example"), sovereign("a.example", **ours)) == "ada"
    assert by(sovereign("a.example", **{"applied-by": "bob"}), sovereign("a.example")) == ""


def evaluated(expression: str, known: dict[str, Any]) -> Any:
    """What CEL says."""
    environment = celpy.Environment()
    values: Any = json_to_cel(known)
    said = environment.program(environment.compile(expression)).evaluate(dict(values))
    return json.loads(json.dumps(said, cls=celpy.CELJSONEncoder))


def test_where_controllers_are_off_nobody_may_touch_an_object(tmp_path: Path) -> None:
    off = render(home=tmp_path, values={**LEAN, "controllers": {"enabled": False, "requesters": {"enabled": True}}})
    assert not off.of("ClusterRole", "Role", "MutatingAdmissionPolicy")
    assert "CONTROLLERS" not in off.text


def test_every_kind_has_one_daemon() -> None:
    kinds = [kind.name for daemon in found() for role in ("RECONCILES", "SHOWS") for kind in daemon.kinds(role)]
    assert sorted(kinds) == sorted(KINDS)


def test_what_changes_without_a_restart_is_mounted_as_a_folder(everything: Rendered) -> None:
    for name, pod in everything.pods():
        for container in containers(pod):
            assert not [mount for mount in container.get("volumeMounts", ()) if "subPath" in mount], name
    for daemon in found():
        pods = [pod for name, pod in everything.pods() if name.endswith(f"-{daemon.name}")]
        for container in (each for pod in pods for each in containers(pod)):
            keyring = environment(container)[f"{daemon.prefix}KEYRING_FILE"]
            assert any(keyring.startswith(f"{mount['mountPath']}/") for mount in container["volumeMounts"])
