{{/*
What the charts tidemill and tidemill-worker do alike with pods; both hold the same file.
*/}}

{{/* A text that YAML may have taken for a number, which templates write as 5e+06. */}}
{{- define "tidemill.text" -}}
{{- if kindIs "float64" . -}}
{{- ternary (int64 .) . (eq (floor .) .) -}}
{{- else -}}
{{- . -}}
{{- end -}}
{{- end -}}

{{/*
Labels of the chart with those of the values, none twice. Selectors and Helm go by some of them, which the values may not set.
Call with (list "labels of the chart as YAML" map …).
*/}}
{{- define "tidemill.merged" -}}
{{- $labels := first . | fromYaml -}}
{{- $fixed := list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/component" "app.kubernetes.io/managed-by" "helm.sh/chart" -}}
{{- range $more := rest . -}}
{{- range $name, $value := $more -}}
{{- if has $name $fixed -}}
{{- fail (printf "the label %s: the chart sets it itself, and selectors or Helm go by it: leave it out of the values" $name) -}}
{{- end -}}
{{- $_ := set $labels $name $value -}}
{{- end -}}
{{- end -}}
{{- toYaml $labels -}}
{{- end -}}

{{/* A quantity of memory in whole MiB. Call with (list "512Mi" "name of the value"). */}}
{{- define "tidemill.mebibytes" -}}
{{- $text := include "tidemill.text" (index . 0) -}}
{{- $number := regexFind "^[0-9]+([.][0-9]+)?" $text | default "0" | float64 -}}
{{- $unit := regexReplaceAll "^[0-9]+([.][0-9]+)?" $text "" -}}
{{- $bytes := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- if not (and (hasKey $bytes $unit) (gt $number 0.0)) -}}
{{- fail (printf "%s is %q: write a number with a unit, such as 512Mi or 1.5Gi" (index . 1) $text) -}}
{{- end -}}
{{- divf (mulf $number (get $bytes $unit)) 1048576 | floor | int64 -}}
{{- end -}}

{{/* A quantity of CPU, rounded up to whole cores. */}}
{{- define "tidemill.cores" -}}
{{- $text := toString . -}}
{{- if hasSuffix "m" $text -}}
{{- divf (trimSuffix "m" $text | float64) 1000 | ceil | int64 -}}
{{- else -}}
{{- float64 $text | ceil | int64 -}}
{{- end -}}
{{- end -}}

{{/*
Variables from a map: a text, or what valueFrom takes. Under server-side apply a name may stand only once.
Call with (dict "env" map "taken" "the variables that the chart writes, as YAML" "at" "name of the value").
*/}}
{{- define "tidemill.env" -}}
{{- range $name, $value := .env }}
{{- if regexMatch (printf "(?m)^- name: %s$" $name) $.taken -}}
{{- fail (printf "%s.%s: the chart sets this variable itself, from another value: leave it out here" $.at $name) -}}
{{- end }}
- name: {{ $name | quote }}
{{- if kindIs "map" $value }}
  valueFrom:
    {{- toYaml $value | nindent 4 }}
{{- else }}
  value: {{ include "tidemill.text" $value | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/*
Spread over nodes and zones where that is possible, each version by itself (matchLabelKeys): or a rolling upgrade would count
the pods that go away. Call with (list constraints "selector labels as YAML").
*/}}
{{- define "tidemill.spread" -}}
{{- $constraints := index . 0 -}}
{{- if eq (toString $constraints) "auto" -}}
{{- $constraints = list -}}
{{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" -}}
{{- $constraints = append $constraints (dict "topologyKey" . "maxSkew" 1 "whenUnsatisfiable" "ScheduleAnyway") -}}
{{- end -}}
{{- end -}}
{{- range $constraints }}
- {{ toYaml . | nindent 2 | trim }}
  {{- if not (hasKey . "matchLabelKeys") }}
  matchLabelKeys: [pod-template-hash]
  {{- end }}
  {{- if not (hasKey . "labelSelector") }}
  labelSelector:
    matchLabels:
      {{- index $ 1 | nindent 6 }}
  {{- end }}
{{- end }}
{{- end -}}
