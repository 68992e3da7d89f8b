# shellcheck shell=bash
# A Docker engine of our own, for scripts that source this file. All that it
# makes is in the folder $work, which the script makes and removes.

work= # set by the script
build_cache=${XDG_CACHE_HOME:-$HOME/.cache}/globus-runner/go-build

# inside_namespaces starts the script again as process 1 of namespaces of its
# own: it may make bridges, and nothing that it starts outlives it.
inside_namespaces() {
  [[ $$ == 1 ]] || exec unshare --net --mount --pid --fork --kill-child --mount-proc "$0" "$@"
  ip link set lo up
}

# docker is the client of Debian: another one that comes first on the PATH may
# want a plugin for BuildKit.
docker() { timeout 300 /usr/bin/docker "$@"; }

start_engine() {
  export DOCKER_HOST=unix://$work/docker.sock DOCKER_BUILDKIT=1 DOCKER_CONFIG=$work/config
  mkdir -p "$DOCKER_CONFIG"
  /usr/sbin/dockerd -H "$DOCKER_HOST" --data-root "$work/data" --exec-root "$work/exec" --pidfile "$work/pid" \
    --storage-driver overlay2 --iptables=false --ip6tables=false --ip-masq=false >"$work/dockerd.log" 2>&1 &
  engine=$!
  for _ in {1..100}; do
    docker version >/dev/null 2>&1 && return
    sleep 0.2
  done
  tail -n 20 "$work/dockerd.log" >&2
  return 1
}

stop_engine() {
  [[ -n ${engine:-} ]] || return 0
  local left
  left=$(docker ps -q 2>/dev/null || true)
  # shellcheck disable=SC2086 # one id a word
  [[ -z $left ]] || docker kill $left >/dev/null 2>&1 || true
  kill "$engine" 2>/dev/null || true
  wait "$engine" 2>/dev/null || true
}

# base_image makes what stands in for golang:1.26-bookworm where no registry
# can be reached: busybox, this machine's Go and CA certificates, the modules
# as a module proxy of files, and a build cache. It shows that the Dockerfile
# works, not that the real image has what it needs.
base_image() {
  local base=$work/base goroot modules
  goroot=$(go env GOROOT) modules=$(go env GOMODCACHE)/cache/download
  mkdir -p "$base"/{bin,etc/ssl/certs,tmp,root,go,usr/local}
  cp "$(command -v busybox)" "$base/bin/busybox"
  chroot "$base" /bin/busybox --install -s /bin
  cp /etc/ssl/certs/ca-certificates.crt "$base/etc/ssl/certs/"
  echo 'root:x:0:0:root:/root:/bin/sh' >"$base/etc/passwd"
  echo 'root:x:0:' >"$base/etc/group"
  tar -cP --transform "s,^$goroot,usr/local/go," --transform "s,^$modules,modules," --transform "s,^$build_cache,build-cache," \
    -C "$base" . "$goroot" "$modules" "$build_cache" |
    docker import -c 'ENV PATH=/usr/local/go/bin:/bin GOPATH=/go GOTOOLCHAIN=local GOPROXY=file:///modules GOCACHE=/build-cache' \
      - golang:1.26-bookworm >/dev/null
  rm -rf "$base"
}

# warm_cache compiles what the image needs, once a machine: the next image is
# a matter of seconds. The Dockerfile's own cache is always empty here.
warm_cache() {
  go mod download
  local arch
  for arch in amd64 arm64; do
    GOARCH=$arch GOCACHE=$build_cache cmd/runner/build.sh /dev/null e2e -buildvcs=false
  done
}
