{{/* What a pod of a daemon mounts: (dict "root" $ "daemon" … "own" …). */}}
{{- define "catalyst.mounts" -}}
- {name: tmp, mountPath: /tmp}
- {name: data, mountPath: /var/lib/catalyst}
{{- /* A folder: a file that is mounted by subPath would stay as it was until the pod goes. */}}
- {name: sealing, mountPath: /etc/catalyst/sealing, readOnly: true}
- {name: database, mountPath: /etc/catalyst/database, readOnly: true}
{{- if .root.Values.nats.tokenSecret.name }}
- {name: nats, mountPath: /etc/catalyst/nats, readOnly: true}
{{- end }}
- {name: kubernetes, mountPath: /var/run/catalyst/kubernetes, readOnly: true}
{{- if .daemon.calls }}
- {name: tokens, mountPath: /var/run/catalyst/tokens, readOnly: true}
{{- end }}
{{- if and .daemon.secrets .own.secrets }}
- {name: secrets, mountPath: /etc/catalyst/secrets, readOnly: true}
{{- end }}
{{- if .root.Values.tls.secretName }}
- {name: tls, mountPath: /etc/catalyst/tls, readOnly: true}
{{- end }}
{{- if .root.Values.trust.configMapName }}
- {name: trust, mountPath: /etc/catalyst/trust, readOnly: true}
{{- end }}
{{- if .root.Values.database.authoritiesSecret.name }}
- {name: database-authorities, mountPath: /etc/catalyst/database-authorities, readOnly: true}
{{- end }}
{{- end }}

{{/* Its volumes; `data` is a claim where the daemon keeps something: (dict … "data" false leaves that out). */}}
{{- define "catalyst.volumes" -}}
- {name: tmp, emptyDir: {}}
{{- if .data }}
- {name: data, emptyDir: {}}
{{- end }}
- name: sealing
  secret:
    secretName: {{ .root.Values.sealing.secretName | quote }}
    defaultMode: 0440
    items: [{key: {{ .daemon.name }}, path: seal.key}]
- name: database
  secret:
    secretName: {{ .root.Values.database.secretName | quote }}
    defaultMode: 0440
    items: [{key: {{ .daemon.name }}, path: password}]
{{- with .root.Values.nats.tokenSecret }}{{ if .name }}
- name: nats
  secret:
    secretName: {{ .name | quote }}
    defaultMode: 0440
    items: [{key: {{ .key | quote }}, path: token}]
{{- end }}{{ end }}
{{- /* For TokenReview: a token for the API server itself, and its certificate. */}}
- name: kubernetes
  projected:
    defaultMode: 0440
    sources:
      - serviceAccountToken: {path: token, expirationSeconds: 3600}
      - configMap: {name: kube-root-ca.crt, items: [{key: ca.crt, path: ca.crt}]}
{{- if .daemon.calls }}
{{- /* One a peer: a token that one of them sees opens no other door. */}}
- name: tokens
  projected:
    defaultMode: 0440
    sources:
{{- range .daemon.calls }}
      - serviceAccountToken: {path: {{ .contract }}, audience: catalyst-{{ .contract }}, expirationSeconds: 600}
{{- end }}
{{- end }}
{{- if and .daemon.secrets .own.secrets }}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
{{- range .own.secrets }}
      - secret: {name: {{ . | quote }}}
{{- end }}
{{- end }}
{{- with .root.Values.tls.secretName }}
- name: tls
  secret: {secretName: {{ . | quote }}, defaultMode: 0440}
{{- end }}
{{- with .root.Values.trust }}{{ if .configMapName }}
- name: trust
  configMap:
    name: {{ .configMapName | quote }}
    items: [{key: {{ .key | quote }}, path: ca.crt}]
{{- end }}{{ end }}
{{- with .root.Values.database.authoritiesSecret }}{{ if .name }}
- name: database-authorities
  secret:
    secretName: {{ .name | quote }}
    defaultMode: 0440
    items: [{key: {{ .key | quote }}, path: ca.crt}]
{{- end }}{{ end }}
{{- end }}

{{/* What every pod of a daemon has, whatever runs it. */}}
{{- define "catalyst.podBasics" -}}
serviceAccountName: {{ .account | default (printf "%s-%s" (include "catalyst.fullname" .root) .daemon.name) }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext: {{- include "catalyst.podSecurity" .root | nindent 2 }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . | quote }}
{{- end }}
{{- end }}
{{- with .root.Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- end }}

{{/* Pod template of a running daemon. */}}
{{- define "catalyst.podTemplate" -}}
{{- $values := .root.Values }}
metadata:
  labels:
    {{- include "catalyst.labels" .root | nindent 4 }}
    {{- include "catalyst.selector" (dict "root" .root "name" .daemon.name) | nindent 4 }}
    {{- with $values.podLabels }}{{ toYaml . | nindent 4 }}{{ end }}
  {{- with $values.podAnnotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- include "catalyst.podBasics" . | nindent 2 }}
  terminationGracePeriodSeconds: 40
  {{- with .own.affinity }}
  affinity: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.topologySpread }}
  topologySpreadConstraints:
    {{- range . }}
    - maxSkew: {{ .maxSkew | default 1 }}
      topologyKey: {{ .topologyKey | quote }}
      whenUnsatisfiable: {{ .whenUnsatisfiable }}
      labelSelector:
        matchLabels: {{- include "catalyst.selector" (dict "root" $.root "name" $.daemon.name) | nindent 10 }}
    {{- end }}
  {{- end }}
  containers:
    - name: {{ .daemon.name }}
      image: {{ include "catalyst.image" (dict "root" .root "name" .daemon.name) | quote }}
      imagePullPolicy: {{ $values.image.pullPolicy }}
      securityContext: {{- include "catalyst.containerSecurity" .root | nindent 8 }}
      env: {{- include "catalyst.environment" . | nindent 8 }}
      ports:
        - {name: grpc, containerPort: 7400, protocol: TCP}
        - {name: side, containerPort: 9090, protocol: TCP}
        {{- range .daemon.listens }}
        - {name: {{ . }}, containerPort: {{ include "catalyst.port" . }}, protocol: TCP}
        {{- end }}
      startupProbe:
        httpGet: {path: /livez, port: side}
        periodSeconds: 2
        failureThreshold: {{ div $values.probes.startupSeconds 2 }}
      livenessProbe:
        httpGet: {path: /livez, port: side}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        {{- if and (eq $values.probes.readiness "grpc") (not $values.tls.secretName) (semverCompare ">=1.27-0" .root.Capabilities.KubeVersion.Version) }}
        grpc: {port: 7400}
        {{- else }}
        httpGet: {path: /readyz, port: side}
        {{- end }}
        periodSeconds: 5
        timeoutSeconds: 3
      {{- with .own.resources }}
      resources: {{- toYaml . | nindent 8 }}
      {{- end }}
      volumeMounts: {{- include "catalyst.mounts" . | nindent 8 }}
  volumes: {{- include "catalyst.volumes" . | nindent 4 }}
{{- end }}
