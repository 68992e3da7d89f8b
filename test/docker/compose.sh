# shellcheck shell=bash
# What is promised of the compose files, and the commands of docs/docker.md;
# sourced by run, which sets $work and $image.
# shellcheck disable=SC2154

# The blocks of the document are run as they stand. These programs come before
# the real ones: containers see the simulator, compose is Debian's, and an
# image is not built again.
make_tools() {
  mkdir -p "$work/bin"
  install /dev/stdin "$work/bin/docker" <<'END'
#!/bin/bash
globus=(--network globus -e GLOBUS_SDK_SERVICE_URL_AUTH=http://sim:8080 -e GLOBUS_SDK_SERVICE_URL_TRANSFER=http://sim:8080)
case $1 in
run) exec timeout 120 /usr/bin/docker run "${globus[@]}" "${@:2}" ;;
compose)
  [[ ! -f compose.override.yaml ]] || export COMPOSE_FILE=${COMPOSE_FILE:-compose.yaml}:compose.override.yaml
  exec timeout 120 /usr/bin/docker-compose "${@:2}"
  ;;
esac
exec timeout 120 /usr/bin/docker "$@"
END
  install /dev/stdin "$work/bin/make" <<'END'
#!/bin/bash
grep -q "^$1:" Makefile || { echo "there is no target $1"; exit 1; }
END
  install /dev/stdin "$work/bin/sudo" <<'END'
#!/bin/bash
exec "$@"
END
}

# copy_tree copies what the document's commands use.
copy_tree() {
  mkdir -p "$1"
  cp -r Makefile deploy examples "$1"
  rm -rf "$1/deploy/docker/demo/vault"
  cat >"$1/deploy/docker/compose.override.yaml" <<'END'
services:
  runner:
    environment:
      GLOBUS_SDK_SERVICE_URL_AUTH: http://sim:8080
      GLOBUS_SDK_SERVICE_URL_TRANSFER: http://sim:8080
    networks: [default, globus]
networks:
  globus: {external: true}
END
}

# blocks prints the block of a number in docs/$1.md, or the first line of each.
blocks() {
  awk -v tag="\`\`\`sh $1" -v want="${2:-0}" '
    $0 == tag { n++; on = n == want; if (!want) print; next }
    /^```$/ { on = 0 }
    on' "docs/$1.md"
}

# a_block runs block number $block of the document.
a_block() {
  local tree=$work/block$block
  copy_tree "$tree"
  blocks docker "$block" >"$tree/script"
  cat "$tree/script"
  exits 0 env -C "$tree" "PATH=$work/bin:$PATH" COMPOSE_PROJECT_NAME="block$block" CLIENT_ID=$client CLIENT_SECRET="$canary" \
    LAB=$lab VAULT=$vault timeout 150 bash -euo pipefail script
}

# hardened wants of a container what compose.yaml says of it.
hardened() {
  is "$1" '{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}}' 'true [ALL] [no-new-privileges:true]'
  is "$1" '{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}}' '134217728 134217728 1000000000 64'
  is "$1" '{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.LogConfig}}' 'unless-stopped {json-file map[max-file:3 max-size:10m]}'
}

# compose_here makes a folder with the compose files, a secret and a job that is
# due every minute, and goes there.
compose_here() {
  copy_tree "$work/$1"
  cd "$work/$1/deploy/docker"
  export CLIENT_ID=$client COMPOSE_PROJECT_NAME=$1
  install -o 65532 -m 0400 /dev/stdin client-secret <<<"$canary"
  cat >jobs.yaml <<END
version: 1
collections: {lab: $lab, vault: $vault}
jobs:
  $1:
    schedule: "@every 1m"
    transfer:
      source: lab:/data/
      destination: vault:/$1/{{ .Time | strftime "%H%M%S" }}/
END
}

compose() { timeout 120 "$work/bin/docker" compose "$@"; }

single() {
  compose_here single
  compose up -d
  local runner
  runner=$(compose ps -q runner)
  hardened "$runner"
  within 70 is "$runner" '{{.State.Health.Status}}' healthy
  within 70 has_tasks single 1
  # A new container goes on with the ledger of the old one.
  compose rm -sf runner
  compose up -d
  exits 0 compose exec -T runner /runner runs
  says single
  compose down -v
}

# replicas has three runners share a PostgreSQL; what occurs is run by one.
replicas() {
  compose_here replicas
  export COMPOSE_FILE=compose.ha.yaml
  put_database_secrets
  compose up -d
  local runners
  mapfile -t runners < <(compose ps -q runner)
  [[ ${#runners[@]} == 3 ]]
  hardened "${runners[0]}"
  within 70 is "${runners[2]}" '{{.State.Health.Status}}' healthy
  within 70 has_tasks replicas 1
  # Without the first there are still two.
  docker kill "${runners[0]}"
  within 70 has_tasks replicas 2
  docker logs "${runners[1]}"
  compose down -v
  local state
  state=$(curl -sf "$sim/_sim/state" | jq -c '[.tasks[] | select(.label | startswith("replicas ")) | .label]')
  echo "$state"
  jq -e 'length == (unique | length)' <<<"$state"
}

put_database_secrets() {
  local password=some-$RANDOM-password
  install -m 0400 /dev/stdin database-password <<<"$password"
  install -o 65532 -m 0400 /dev/stdin pgpass <<<"database:5432:runner:runner:$password"
}

# postgres_image makes what stands in for the image of PostgreSQL: Debian's
# server, and as much of the entry point as compose.ha.yaml uses.
postgres_image() {
  local pg root=$work/postgres programs
  pg=$(echo /usr/lib/postgresql/*/bin)
  mkdir -p "$root"/{bin,tmp,etc,var/lib/postgresql/data}
  chmod 1777 "$root/tmp"
  cp /usr/bin/busybox "$root/bin/busybox"
  chroot "$root" /bin/busybox --install -s /bin
  printf 'root:x:0:0:root:/:/bin/sh\npostgres:x:70:70:postgres:/:/bin/sh\n' >"$root/etc/passwd"
  printf 'root:x:0:\npostgres:x:70:\n' >"$root/etc/group"
  install /dev/stdin "$root/entrypoint" <<'END'
#!/bin/sh
set -e
data=/var/lib/postgresql/data
cat "$POSTGRES_PASSWORD_FILE" >/tmp/password
chown postgres /tmp/password $data
chmod 700 $data
exec su postgres -s /bin/sh -c "
  [ -s $data/PG_VERSION ] || {
    initdb -D $data -U $POSTGRES_USER --locale=C -E UTF8 --pwfile=/tmp/password --auth-host=scram-sha-256
    echo 'host all all all scram-sha-256' >>$data/pg_hba.conf
    echo 'CREATE DATABASE $POSTGRES_DB;' | postgres --single -D $data postgres
  }
  exec postgres -D $data -h '*' -k /tmp"
END
  programs=$(ldd "$pg"/{postgres,initdb,pg_isready} | grep -o '/[^ ]*' | grep -v ':$' | sort -u)
  # shellcheck disable=SC2086 # one file a word
  tar -chP --exclude='*/bitcode' -C "$root" . "${pg%/bin}" /usr/share/postgresql /usr/share/zoneinfo $programs |
    docker import -c "ENV PATH=/bin:$pg" -c 'ENTRYPOINT ["/entrypoint"]' - postgres:17-alpine >/dev/null
}

check_single() {
  check 'compose.yaml: a job runs, a new container knows it' single
}

have_postgres() { ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1; }

check_replicas() {
  if have_postgres; then
    check 'compose.ha.yaml: three replicas, one task an occurrence' replicas
  else
    echo 'skipped  compose.ha.yaml: postgresql cannot be installed here'
  fi
}

check_document() {
  local block
  for block in $(seq "$(blocks docker | wc -l)"); do
    if blocks docker "$block" | grep -q compose.ha && ! have_postgres; then
      echo "skipped  docs/docker.md, block $block: postgresql cannot be installed here"
      continue
    fi
    check "docs/docker.md, block $block" a_block
  done
}
