{{/*
How a pod reaches Redis. The charts tidemill and tidemill-worker hold the same file. A secret goes in by secretKeyRef or as
a mounted file, never as an argument or a plain variable.
*/}}

{{/* Stops with a sentence when the values cannot work. */}}
{{- define "tidemill.redis.check" -}}
{{- $redis := .Values.redis -}}
{{- $dev := dig "dev" "enabled" false $redis -}}
{{- $ways := ternary "redis.url, redis.existingSecret and redis.dev.enabled" "redis.url and redis.existingSecret" (hasKey $redis "dev") -}}
{{- $given := compact (list $redis.url $redis.existingSecret (ternary "dev" "" $dev)) -}}
{{- if eq (len $given) 0 -}}
{{- fail (printf "a Redis is needed: set exactly one of %s" $ways) -}}
{{- else if gt (len $given) 1 -}}
{{- fail (printf "more than one Redis is named: set exactly one of %s" $ways) -}}
{{- end -}}
{{- if and $redis.url (not (regexMatch "^rediss?://." $redis.url)) -}}
{{- fail "redis.url must be redis://[user:password@]host[:port][/database], or rediss:// for TLS" -}}
{{- end -}}
{{- if and $redis.sentinels $redis.cluster -}}
{{- fail "redis.sentinels and redis.cluster exclude each other: set one of the two" -}}
{{- end -}}
{{- if and $redis.sentinels (not $redis.sentinelName) -}}
{{- fail "redis.sentinels needs redis.sentinelName, the name of the master that they watch" -}}
{{- end -}}
{{- if and $redis.sentinelName (not $redis.sentinels) -}}
{{- fail "redis.sentinelName needs redis.sentinels, where to ask" -}}
{{- end -}}
{{- if and $redis.existingSecret (not $redis.secretKeys.url) -}}
{{- fail "redis.secretKeys.url must name the key of redis.existingSecret that holds the address" -}}
{{- end -}}
{{- if and $redis.existingSecret $redis.secretKeys.ca $redis.caConfigMap.name -}}
{{- fail "redis.secretKeys.ca and redis.caConfigMap.name both name the authority: set one of the two" -}}
{{- end -}}
{{- end -}}

{{/* The Secret that holds the address: the one that was named, or the chart's own. */}}
{{- define "tidemill.redis.secret" -}}
{{- default (printf "%s-redis-url" (include "tidemill.fullname" .)) .Values.redis.existingSecret -}}
{{- end -}}

{{- define "tidemill.redis.secretVariable" -}}
- name: {{ index . 0 }}
  valueFrom:
    secretKeyRef: { name: {{ index . 1 | quote }}, key: {{ index . 2 | quote }} }
{{- end -}}

{{/* Where the authority is from: "secret", "configMap", or nothing. */}}
{{- define "tidemill.redis.caSource" -}}
{{- if and .Values.redis.existingSecret .Values.redis.secretKeys.ca -}}secret
{{- else if .Values.redis.caConfigMap.name -}}configMap
{{- end -}}
{{- end -}}

{{- define "tidemill.redis.env" -}}
{{- $redis := .Values.redis -}}
{{- $secret := include "tidemill.redis.secret" . -}}
{{- if dig "dev" "enabled" false $redis -}}
- name: TIDEMILL_REDIS_URL
  value: redis://{{ include "tidemill.fullname" . }}-redis:6379
{{- else -}}
{{ include "tidemill.redis.secretVariable" (list "TIDEMILL_REDIS_URL" $secret (ternary $redis.secretKeys.url "url" (not (empty $redis.existingSecret)))) }}
{{- end }}
{{- if $redis.existingSecret }}
{{- with $redis.secretKeys.username }}
{{ include "tidemill.redis.secretVariable" (list "TIDEMILL_REDIS_USERNAME" $secret .) }}
{{- end }}
{{- with $redis.secretKeys.password }}
{{ include "tidemill.redis.secretVariable" (list "TIDEMILL_REDIS_PASSWORD" $secret .) }}
{{- end }}
{{- with $redis.secretKeys.sentinelPassword }}
{{ include "tidemill.redis.secretVariable" (list "TIDEMILL_REDIS_SENTINEL_PASSWORD" $secret .) }}
{{- end }}
{{- end }}
{{- if include "tidemill.redis.caSource" . }}
- name: TIDEMILL_REDIS_CA
  value: /etc/tidemill/redis/ca.crt
{{- end }}
{{- with $redis.sentinels }}
- name: TIDEMILL_REDIS_SENTINELS
  value: {{ join "," . | quote }}
- name: TIDEMILL_REDIS_SENTINEL_NAME
  value: {{ $redis.sentinelName | quote }}
{{- end }}
{{- if $redis.cluster }}
- name: TIDEMILL_REDIS_CLUSTER
  value: 'true'
{{- end }}
- name: TIDEMILL_PREFIX
  value: {{ $redis.prefix | quote }}
{{- end -}}

{{/* The whole folder is mounted: a file by subPath would never follow a rotation. */}}
{{- define "tidemill.redis.mount" -}}
{{- if include "tidemill.redis.caSource" . }}
- name: redis-ca
  mountPath: /etc/tidemill/redis
  readOnly: true
{{- end }}
{{- end -}}

{{- define "tidemill.redis.volume" -}}
{{- $source := include "tidemill.redis.caSource" . -}}
{{- if eq $source "secret" }}
- name: redis-ca
  secret:
    secretName: {{ .Values.redis.existingSecret | quote }}
    items:
      - { key: {{ .Values.redis.secretKeys.ca | quote }}, path: ca.crt }
{{- else if eq $source "configMap" }}
- name: redis-ca
  configMap:
    name: {{ .Values.redis.caConfigMap.name | quote }}
    items:
      - { key: {{ .Values.redis.caConfigMap.key | quote }}, path: ca.crt }
{{- end }}
{{- end -}}
