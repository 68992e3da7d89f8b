# shellcheck shell=bash
# What is promised of the manifests themselves; sourced by run.
# shellcheck disable=SC2154

# custom are Go modules with the definitions that the components are written
# for: module, version, folder.
custom=(
  'github.com/prometheus-operator/prometheus-operator v0.85.0 example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml'
  'github.com/external-secrets/external-secrets v1.3.2 config/crds/bases/external-secrets.io_externalsecrets.yaml'
)

built() {
  local folder
  for folder in deploy/k8s/base deploy/k8s/overlays/*; do
    kubectl kustomize "$folder" >"$work/built.yaml"
    [[ -s $work/built.yaml ]]
    lacks 'hostPath|hostNetwork|privileged|client_secret: [^{]' "$work/built.yaml"
  done
}

# restricted wants that the namespace lets no other Pods in.
restricted() {
  local tree
  tree_of restricted
  printf 'namespace: restricted\nresources: [../base]\n' >"$tree/mine/kustomization.yaml"
  kubectl apply --warnings-as-errors -k "$tree/mine"
  exits 1 kubectl -n restricted run root --image=globus-runner:latest --dry-run=server --overrides='{"spec": {"serviceAccountName": "globus-runner"}}'
  says 'violates PodSecurity "restricted'
}

typo() {
  local tree word wrong
  tree_of restricted
  printf 'namespace: restricted\nresources: [../overlays/deployment]\n' >"$tree/mine/kustomization.yaml"
  kubectl apply --warnings-as-errors --dry-run=server -k "$tree/mine"
  for word in readinessProbe:readynessProbe readOnlyRootFilesystem:readonlyRootFilesystem defaultMode:mode; do
    wrong=${word#*:}
    kubectl kustomize "$tree/mine" | sed "s/${word%:*}:/$wrong:/" >"$work/typo.yaml"
    exits 1 kubectl apply --dry-run=server -f "$work/typo.yaml"
    says 'unknown field "spec.template.spec.'
    says "$wrong\""
  done
}

# components applies them to the definitions of their operators.
components() {
  local entry module version file folder tree
  tree_of components
  for entry in "${custom[@]}"; do
    read -r module version file <<<"$entry"
    folder=$(go mod download -json "$module@$version" | jq -r .Dir)
    kubectl apply --server-side -f "$folder/$file"
    kubectl wait --for=condition=Established -f "$folder/$file" --timeout=30s
  done
  cat >"$tree/mine/kustomization.yaml" <<'END'
namespace: restricted
resources: [../overlays/deployment]
components: [../components/servicemonitor, ../components/external-secrets]
END
  within 20 kubectl apply --warnings-as-errors --dry-run=server -k "$tree/mine"
}

check_manifests() {
  check 'kustomize builds the base and every overlay' built
  check 'the namespace is restricted' restricted
  check 'a typo is refused by a dry run' typo
  if have_custom; then
    check 'components, with the definitions of their operators' components
  else
    echo 'skipped  components: the modules of their operators cannot be had here'
  fi
}

have_custom() {
  local entry module version
  for entry in "${custom[@]}"; do
    read -r module version _ <<<"$entry"
    quietly timeout 120 go mod download "$module@$version" || return 1
  done
}
