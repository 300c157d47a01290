{{- /* What the templates share. Names are fixed: a cluster has one Portcullis. */ -}}

{{- define "portcullis.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- define "portcullis.labels" -}}
app.kubernetes.io/name: portcullis
app.kubernetes.io/component: {{ . }}
{{- end }}

{{- /* Of a component: its resources, arguments, places. */ -}}
{{- define "portcullis.podTemplate" -}}
{{- $component := .component -}}
{{- $of := index .root.Values $component -}}
metadata:
  labels:
    {{- include "portcullis.labels" $component | nindent 4 }}
    {{- with $of.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    kubectl.kubernetes.io/default-container: {{ $component }}
    {{- if .caBundle }}
    # The controller reads it once, at its start.
    portcullis.dev/ca-bundle: {{ .caBundle | sha256sum }}
    {{- end }}
    {{- with $of.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ .account }}
  automountServiceAccountToken: true
  enableServiceLinks: false
  {{- with .root.Values.imagePullSecrets }}
  imagePullSecrets:
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- with .root.Values.priorityClass.name }}
  priorityClassName: {{ . }}
  {{- end }}
  terminationGracePeriodSeconds: {{ .grace }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    seccompProfile:
      type: RuntimeDefault
  {{- with $of.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $of.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $of.tolerations }}
  tolerations:
  {{- toYaml . | nindent 2 }}
  {{- end }}
  topologySpreadConstraints:
  {{- if $of.topologySpreadConstraints }}
  {{- toYaml $of.topologySpreadConstraints | nindent 2 }}
  {{- else }}
  {{- range .spread }}
  - maxSkew: 1
    topologyKey: {{ .key }}
    whenUnsatisfiable: {{ .otherwise }}
    nodeTaintsPolicy: Honor
    matchLabelKeys: [pod-template-hash]
    labelSelector:
      matchLabels:
        {{- include "portcullis.labels" $component | nindent 8 }}
  {{- end }}
  {{- end }}
  containers:
  - name: {{ $component }}
    image: {{ include "portcullis.image" .root | quote }}
    imagePullPolicy: {{ .root.Values.image.pullPolicy }}
    args:
    {{- toYaml .args | nindent 4 }}
    {{- with $of.extraArgs }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    env:
    {{- range list (list "POD_NAME" "metadata.name") (list "POD_NAMESPACE" "metadata.namespace") (list "POD_UID" "metadata.uid") }}
    - name: {{ first . }}
      valueFrom:
        fieldRef:
          fieldPath: {{ last . }}
    {{- end }}
    - name: PORTCULLIS_CACHE
      value: /cache/compiled
    - name: PORTCULLIS_PRECOMPILED
      value: /var/lib/portcullis/precompiled
    {{- with $of.extraEnv }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    ports:
    {{- if eq $component "server" }}
    - name: https
      containerPort: 8443
      protocol: TCP
    {{- end }}
    - name: metrics
      containerPort: 8081
      protocol: TCP
    {{- if eq $component "server" }}
    lifecycle:
      preStop:
        sleep:
          seconds: 5
    {{- end }}
    startupProbe:
      httpGet:
        path: /livez
        port: metrics
      periodSeconds: 1
      failureThreshold: 60
    livenessProbe:
      httpGet:
        path: /livez
        port: metrics
      periodSeconds: 10
      timeoutSeconds: 5
      failureThreshold: 6
    readinessProbe:
      httpGet:
        path: /readyz
        port: metrics
      periodSeconds: {{ .readyPeriod }}
      timeoutSeconds: 2
      failureThreshold: 2
    {{- with $of.resources }}
    resources:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    securityContext:
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      capabilities:
        drop: [ALL]
    volumeMounts:
    - name: cache
      mountPath: /cache
    {{- if .root.Values.modules.volume }}
    - name: modules
      mountPath: /modules
      readOnly: true
    {{- end }}
    {{- if .caBundle }}
    - name: ca
      mountPath: /ca
      readOnly: true
    {{- end }}
  volumes:
  - name: cache
    emptyDir:
      sizeLimit: 1Gi
  {{- with .root.Values.modules.volume }}
  - name: modules
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if .caBundle }}
  - name: ca
    configMap:
      name: portcullis-ca-bundle
  {{- end }}
{{- end }}

{{- /* A Deployment of a component, which never has fewer ready pods than it should. */ -}}
{{- define "portcullis.deployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .account }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "portcullis.labels" .component | nindent 4 }}
spec:
  replicas: {{ (index .root.Values .component).replicas }}
  revisionHistoryLimit: 3
  strategy:
    type: RollingUpdate
    rollingUpdate:
      maxUnavailable: 0
      maxSurge: 1
  selector:
    matchLabels:
      {{- include "portcullis.labels" .component | nindent 6 }}
  template:
    {{- include "portcullis.podTemplate" . | nindent 4 }}
{{- end }}
