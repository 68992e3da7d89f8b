# shellcheck shell=bash
# What is in the cluster beside the runner; sourced by run, which sets $work.
# shellcheck disable=SC2154

# start_globus runs a simulated Globus over $work/lab and $work/vault, and a
# PostgreSQL, as Pods. The manifests of the project stay as they are: a policy
# of the API server adds the simulator's address to every Pod of the runner. A
# namespace may have another one in the annotation e2e/globus.
start_globus() {
  mkdir -p "$work"/{lab/data,vault}
  echo frame >"$work/lab/data/frame.txt"
  chmod 777 "$work/vault"
  chmod 711 "$work"
  kubectl create namespace globus
  within 20 quietly kubectl -n globus get serviceaccount default
  {
    pod_of sim globus-runner:latest "[sim, --listen=0.0.0.0:8080, --client-id=$client, --client-secret=$canary, --collection=lab=/lab, --collection=vault=/vault]" \
      "[{name: lab, mountPath: /lab, readOnly: true}, {name: vault, mountPath: /vault}]" \
      "[{name: lab, hostPath: {path: $work/lab}}, {name: vault, hostPath: {path: $work/vault}}]"
    if have_postgres; then
      pod_of database postgres:17-alpine '[]' '[{name: password, mountPath: /run/secrets}, {name: data, mountPath: /var/lib/postgresql/data}]' \
        '[{name: password, secret: {secretName: database}}, {name: data, emptyDir: {}}]'
    fi
  } >"$work/globus.yaml"
  kubectl -n globus create secret generic database --from-literal=password="$database_password"
  kubectl -n globus apply -f "$work/globus.yaml"
  kubectl -n globus wait --for=condition=Ready pod --all --timeout=60s
  sim=http://$(pod_address sim):8080
  within 20 quietly tasks none
  redirect >"$work/redirect.yaml"
  kubectl apply -f "$work/redirect.yaml"
}

# pod_of prints a Pod: name, image, arguments, mounts and volumes.
pod_of() {
  cat <<END
apiVersion: v1
kind: Pod
metadata: {name: $1}
spec:
  enableServiceLinks: false
  automountServiceAccountToken: false
  containers:
    - name: $1
      image: $2
      imagePullPolicy: Never
      args: $3
      env: [{name: POSTGRES_USER, value: runner}, {name: POSTGRES_DB, value: runner}, {name: POSTGRES_PASSWORD_FILE, value: /run/secrets/password}]
      volumeMounts: $4
  volumes: $5
---
END
}

database_url() { echo "postgres://runner:$database_password@$(pod_address database)/runner?sslmode=disable"; }

pod_address() { kubectl -n globus get pod "$1" -o jsonpath='{.status.podIP}'; }

redirect() {
  cat <<END
apiVersion: admissionregistration.k8s.io/v1beta1
kind: MutatingAdmissionPolicy
metadata: {name: simulator}
spec:
  failurePolicy: Fail
  reinvocationPolicy: Never
  matchConstraints:
    resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}]
  variables:
    - name: url
      expression: |
        has(namespaceObject.metadata.annotations) && "e2e/globus" in namespaceObject.metadata.annotations ?
          namespaceObject.metadata.annotations["e2e/globus"] : "$sim"
  mutations:
    - patchType: JSONPatch
      jsonPatch:
        expression: |
          ["AUTH", "TRANSFER"].map(service, JSONPatch{op: "add", path: "/spec/containers/0/env/-",
            value: Object.spec.containers.env{name: "GLOBUS_SDK_SERVICE_URL_" + service, value: variables.url}})
  matchConditions:
    - name: runner
      expression: object.spec.containers[0].name == "runner"
---
apiVersion: admissionregistration.k8s.io/v1beta1
kind: MutatingAdmissionPolicyBinding
metadata: {name: simulator}
spec: {policyName: simulator}
END
}

# jobs_of prints a jobs file with one job, which copies a folder when the
# schedule says so.
jobs_of() {
  cat <<END
version: 1
collections: {lab: $lab, vault: $vault}
jobs:
  $1:
    schedule: "$2"
    transfer:
      source: lab:/data/
      destination: vault:/$1/{{ .Time | strftime "%H%M%S" }}/
END
}

# tree_of makes a copy of deploy/k8s, in which an overlay may be added, and
# puts its folder into $tree. A second call leaves what is there.
tree_of() {
  tree=$work/tree/$1/k8s
  mkdir -p "${tree%/*}"
  [[ -d $tree ]] || cp -r deploy/k8s "$tree"
  mkdir -p "$tree/mine"
}

# place makes an overlay of an overlay, as a user would, in a namespace of its
# own; the jobs file comes from standard input.
place() {
  local tree
  tree_of "$1"
  cat >"$tree/mine/jobs.yaml"
  cat >"$tree/mine/kustomization.yaml" <<END
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: $1
resources: [../overlays/$2]
configMapGenerator:
  - {name: globus-runner-jobs, namespace: globus-runner, behavior: replace, files: [jobs.yaml]}
END
  kubectl apply --warnings-as-errors -k "$tree/mine"
}

# credentials puts the secret of the service account into a namespace.
credentials() {
  kubectl -n "$1" create secret generic globus-runner --from-literal=client_id="$client" --from-literal=client_secret="${2-$canary}"
}
