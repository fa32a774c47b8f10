{{/* Beginning of the names of all objects. 40 characters leave room for the longest suffix. */}}
{{- define "tidemill.fullname" -}}
{{- $chart := default .Chart.Name .Values.nameOverride -}}
{{- $release := ternary .Release.Name (printf "%s-%s" .Release.Name $chart) (contains $chart .Release.Name) -}}
{{- default $release .Values.fullnameOverride | replace "." "-" | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Name of the controller: its Deployment, Service, Lease and, unless named otherwise, ServiceAccount. */}}
{{- define "tidemill.controller" -}}
{{- include "tidemill.fullname" . }}-controller
{{- end -}}

{{- define "tidemill.serviceAccount" -}}
{{- $own := ternary (include "tidemill.controller" .) "default" .Values.serviceAccount.create -}}
{{- default $own .Values.serviceAccount.name -}}
{{- end -}}

{{/* Labels of an object. Call with (list . "component"). */}}
{{- define "tidemill.labels" -}}
{{- $root := index . 0 -}}
{{- $own := include "tidemill.ownLabels" . -}}
{{ include "tidemill.merged" (list $own $root.Values.commonLabels) }}
{{- end -}}

{{- define "tidemill.ownLabels" -}}
{{- $root := index . 0 -}}
{{ include "tidemill.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: tidemill
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* What never changes in the labels of a component's pods. Call with (list . "component"). */}}
{{- define "tidemill.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ default $root.Chart.Name $root.Values.nameOverride | quote }}
app.kubernetes.io/instance: {{ $root.Release.Name | quote }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "tidemill.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ include "tidemill.text" (default $.Chart.AppVersion .tag) }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/*
The queues file: what --queues-file reads. A queue that is null is none; one that is empty (`sales: {}`) takes what the
release's own namespace holds.
*/}}
{{- define "tidemill.queues" -}}
{{- $queues := list -}}
{{- range $name, $queue := .Values.queues -}}
{{- if kindIs "map" $queue -}}
{{- $namespaces := default (list $.Release.Namespace) $queue.namespaces -}}
{{- $queues = append $queues (dict "name" $name "namespaces" $namespaces "tasks" (default (list "*") $queue.tasks)) -}}
{{- end -}}
{{- end -}}
{{- dict "queues" $queues | toYaml -}}
{{- end -}}

{{/* Settings of the controller, as variables. */}}
{{- define "tidemill.controller.env" -}}
{{ include "tidemill.redis.env" . }}
- name: TIDEMILL_INSTALL
  value: {{ .Values.install | quote }}
- name: TIDEMILL_QUEUES_FILE
  value: /etc/tidemill/queues/queues.yaml
- name: TIDEMILL_LEASE_NAME
  value: {{ include "tidemill.controller" . }}
- name: TIDEMILL_LEASE_NAMESPACE
  value: {{ .Release.Namespace | quote }}
{{- with .Values.watchNamespaces }}
- name: TIDEMILL_WATCH_NAMESPACES
  value: {{ join "," . | quote }}
{{- end }}
- name: TIDEMILL_LOG_LEVEL
  value: {{ .Values.logLevel }}
{{- end -}}
