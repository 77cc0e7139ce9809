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

{{/* Whether the network `part` lies within `whole`, or is the same: "true" or "false". Networks of the sixth version are within ::/0, and each in itself. */}}
{{- define "catalyst.within" -}}
{{- if eq .part .whole }}true{{ else if contains ":" .part }}{{ eq .whole "::/0" }}{{ else if contains ":" .whole }}false{{ else }}
{{- $part := splitList "/" .part }}{{ $whole := splitList "/" .whole }}
{{- $bits := int (last $whole) }}
{{- if lt (int (last $part)) $bits }}false{{ else }}
{{- $size := 1 }}
{{- range until (int (sub 32 $bits)) }}{{ $size = mul $size 2 }}{{ end }}
{{- eq (div (include "catalyst.address" (first $part) | int64) $size) (div (include "catalyst.address" (first $whole) | int64) $size) }}
{{- end }}
{{- end }}
{{- end }}

{{/* An address of the fourth version as a number. */}}
{{- define "catalyst.address" -}}
{{- $number := 0 }}
{{- range splitList "." . }}{{ $number = add (mul $number 256) (int .) }}{{ end }}
{{- $number }}
{{- end }}
