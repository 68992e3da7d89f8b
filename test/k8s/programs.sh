# shellcheck shell=bash
# The programs of Kubernetes, built from its published Go modules; sourced by
# run. They are kept outside the repository, because building them takes some
# ten minutes.

kube_version=1.34.4 # from 1.35 on the kubelet wants cgroup v2
kube=${XDG_CACHE_HOME:-$HOME/.cache}/globus-runner/kube
kube_programs=(kube-apiserver kube-controller-manager kube-scheduler kubelet kubectl)

have_programs() {
  local program
  for program in "${kube_programs[@]}"; do
    [[ -x $kube/bin/$program ]] || return 1
  done
  [[ $("$kube/bin/kubelet" --version) == "Kubernetes v$kube_version" ]]
}

# build_programs builds them in a module of their own: Kubernetes is no
# dependency of the project.
build_programs() {
  local staging=v0.${kube_version#1.} package=k8s.io/component-base/version modules program
  mkdir -p "$kube"/{mod,bin}
  cd "$kube/mod" || return
  export GOMODCACHE=$kube/modules # apart from those of the project
  go mod download "k8s.io/kubernetes@v$kube_version"
  modules=$(go env GOMODCACHE)/cache/download/k8s.io/kubernetes/@v/v$kube_version.mod
  {
    printf 'module kubernetes\n\ngo 1.26.0\n\nrequire k8s.io/kubernetes v%s\n\nreplace (\n' "$kube_version"
    grep -oE '^\s+k8s.io/[a-z-]+ => ./staging' "$modules" | awk -v v="$staging" '{ print "\t" $1 " => " $1 " " v }'
    echo ')'
  } >go.mod
  {
    printf '//go:build tools\n\npackage tools\n\nimport (\n'
    printf '\t_ "k8s.io/kubernetes/cmd/%s"\n' "${kube_programs[@]}"
    echo ')'
  } >tools.go
  go mod tidy
  for program in "${kube_programs[@]}"; do
    CGO_ENABLED=0 go build -trimpath -o "$kube/bin/" -ldflags "-s -w -X $package.gitVersion=v$kube_version \
      -X $package.gitMajor=1 -X $package.gitMinor=$(cut -d. -f2 <<<"$kube_version") -X $package.gitTreeState=clean \
      -X $package.gitCommit=$(printf '0%.0s' {1..40}) -X $package.buildDate=2026-01-01T00:00:00Z" \
      "k8s.io/kubernetes/cmd/$program"
  done
}
