{{/* Name of all objects: the release's. 50 characters leave room for the longest suffix. */}}
{{- define "tidemill.fullname" -}}
{{- default .Release.Name .Values.fullnameOverride | replace "." "-" | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "tidemill.serviceAccount" -}}
{{- default (ternary (include "tidemill.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name -}}
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
app.kubernetes.io/version: {{ default $root.Chart.AppVersion $root.Values.image.tag | include "tidemill.text" | trunc 63 | trimAll "-._" | quote }}
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
{{- if not .repository -}}
{{- fail "image.repository must name the image that holds your tasks, such as registry.example.org/my-worker" -}}
{{- end -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ required "image.tag must name the version of your image (or image.digest)" .tag | include "tidemill.text" }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "tidemill.autoscaling.check" -}}
{{- with .Values.autoscaling -}}
{{- if gt (int64 .minReplicas) (int64 .maxReplicas) -}}
{{- fail (printf "autoscaling.minReplicas (%d) is more than autoscaling.maxReplicas (%d)" (int64 .minReplicas) (int64 .maxReplicas)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* CPU-bound runs at the same time. */}}
{{- define "tidemill.cpuConcurrency" -}}
{{- $resources := default dict .Values.resources -}}
{{- if ne (toString .Values.cpuConcurrency) "auto" -}}
{{- int64 .Values.cpuConcurrency -}}
{{- else -}}
{{- include "tidemill.cores" (coalesce (dig "limits" "cpu" "" $resources) (dig "requests" "cpu" "" $resources) "1") -}}
{{- end -}}
{{- end -}}

{{/*
Old generation of the heap of each process in MiB; empty: as Node decides. 48 are left for its three semi-spaces, each of which
NODE_OPTIONS sets to 16.
*/}}
{{- define "tidemill.heapMiB" -}}
{{- $memory := dig "limits" "memory" "" (default dict .Values.resources) -}}
{{- if ne (toString .Values.heapMiB) "auto" -}}
{{- int64 .Values.heapMiB -}}
{{- else if $memory -}}
{{- $processes := add 1 (include "tidemill.cpuConcurrency" . | int64) -}}
{{- $share := div (mul 3 (include "tidemill.mebibytes" (list $memory "resources.limits.memory") | int64)) (mul 4 $processes) -}}
{{- $heap := sub $share 48 -}}
{{- if lt $heap 64 -}}
{{- fail (printf "resources.limits.memory is %s for %d processes (the consumer and cpuConcurrency children), which is too little: each needs 150 MiB; raise it, lower cpuConcurrency, or set heapMiB" (toString $memory) $processes) -}}
{{- end -}}
{{- $heap -}}
{{- end -}}
{{- end -}}

{{/* Settings of the consumer, as variables. */}}
{{- define "tidemill.consumer.env" -}}
{{ include "tidemill.redis.env" . }}
- name: TIDEMILL_TASKS
  value: {{ kindIs "slice" .Values.tasks | ternary (join "," .Values.tasks) .Values.tasks | quote }}
- name: TIDEMILL_QUEUE
  value: {{ join "," .Values.queues | quote }}
- name: TIDEMILL_CONCURRENCY
  value: {{ int64 .Values.concurrency | quote }}
- name: TIDEMILL_CPU_CONCURRENCY
  value: {{ include "tidemill.cpuConcurrency" . | quote }}
- name: TIDEMILL_DRAIN
  value: {{ int64 .Values.drainSeconds }}s
- name: TIDEMILL_KILL_GRACE
  value: {{ int64 .Values.killGraceSeconds }}s
- name: TIDEMILL_LOG_LEVEL
  value: {{ .Values.logLevel }}
{{- with include "tidemill.heapMiB" . }}
- name: TIDEMILL_CHILD_HEAP
  value: {{ . }}MiB
{{- end }}
{{- range $name, $value := .Values.settings }}
- name: TIDEMILL_{{ snakecase $name | upper }}
  value: {{ include "tidemill.text" $value | quote }}
{{- end }}
{{- end -}}
