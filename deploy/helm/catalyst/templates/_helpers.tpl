{{/* Who there is and who calls whom, made by script/chart. */}}
{{- define "catalyst.mesh" -}}
{{ .Files.Get "files/mesh.yaml" }}
{{- end }}

{{/* The daemons that run here, as YAML: {daemons: [...]}. */}}
{{- define "catalyst.daemons" -}}
{{- $running := list }}
{{- range (include "catalyst.mesh" . | fromYaml).daemons }}
{{- $own := index $.Values .key }}
{{- if and $own $own.enabled }}{{ $running = append $running . }}{{ end }}
{{- end }}
{{- dict "daemons" $running | toYaml }}
{{- end }}

{{- define "catalyst.fullname" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{/* Labels of everything. */}}
{{- define "catalyst.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/part-of: catalyst
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
openova.io/sovereign: {{ .Values.sovereign.name | quote }}
{{- end }}

{{/* Labels by which one daemon's pods are found: (dict "root" $ "name" …). */}}
{{- define "catalyst.selector" -}}
app.kubernetes.io/name: {{ .name }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
{{- end }}

{{/* Image of a daemon: (dict "root" $ "name" …). */}}
{{- define "catalyst.image" -}}
{{- $image := .root.Values.image }}
{{- $digest := index $image.digests .name }}
{{- if eq $image.tag "latest" }}{{ fail "image.tag: latest is no version, and nobody could go back to it: name one" }}{{ end }}
{{- printf "%s/%s" $image.registry .name }}{{ if $digest }}@{{ $digest }}{{ else }}:{{ $image.tag | default .root.Chart.AppVersion }}{{ end }}
{{- end }}

{{/* Port on which a daemon listens beside gRPC, by its name. */}}
{{- define "catalyst.port" -}}
{{- get (dict "http" "8080" "git" "7440" "repositories" "7450") . }}
{{- end }}

{{/* The restricted profile, of a pod and of each container. */}}
{{- define "catalyst.podSecurity" -}}
runAsNonRoot: true
{{- /* A cluster that gives each namespace its own users (OpenShift) refuses any other. */}}
{{- if ne (toString .Values.podSecurity.userId) "cluster" }}
{{- $user := int64 .Values.podSecurity.userId }}
runAsUser: {{ $user }}
runAsGroup: {{ $user }}
fsGroup: {{ $user }}
{{- end }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "catalyst.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "catalyst.databaseHost" -}}
{{- if not (or .Values.database.host .Values.postgresql.bundled) }}{{ fail "database.host: there is no PostgreSQL: name one, or let postgresql.bundled run one for a trial" }}{{ end }}
{{- .Values.database.host | default (printf "%s-postgresql" .Release.Name) }}
{{- end }}

{{- define "catalyst.natsUrl" -}}
{{- if not (or .Values.nats.url .Values.nats.bundled) }}{{ fail "nats.url: there is no NATS: name one, or let nats.bundled run it" }}{{ end }}
{{- .Values.nats.url | default (printf "nats://%s-nats:4222" .Release.Name) }}
{{- end }}

{{/* Settings as environment: `logLevel` is CATALYST_CATALOG_LOG_LEVEL; lists and tables are JSON. */}}
{{- define "catalyst.settings" -}}
{{- range $name, $value := .settings }}
- name: {{ printf "%s%s" $.daemon.prefix ($name | snakecase | upper) }}
  value: {{ kindIs "string" $value | ternary $value ($value | toJson) | quote }}
{{- end }}
{{- end }}

{{/* Every address of the pod, of the family in which Services and probes call it. */}}
{{- define "catalyst.anywhere" -}}
{{- eq .Values.global.ipFamily "IPv6" | ternary "[::]" "0.0.0.0" }}
{{- end }}

{{/* Environment of a daemon: (dict "root" $ "daemon" … "own" …). */}}
{{- define "catalyst.environment" -}}
{{- $root := .root }}{{ $daemon := .daemon }}{{ $own := .own }}{{ $values := .root.Values }}{{ $prefix := .daemon.prefix }}
- name: {{ $prefix }}LISTEN
  value: "{{ include "catalyst.anywhere" $root }}:7400"
- name: {{ $prefix }}SIDE_LISTEN
  value: "{{ include "catalyst.anywhere" $root }}:9090"
{{- range $daemon.listens }}
- name: {{ printf "%s%s_LISTEN" $prefix (upper .) }}
  value: {{ printf "%s:%s" (include "catalyst.anywhere" $root) (include "catalyst.port" .) | quote }}
{{- end }}
{{- if and (has "repositories" $daemon.listens) (not $own.settings.repositoriesUrl) }}
- name: {{ $prefix }}REPOSITORIES_URL
  value: {{ include "catalyst.repositories" $root | quote }}
{{- end }}
{{- if has "git" $daemon.listens }}
{{- /* What agents of clusters are told; those outside of this cluster need an address of their own. */}}
{{- $inside := printf "%s-%s.%s" (include "catalyst.fullname" $root) $daemon.name $root.Release.Namespace }}
{{- if not $own.settings.publicUrl }}
- name: {{ $prefix }}PUBLIC_URL
  value: {{ printf "%s:%v" $inside $values.service.grpc | quote }}
{{- end }}
{{- if not $own.settings.treesUrl }}
- name: {{ $prefix }}TREES_URL
  value: {{ printf "http://%s:%v" $inside $values.service.git | quote }}
{{- end }}
{{- end }}
{{- if and (has "http" $daemon.listens) $values.sovereign.fqdn (not $own.settings.publicUrl) }}
- name: {{ $prefix }}PUBLIC_URL
  value: {{ printf "%s://%s" (include "catalyst.scheme" $root) $values.sovereign.fqdn }}
{{- end }}
- name: {{ $prefix }}DATABASE_URL
  value: {{ printf "postgresql+asyncpg://%s%s@%s:%v/%s%s?ssl=%s" $values.database.userPrefix ($daemon.name | replace "-" "_") (include "catalyst.databaseHost" $root) $values.database.port $values.database.namePrefix ($daemon.name | replace "-" "_") $values.database.tls | quote }}
- name: {{ $prefix }}DATABASE_PASSWORD_FILE
  value: /etc/catalyst/database/password
{{- include "catalyst.trust" $values }}
- name: {{ $prefix }}NATS_URL
  value: {{ include "catalyst.natsUrl" $root | quote }}
{{- if $values.nats.tokenSecret.name }}
- name: {{ $prefix }}NATS_TOKEN_FILE
  value: /etc/catalyst/nats/token
{{- end }}
{{- with $values.nats.monitorUrl | default ($values.nats.bundled | ternary (printf "http://%s-nats:8222" $root.Release.Name) "") }}
- name: {{ $prefix }}NATS_MONITOR_URL
  value: {{ . | quote }}
{{- end }}
- name: {{ $prefix }}DATA_FOLDER
  value: /var/lib/catalyst
- name: {{ $prefix }}KEYRING_FILE
  value: /etc/catalyst/sealing/seal.key
- name: {{ $prefix }}DRAIN_SECONDS
  value: "5"
- name: {{ $prefix }}SOVEREIGN
  value: {{ printf "sovereigns/%s" $values.sovereign.name }}
- name: {{ $prefix }}KUBERNETES_URL
  value: {{ $values.kubernetes.url | quote }}
- name: {{ $prefix }}KUBERNETES_ISSUER
  value: {{ $values.kubernetes.issuer | quote }}
- name: {{ $prefix }}KUBERNETES_CA_FILE
  value: /var/run/catalyst/kubernetes/ca.crt
- name: {{ $prefix }}KUBERNETES_TOKEN_FILE
  value: /var/run/catalyst/kubernetes/token
{{- if and $values.controllers.enabled $daemon.reconciles }}
- name: {{ $prefix }}CONTROLLERS
  value: "true"
{{- if $daemon.shows }}
- name: {{ $prefix }}STATES_NAMESPACE
  value: {{ $root.Release.Namespace | quote }}
{{- if $values.controllers.requesters.enabled }}
- name: {{ $prefix }}REQUESTERS
  value: "true"
- name: {{ $prefix }}REQUESTER_PREFIX
  value: {{ $values.controllers.requesters.prefix | quote }}
{{- end }}
{{- end }}
{{- end }}
- name: {{ $prefix }}WORKLOADS
  value: {{ include "catalyst.workloads" $root | quote }}
{{- if $daemon.calls }}
- name: {{ $prefix }}TOKEN_FOLDER
  value: /var/run/catalyst/tokens
{{- end }}
{{- range $daemon.calls }}
{{- $peer := .name }}{{ $key := .key }}{{ $maybe := .maybe | default list }}
{{- range .env }}
{{- /* Where it may be told that there is none, it is not told of one that is off: asking nobody for memberships would let nobody in. */}}
{{- if or (index $values $key).enabled (not (has . $maybe)) }}
- name: {{ . }}
  value: {{ printf "%s-%s:%v" (include "catalyst.fullname" $root) $peer $values.service.grpc | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- if and $daemon.secrets $own.secrets }}
- name: {{ $prefix }}SECRETS_FOLDER
  value: /etc/catalyst/secrets
{{- end }}
{{- if $values.tls.secretName }}
- name: {{ $prefix }}TLS_CERTIFICATE_FILE
  value: /etc/catalyst/tls/tls.crt
- name: {{ $prefix }}TLS_KEY_FILE
  value: /etc/catalyst/tls/tls.key
- name: {{ $prefix }}TLS_AUTHORITIES_FILE
  value: /etc/catalyst/tls/ca.crt
- name: {{ $prefix }}TLS_REQUIRE_CLIENT
  value: {{ $values.tls.requireClient | quote }}
{{- end }}
{{- include "catalyst.settings" (dict "daemon" $daemon "settings" (merge (dict) $own.settings $values.settings)) }}
{{- end }}

{{/* By whose word certificates are believed, as Python, git and PostgreSQL's client want to be told. */}}
{{- define "catalyst.trust" -}}
{{- $bundle := "/etc/ssl/certs/ca-certificates.crt" }}
{{- with .trust.configMapName }}
{{- $bundle = "/etc/catalyst/trust/ca.crt" }}
{{- range list "SSL_CERT_FILE" "GIT_SSL_CAINFO" }}
- name: {{ . }}
  value: {{ $bundle }}
{{- end }}
{{- end }}
{{- if .database.authoritiesSecret.name }}{{ $bundle = "/etc/catalyst/database-authorities/ca.crt" }}{{ end }}
{{- if or .database.authoritiesSecret.name (eq .database.tls "verify-full") }}
- name: PGSSLROOTCERT
  value: {{ $bundle }}
{{- end }}
{{- end }}

{{/* Where clusters reach the repositories: by the host name of the route, where there is one, else inside this cluster alone. */}}
{{- define "catalyst.repositories" -}}
{{- $route := .Values.gatewayRoute }}
{{- if and .Values.sovereign.gitFqdn (or $route.ingress.enabled $route.httpRoute.enabled) }}
{{- printf "%s://%s" (include "catalyst.scheme" .) .Values.sovereign.gitFqdn }}
{{- else }}
{{- printf "http://%s-environment.%s:%v" (include "catalyst.fullname" .) .Release.Namespace .Values.service.repositories }}
{{- end }}
{{- end }}

{{/* How the hosts of the route are reached: plain only by an Ingress without a certificate. */}}
{{- define "catalyst.scheme" -}}
{{- $route := .Values.gatewayRoute }}
{{- and $route.ingress.enabled (not $route.ingress.tlsSecretName) (not $route.httpRoute.enabled) | ternary "http" "https" }}
{{- end }}

{{/* Which account is which daemon, as JSON. */}}
{{- define "catalyst.workloads" -}}
{{- $accounts := dict }}
{{- range (include "catalyst.daemons" . | fromYaml).daemons }}
{{- $_ := set $accounts (printf "system:serviceaccount:%s:%s-%s" $.Release.Namespace (include "catalyst.fullname" $) .name) .contract }}
{{- end }}
{{- merge $accounts .Values.workloads | toJson }}
{{- end }}
