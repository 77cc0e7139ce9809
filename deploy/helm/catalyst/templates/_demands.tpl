{{/* What the schema cannot say: values that are right alone and wrong together. Each is refused by its name. */}}
{{- define "catalyst.demands" -}}
{{- $root := . }}
{{- $values := .Values }}
{{- if and $values.database.host $values.postgresql.bundled }}
{{- fail "postgresql.bundled: database.host names a PostgreSQL, and nobody would use the bundled one: one of the two" }}
{{- end }}
{{- if and $values.nats.url $values.nats.bundled }}
{{- fail "nats.bundled: nats.url names a NATS, and nobody would use the bundled one: one of the two" }}
{{- end }}
{{- if and $values.tls.requireClient (not $values.tls.secretName) }}
{{- fail "tls.requireClient: without tls.secretName there is no certificate that a caller could be checked by" }}
{{- end }}
{{- include "catalyst.demands.release" . }}
{{- include "catalyst.demands.bundled" $values }}
{{- $route := $values.gatewayRoute }}
{{- if and $route.httpRoute.enabled (not $route.httpRoute.parentRefs) }}
{{- fail "gatewayRoute.httpRoute.parentRefs: a route of no gateway leads nowhere" }}
{{- end }}
{{- range $one := list "http" "git" "repositories" "side" "grpc" }}
{{- range $other, $port := $values.service }}
{{- if and (ne $one $other) (eq (int $port) (int (index $values.service $one))) }}
{{- fail (printf "service.%s: service.%s has the port %v already" $one $other $port) }}
{{- end }}
{{- end }}
{{- end }}
{{- range $daemon := (include "catalyst.daemons" . | fromYaml).daemons }}
{{- include "catalyst.demands.daemon" (dict "daemon" $daemon "own" (index $values $daemon.key)) }}
{{- end }}
{{- include "catalyst.demands.networks" $values.networkPolicy }}
{{- end }}

{{/* Names of Services and of Jobs' pods are made of the release's, and have less room than Helm gives it. */}}
{{- define "catalyst.demands.release" -}}
{{- $name := .Release.Name }}
{{- if not (regexMatch "^[a-z]([a-z0-9-]*[a-z0-9])?$" $name) }}
{{- fail (printf "release %s: Services are named after it, so it begins with a letter and holds letters, digits and dashes alone" $name) }}
{{- end }}
{{- $most := contains .Chart.Name $name | ternary 35 26 }}
{{- if gt (len $name) $most }}
{{- fail (printf "release %s: %d characters, %d are left for it in the names of Jobs and Services" $name (len $name) $most) }}
{{- end }}
{{- end }}

{{/* The bundled servers know nothing of what is said to the daemons elsewhere. */}}
{{- define "catalyst.demands.bundled" -}}
{{- if and .nats.bundled (not .nats.tokenSecret.name) }}
{{- fail "nats.tokenSecret.name: the bundled NATS asks for a token" }}
{{- end }}
{{- if .postgresql.bundled }}
{{- if ne .database.secretName .postgresql.secretName }}
{{- fail (printf "postgresql.secretName: the bundled PostgreSQL would take passwords from %s, and daemons show those of database.secretName, %s" .postgresql.secretName .database.secretName) }}
{{- end }}
{{- range $name := list "userPrefix" "namePrefix" }}
{{- if ne (index $.database $name) $.postgresql.prefix }}
{{- fail (printf "database.%s: %s is not how the bundled PostgreSQL begins its names; postgresql.prefix is %s" $name (index $.database $name) $.postgresql.prefix) }}
{{- end }}
{{- end }}
{{- if ne (int .database.port) 5432 }}{{ fail "database.port: the bundled PostgreSQL listens at 5432" }}{{ end }}
{{- if has .database.tls (list "require" "verify-full") }}{{ fail (printf "database.tls: the bundled PostgreSQL has no certificate, and %s needs one" .database.tls) }}{{ end }}
{{- end }}
{{- if and .database.authoritiesSecret.name (not (has .database.tls (list "require" "verify-full"))) }}
{{- fail (printf "database.authoritiesSecret.name: with database.tls %s no certificate is looked at" .database.tls) }}
{{- end }}
{{- end }}

{{/* Of one daemon: (dict "daemon" … "own" …). */}}
{{- define "catalyst.demands.daemon" -}}
{{- $key := .daemon.key }}{{ $own := .own }}
{{- $resources := $own.resources | default dict }}
{{- range $name, $most := $resources.limits }}
{{- $least := index ($resources.requests | default dict) $name }}
{{- if $least }}
{{- if gt (include "catalyst.quantity" $least | float64) (include "catalyst.quantity" $most | float64) }}
{{- fail (printf "%s.resources.requests.%s: %v is above the limit %v" $key $name $least $most) }}
{{- end }}
{{- end }}
{{- end }}
{{- if and $own.autoscaling.enabled (not (index ($resources.requests | default dict) "cpu")) }}
{{- fail (printf "%s.resources.requests.cpu: autoscaling counts in shares of it" $key) }}
{{- end }}
{{- if and $own.secrets (not .daemon.secrets) }}
{{- fail (printf "%s.secrets: no plugin of this daemon reads one" $key) }}
{{- end }}
{{- if and $own.persistence.enabled (not .daemon.keeps) }}
{{- fail (printf "%s.persistence.enabled: this daemon keeps nothing beside its database" $key) }}
{{- end }}
{{- end }}

{{/* A quantity as a number: 500m is 0.5, 1Ki is 1024. */}}
{{- define "catalyst.quantity" -}}
{{- $text := toString . }}
{{- $unit := regexFind "([numkMGTPE]|[KMGTPE]i)$" $text }}
{{- $number := trimSuffix $unit $text | float64 }}
{{- $times := dict "n" 1e-9 "u" 1e-6 "m" 1e-3 "" 1.0 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18 "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0 "Pi" 1125899906842624.0 "Ei" 1152921504606846976.0 }}
{{- mulf $number (index $times $unit) }}
{{- end }}

{{/* Nothing of a network may be left where all of it is excepted: an empty rule would let everything through. */}}
{{- define "catalyst.demands.networks" -}}
{{- range $cidr := .outsideCidrs }}
{{- range $except := $.outsideExcept }}
{{- if eq (include "catalyst.within" (dict "part" $cidr "whole" $except)) "true" }}
{{- fail (printf "networkPolicy.outsideExcept: %s leaves nothing of %s; take that out of outsideCidrs" $except $cidr) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Whether the network `part` lies within `whole`, or is the same: "true" or "false". */}}
{{- define "catalyst.within" -}}
{{- $part := splitList "/" .part }}{{ $whole := splitList "/" .whole }}
{{- $bits := int (last $whole) }}
{{- if ne (contains ":" .part) (contains ":" .whole) }}false{{ else if lt (int (last $part)) $bits }}false{{ else }}
{{- eq (include "catalyst.bits" (first $part) | trunc $bits) (include "catalyst.bits" (first $whole) | trunc $bits) }}
{{- end }}
{{- end }}

{{/* An address, of whatever version, as zeros and ones. */}}
{{- define "catalyst.bits" -}}
{{- if contains ":" . }}
{{- $halves := splitList "::" . }}
{{- $head := first $halves | splitList ":" | compact }}
{{- $tail := list }}
{{- if gt (len $halves) 1 }}{{ $tail = last $halves | splitList ":" | compact }}{{ end }}
{{- $groups := $head }}
{{- range until (int (sub 8 (add (len $head) (len $tail)))) }}{{ $groups = append $groups "0" }}{{ end }}
{{- range concat $groups $tail }}
{{- range printf "%s%s" (repeat (int (sub 4 (len .))) "0") . | splitList "" }}
{{- include "catalyst.digits" (dict "number" (index (dict "0" 0 "1" 1 "2" 2 "3" 3 "4" 4 "5" 5 "6" 6 "7" 7 "8" 8 "9" 9 "a" 10 "b" 11 "c" 12 "d" 13 "e" 14 "f" 15) .) "count" 4) }}
{{- end }}
{{- end }}
{{- else }}
{{- range splitList "." . }}{{ include "catalyst.digits" (dict "number" (int .) "count" 8) }}{{ end }}
{{- end }}
{{- end }}

{{/* A number as so many zeros and ones. */}}
{{- define "catalyst.digits" -}}
{{- $left := int .number }}{{ $told := "" }}
{{- range until (int .count) }}{{ $told = printf "%d%s" (mod $left 2) $told }}{{ $left = div $left 2 }}{{ end }}
{{- $told }}
{{- end }}
