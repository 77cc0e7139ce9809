"""The form of a Continuum's spec (kind `Continuum`, `dr.openova.io/v1`), as manifests have it (specification, 2.1)."""

from .forms import ByName, Field, Flag, Form, Many, Number, Seconds, Span, Text, Words

REGION = r"[a-z][a-z0-9]*(-[a-z0-9]+){3,}"
_NAME = Text(r"[a-z0-9][a-z0-9.-]*", 253, "a name")
_LABEL = Text(r"[a-z0-9][a-z0-9-]*", 63, "a label")
_NAMESPACE = Text(r"[a-z0-9-]+", 63, "a namespace")
_REGION = Text(REGION, 32, "the name of a host cluster")
_ZONE = Text(r"[a-z0-9_-]+([.][a-z0-9_-]+)*[.]?", 254, "a zone")
_URL = Text(r"https?://[^ ]+", 2048, "an address with http:// or https://")
_IPV4 = Text(r"((25[0-5]|2[0-4]\d|1?\d?\d)[.]){3}(25[0-5]|2[0-4]\d|1?\d?\d)", 15, "an IPv4 address")
_ADDRESS = Text(r"([0-9.]+|\[[0-9a-fA-F:.]+\]):[0-9]{1,5}", 64, "ip:port")
_ANY, _LONG = Text(most=256), Text(most=1024)

_APPLICATION = Form({"name": Field(_NAME, "name", needed=True)})
_OBJECT = Form({"name": Field(_NAME, "name", needed=True), "namespace": Field(_NAMESPACE, "namespace")})
_SECRET = Form(
    {"name": Field(_NAME, "name", needed=True), "key": Field(Text(), "key")},
    instead="the name and key of a stored secret are expected, never the secret itself",
)
_TRANSPORT = Words("TRANSPORT_", ("udp", "tcp", "tls"))
_REGION_ROW = Form(
    {
        "name": Field(_REGION, "name", needed=True),
        "lbIPs": Field(Many(Text(r"[0-9a-fA-F.:]+", 45, "an address"), most=16, unique=True), "lb_ips"),
        "agentEndpoint": Field(Text(r"[^ /]+:[0-9]{1,5}", 260, "host:port"), "agent_endpoint"),
        "gatewayRef": Field(_OBJECT, "gateway_ref"),
        "promotable": Field(Flag(), "promotable"),
        "weight": Field(Number(0, 65535), "weight"),
    }
)  # fmt: skip - a table
_NAMESERVER = Form(
    {
        "name": Field(_LABEL, "name", needed=True),
        "address": Field(_ADDRESS, "address", needed=True),
        "zone": Field(_ZONE, "zone", needed=True),
        "tsigSecretRef": Field(_SECRET, "tsig_secret_ref", needed=True),
        "transport": Field(_TRANSPORT, "transport"),
        "region": Field(_REGION, "region"),
    }
)  # fmt: skip - a table
_CELL = Form(
    {
        "name": Field(_LABEL, "name", needed=True),
        "kind": Field(
            Words("KIND_", ("dns", "durable-object", "http-cas", "etcd", "postgres", "k8s-lease")), "kind", needed=True
        ),
        "domain": Field(_LABEL, "domain", needed=True),
        "region": Field(_REGION, "region"),
        "address": Field(_ANY, "address"),
        "zone": Field(_ZONE, "zone"),
        "baseURL": Field(_URL, "base_url"),
        "secretRef": Field(_SECRET, "secret_ref"),
        "transport": Field(_TRANSPORT, "transport"),
    }
)  # fmt: skip - a table
_CONFIG = Form(
    {
        "ttlSeconds": Field(Seconds(5, 600), "ttl"),
        "renewSeconds": Field(Seconds(1, 60), "renew_interval"),
        "pollSeconds": Field(Seconds(0.2, 30), "poll_interval"),
        "opTimeoutSeconds": Field(Seconds(0.2, 10), "op_timeout"),
        "fenceBudgetSeconds": Field(Seconds(1, 120), "fence_budget"),
        "maxDriftPpm": Field(Number(100, 100_000), "max_drift_ppm"),
        "nameservers": Field(Many(_NAMESERVER, 3, 7, by=("name", "address"), is_odd=True), "nameservers"),
        "resolvers": Field(Many(_IPV4, 3, 5, unique=True), "resolvers"),
        "cells": Field(Many(_CELL, 3, 7, by=("name", "domain"), is_odd=True), "cells"),
        "kvNamespaceId": Field(_ANY, "kv_namespace_id"),
        "accountId": Field(_ANY, "account_id"),
        "baseURL": Field(_URL, "base_url"),
        "tokenSecretRef": Field(_SECRET, "token_secret_ref"),
        "kubeconfigSecretRef": Field(_SECRET, "kubeconfig_secret_ref"),
    }
)  # fmt: skip - a table
_LEASE_KINDS = ("dns-quorum", "quorum", "cloudflare-kv", "durable-object", "k8s-lease", "in-memory")
_LEASE = Form(
    {
        "kind": Field(Words("KIND_", _LEASE_KINDS), "kind", needed=True),
        "config": Field(_CONFIG, "config"),
    }
)  # fmt: skip - a table
_HEALTH = Form(
    {
        "url": Field(_URL, "url", needed=True),
        "intervalSeconds": Field(Seconds(1, 60), "interval"),
        "timeoutSeconds": Field(Seconds(1, 30), "timeout"),
        "failureThreshold": Field(Number(0, 100), "failure_threshold"),
    }
)  # fmt: skip - a table
_SELECTORS = ("ifurlup", "ifportup", "pickclosest", "pickwhashed", "static")
_LUA = Form(
    {
        "selector": Field(Words("SELECTOR_", _SELECTORS, {"pickfirst": "static"}), "selector"),
        "hostnames": Field(
            Many(Text(r"[A-Za-z0-9*_.-]+", 253, "a name"), 1, 50, unique=True), "hostnames", needed=True
        ),
        "ttl": Field(Seconds(1, 300), "ttl"),
        "zone": Field(_ZONE, "zone", needed=True),
        "healthCheck": Field(_HEALTH, "health_check"),
    },
    same={"pdmZone": "zone"},
)
_RAFT = Form(
    {
        "namespace": Field(_NAMESPACE, "namespace", needed=True),
        "pod": Field(_NAME, "pod"),
        "podSelector": Field(_LONG, "pod_selector"),
        "container": Field(_NAME, "container"),
        "raftDataPath": Field(_LONG, "raft_data_path"),
        "snapshotPath": Field(_LONG, "snapshot_path"),
        "baoBinary": Field(_ANY, "bao_binary"),
    }
)  # fmt: skip - a table
MECHANISMS = ("cnpg-topology", "cnpg-pair", "postgres", "raft-transition", "stateless", "demo")
_SWITCHOVER = Form(
    {
        "mechanism": Field(Words("MECHANISM_", MECHANISMS), "mechanism"),
        "drainSeconds": Field(Seconds(0, 300), "drain"),
        "requested": Field(Flag(), "trigger.requested"),
        "targetRegion": Field(_REGION, "trigger.target_region"),
        "requestedBy": Field(_ANY, "trigger.requested_by"),
        "reason": Field(_LONG, "trigger.reason"),
        "requestId": Field(_ANY, "trigger.trigger_id"),
        "raftTransition": Field(_RAFT, "raft_transition"),
    }
)  # fmt: skip - a table
_DATABASE = Form(
    {
        "clusters": Field(ByName(_OBJECT, 5), "clusters"),
        "syncMode": Field(Words("SYNC_MODE_", ("required", "preferred", "async")), "sync_mode"),
    }
)  # fmt: skip - a table
_APPROVAL = Form(
    {
        "required": Field(Words("REQUIRED_", ("never", "failover", "switchover", "failback", "always")), "required"),
        "approvers": Field(Many(Text(".+", 256, "a principal or role:name"), most=50, unique=True), "approvers"),
        "quorum": Field(Number(0, 50), "quorum"),
        "timeout": Field(Span(1, 604_800), "timeout"),
    }
)  # fmt: skip - a table
_ANTI_FLAP = Form(
    {
        "minInterval": Field(Span(), "min_interval"),
        "maxAutoFailovers": Field(Number(0, 100), "max_auto_failovers"),
        "window": Field(Span(1), "window"),
    }
)  # fmt: skip - a table
_FAILBACK = Form(
    {
        "policy": Field(Words("POLICY_", ("manual", "scheduled", "never")), "policy"),
        "stableFor": Field(Span(), "stable_for"),
        "window": Field(_ANY, "window"),
    }
)  # fmt: skip - a table
_SAFETY_RULE = Form(
    {
        "name": Field(_LABEL, "name", needed=True),
        "expr": Field(Text(most=4096), "expr"),
        "plugin": Field(Text(most=128), "plugin"),
        "when": Field(Text(most=4096), "when"),
    }
)  # fmt: skip - a table
_DRILL = Form(
    {
        "schedule": Field(_ANY, "schedule"),
        "kind": Field(Words("KIND_", ("dry-run", "isolated", "game-day")), "kind"),
        "maxAge": Field(Span(1), "max_age"),
    }
)  # fmt: skip - a table
SPEC = Form(
    {
        "applicationRef": Field(_APPLICATION, "application_ref"),
        "primaryRegion": Field(_REGION, "primary_region", needed=True),
        "hotStandbyRegions": Field(Many(_REGION, most=4, unique=True), "hot_standby_regions"),
        "regions": Field(Many(_REGION_ROW, most=5, by=("name",)), "regions"),
        "leaseClient": Field(_LEASE, "lease_client", needed=True),
        "luaRecord": Field(_LUA, "lua_record"),
        "rto": Field(Span(1, units="smh"), "rto"),
        "rpo": Field(Span(units="smh"), "rpo"),
        "mode": Field(Words("MODE_", ("automatic", "semi-automatic", "manual")), "mode"),
        "autoFailover": Field(Flag(), "auto_failover"),
        "switchover": Field(_SWITCHOVER, "switchover"),
        "cnpgPair": Field(_OBJECT, "cnpg_pair"),
        "database": Field(_DATABASE, "database"),
        "standbyGraceSeconds": Field(Seconds(0, 3600), "standby_grace"),
        "httpRoute": Field(_OBJECT, "http_route"),
        "approval": Field(_APPROVAL, "approval"),
        "antiFlap": Field(_ANTI_FLAP, "anti_flap"),
        "failback": Field(_FAILBACK, "failback"),
        "witnessLoss": Field(Words("WITNESS_LOSS_", ("failsafe-peers", "fence")), "witness_loss"),
        "safetyRules": Field(Many(_SAFETY_RULE, most=50, by=("name",)), "safety_rules"),
        "drill": Field(_DRILL, "drill"),
        "suspend": Field(Flag(), "suspend"),
    }
)  # fmt: skip - a table
"""`spec`. `switchover.*` of the earlier system's trigger stand under `trigger` in the API."""
