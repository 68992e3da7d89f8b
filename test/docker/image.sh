# shellcheck shell=bash
# What is promised of the image; sourced by run, which sets $work and $image.
# shellcheck disable=SC2154

lab=83fcef58-36aa-59ff-b3dc-897c32cd6840 # the simulator makes an id from a name
vault=1875aba5-85d5-5ac3-98e1-ce55dd072b64
client=0b6c8f2e-0000-4000-8000-00000000c1d0
canary=canary-$RANDOM$RANDOM-/=x

# start_simulator serves a simulated Globus over $work/lab and $work/vault, as
# a container named sim in the network globus.
start_simulator() {
  mkdir -p "$work"/{lab/data,vault}
  echo frame >"$work/lab/data/frame.txt"
  chmod 777 "$work/vault"
  chmod 711 "$work"
  docker network create globus >/dev/null
  docker run -d --name sim --network globus --no-healthcheck -v "$work/lab:/lab:ro" -v "$work/vault:/vault" "$image" \
    sim --listen 0.0.0.0:8080 --client-id "$client" --client-secret "$canary" --collection lab=/lab --collection vault=/vault >/dev/null
  sim=http://$(docker inspect -f '{{.NetworkSettings.Networks.globus.IPAddress}}' sim):8080
  until curl -sf "$sim/_sim/state" >/dev/null; do sleep 0.1; done
  install -o 65532 -m 0400 /dev/stdin "$work/client-secret" <<<"$canary"
}

# docker_run runs the image, or that named by $of, on the simulator: options of
# docker, --, arguments of the runner.
docker_run() {
  local options=() image=${of:-$image}
  while [[ $1 != -- ]]; do
    options+=("$1")
    shift
  done
  docker run --network globus -e GLOBUS_SDK_SERVICE_URL_AUTH=http://sim:8080 \
    -e GLOBUS_SDK_SERVICE_URL_TRANSFER=http://sim:8080 -e CLIENT_ID=$client "${options[@]}" "$image" "${@:2}"
}

# job puts the variables of a job that copies the frame into $job.
job() {
  job=(-e "RUNNER_JOB_NAME=$1" -e "RUNNER_JOB_SOURCE=$lab:/data/frame.txt" -e "RUNNER_JOB_DESTINATION=$vault:/$1.txt")
}

# exits runs a command, keeps what it prints in $said, and wants its status.
exits() {
  local want=$1 got=0
  said=$("${@:2}" 2>&1) || got=$?
  echo "$said"
  [[ $got == "$want" ]] || { echo "got exit status $got, want $want"; return 1; }
  [[ $said != *"$canary"* ]] || { echo 'the secret was printed'; return 1; }
}

# lacks wants no match of a pattern in files.
lacks() {
  if grep -aiE "$1" "${@:2}"; then return 1; fi
}

says() { [[ $said == *"$1"* ]] || { echo "it does not say: $1"; return 1; }; }

# tasks counts the tasks whose label begins with the job's name.
tasks() { curl -sf "$sim/_sim/state" | jq --arg job "$1 " '[.tasks[] | select(.label | startswith($job))] | length'; }

has_tasks() { [[ $(tasks "$1") == "$2" ]] || { echo "got $(tasks "$1") tasks of $1, want $2"; return 1; }; }

# disturb says what happens to the next task of a job.
disturb() { curl -sf "$sim/_sim/tasks" -d "{\"action\": \"$2\", \"label\": \"$1*\"}"; }

# within waits for a command to succeed, at most so many seconds.
within() {
  local end=$((SECONDS + $1))
  until "${@:2}"; do
    ((SECONDS < end)) || { echo "not within $1 s: ${*:2}"; return 1; }
    sleep 0.1
  done
}

# is compares what docker inspect says.
is() { [[ $(docker inspect -f "$2" "$1") == "$3" ]]; }

one_shot() {
  job once
  exits 0 docker_run --rm -e CLIENT_SECRET="$canary" "${job[@]}" -- run
  cmp "$work/lab/data/frame.txt" "$work/vault/once.txt"
  job fails
  disturb fails fail
  exits 1 docker_run --rm -e CLIENT_SECRET="$canary" "${job[@]}" -- run
  exits 2 docker_run --rm -e CLIENT_SECRET="$canary" -- run
  says RUNNER_JOB_SOURCE
}

secret_file() {
  local run=(docker_run --rm -e CLIENT_SECRET_FILE=/run/secrets/client-secret)
  job secret-file
  exits 0 "${run[@]}" -v "$work/client-secret:/run/secrets/client-secret:ro" "${job[@]}" -- run
  install -m 0400 /dev/stdin "$work/roots" <<<"$canary"
  exits 2 "${run[@]}" -v "$work/roots:/run/secrets/client-secret:ro" "${job[@]}" -- run
  says 'permission denied'
  install -m 0444 /dev/null "$work/empty"
  exits 2 "${run[@]}" -v "$work/empty:/run/secrets/client-secret:ro" "${job[@]}" -- run
  says empty
}

locked_down() {
  job locked-down
  exits 0 docker_run --rm --read-only --cap-drop ALL --security-opt no-new-privileges --pids-limit 64 \
    -v locked-down:/var/lib/runner -e RUNNER_STATE=sqlite:/var/lib/runner/runner.db \
    -e CLIENT_SECRET="$canary" "${job[@]}" -- run
  cmp "$work/lab/data/frame.txt" "$work/vault/locked-down.txt"
}

wrong_secret() {
  job wrong-secret
  exits 4 docker_run --rm -e CLIENT_SECRET=not-"$canary" "${job[@]}" -- run
  exits 4 docker_run --rm -e CLIENT_SECRET=not-"$canary" "${job[@]}" -e RUNNER_JOB_SCHEDULE=@daily -- serve
  exits 2 docker_run --rm "${job[@]}" -- run
  says CLIENT_SECRET
}

bad_mounts() {
  exits 2 docker_run --rm -e CLIENT_SECRET="$canary" --
  says 'there is no jobs file'
  job bad-mounts
  mkdir -p "$work/roots-folder"
  exits 2 docker_run --rm -e CLIENT_SECRET="$canary" -v "$work/roots-folder:/var/lib/runner" "${job[@]}" \
    -e RUNNER_STATE=sqlite:/var/lib/runner/runner.db -- run
  says RUNNER_STATE
  exits 2 docker_run --rm -e CLIENT_SECRET="$canary" --read-only "${job[@]}" -e RUNNER_JOB_SCHEDULE=@daily --
  says /var/lib/runner
  has_tasks bad-mounts 0
}

memory_limit() {
  job memory-limit
  exits 0 docker_run --name memory-limit -m 32m --memory-swap 32m -e CLIENT_SECRET="$canary" "${job[@]}" -- run
  is memory-limit '{{.State.OOMKilled}}' false
  docker rm memory-limit
}

# A batch that needs more memory than there is ends before anything is
# submitted; the same command with enough of it moves everything.
out_of_memory() {
  local run=(-e CLIENT_SECRET="$canary" -v "$work/batch:/batch:ro")
  local transfer=(transfer "$lab:/data/" "$vault:/oom/" --batch /batch --label oom)
  seq -f 'frame.txt a-folder-with-a-long-name/frame-%.0f.txt' 20000 >"$work/batch"
  exits 137 docker_run --name oom -m 8m --memory-swap 8m "${run[@]}" -- "${transfer[@]}"
  is oom '{{.State.OOMKilled}}' true
  docker rm oom
  [[ ! -e $work/vault/oom ]]
  exits 0 docker_run --rm -m 128m --memory-swap 128m "${run[@]}" -- "${transfer[@]}"
  [[ $(find "$work/vault/oom" -type f | wc -l) == 20000 ]]
}

# With no time between SIGTERM and SIGKILL nothing can be said any more, and
# nothing needs to be: what counts was recorded before.
killed() {
  job killed
  local run=(-e CLIENT_SECRET="$canary" "${job[@]}" -e RUNNER_JOB_SCHEDULE='* * * * *' -v killed:/var/lib/runner)
  disturb killed stall
  docker_run -d --name killed "${run[@]}" --
  within 80 has_tasks killed 1
  docker kill killed
  is killed '{{.State.ExitCode}}' 137
  disturb killed release
  docker start killed
  within 20 succeeded killed
  docker stop killed
  docker logs killed
  docker rm killed
}

# succeeded wants the oldest task of a job to have succeeded.
succeeded() {
  [[ $(curl -sf "$sim/_sim/state" | jq -r --arg job "$1 " '[.tasks[] | select(.label | startswith($job))][0].status') == SUCCEEDED ]]
}

adopted() {
  job adopted
  local run=(-e CLIENT_SECRET="$canary" -e RUNNER_OCCURRENCE=e2e:1 "${job[@]}")
  disturb adopted stall
  docker_run -d --name adopted "${run[@]}" -- run
  within 20 has_tasks adopted 1
  docker stop adopted
  is adopted '{{.State.ExitCode}}' 143
  disturb adopted release
  exits 0 docker_run --rm "${run[@]}" -- run -F json
  says '"adopted": true'
  has_tasks adopted 1
  docker logs adopted
  docker rm adopted
}

serves() {
  job serves
  docker_run -d --name serves --read-only --cap-drop ALL -v serves:/var/lib/runner --health-interval 1s -e CLIENT_SECRET="$canary" \
    "${job[@]}" -e RUNNER_JOB_SCHEDULE='0 2 * * *' --
  within 20 is serves '{{.State.Health.Status}}' healthy
  docker exec serves /runner health
  docker exec serves /runner runs
  local begin=${EPOCHREALTIME/./}
  docker stop serves
  local took=$(((${EPOCHREALTIME/./} - begin) / 1000))
  echo "figure: docker stop $took ms"
  ((took < 2000))
  is serves '{{.State.ExitCode}}' 0
  docker rm serves
}

# A container that had the secret is exported: what the image holds and what
# the runner left.
contents() {
  docker_run --name contents -e CLIENT_SECRET_FILE=/run/secrets/client-secret -v "$work/client-secret:/run/secrets/client-secret:ro" \
    -e RUNNER_STATE=sqlite:/tmp/runner.db --tmpfs /tmp -- whoami >/dev/null
  docker export contents >"$work/contents.tar"
  docker rm contents
  # Docker itself adds dev, proc, sys, run, tmp and the files of the network.
  diff - <(tar -tf "$work/contents.tar" | grep -vE '/$|^(dev|proc|sys|run)/|^\.dockerenv$|^etc/(hostname|hosts|resolv\.conf|mtab)$' | sort) <<'END'
etc/ssl/certs/ca-certificates.crt
runner
END
  docker history --no-trunc "$image" >"$work/history"
  docker inspect "$image" >"$work/inspected"
  lacks "$canary" "$work/contents.tar"
  lacks 'secret|token|password' "$work/history" "$work/inspected"
  is "$image" '{{.Config.User}} {{.Config.StopSignal}} {{.Config.Entrypoint}} {{.Config.Cmd}}' '65532:65532 SIGTERM [/runner] [serve]'
}

image_size() {
  local size
  size=$(docker inspect -f '{{.Size}}' "$image")
  echo "figure: image $((size / 1024)) KiB, budget 28672"
  ((size <= 28 << 20))
}

# The binary does not tell where or when it was built: that of the image is the
# one that this tree gives in a folder of its own.
reproducible() {
  mkdir -p "$work/elsewhere"
  docker create --name digest "$image" >/dev/null
  docker cp digest:/runner "$work/elsewhere/from-image"
  docker rm digest >/dev/null
  git ls-files -z | xargs -0 cp --parents -t "$work/elsewhere" 2>/dev/null || true # what is deleted here is not there either
  (cd "$work/elsewhere" && GOCACHE=$build_cache cmd/runner/build.sh again e2e -buildvcs=false)
  cmp "$work/elsewhere/from-image" "$work/elsewhere/again"
  echo "figure: sha256 $(sha256sum <"$work/elsewhere/again")"
}

# arm64 builds the image for another machine and runs it in an emulator, which
# the kernel starts for programs of that kind.
arm64() {
  local magic='\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
  local mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
  docker build --platform linux/arm64 --build-arg VERSION=e2e -t globus-runner:arm64 .
  mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
  local entry=/proc/sys/fs/binfmt_misc/e2e-aarch64-$RANDOM
  printf '%s' ":${entry##*/}:M::$magic:$mask:/usr/bin/qemu-aarch64-static:F" >/proc/sys/fs/binfmt_misc/register
  # shellcheck disable=SC2064 # this entry, now
  trap "echo -1 >$entry" EXIT
  is globus-runner:arm64 '{{.Architecture}}' arm64
  local of=globus-runner:arm64
  exits 0 docker_run --rm --platform linux/arm64 -- version
  says linux/arm64
  job arm64
  exits 0 docker_run --rm --platform linux/arm64 -e CLIENT_SECRET="$canary" "${job[@]}" \
    -v arm64:/var/lib/runner -e RUNNER_STATE=sqlite:/var/lib/runner/runner.db -- run
  cmp "$work/lab/data/frame.txt" "$work/vault/arm64.txt"
}

# first_request prints when the simulator got the first request after an
# instant; both in microseconds since 1970.
first_request() {
  local since=$1
  curl -sf "$sim/_sim/state" | jq -r '.requests[] | .time' | while read -r at; do date -d "$at" +%s%6N; done | awk -v t="$since" '$1 > t { print; exit }'
}

median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

# The container is measured from the moment that Docker says it was started,
# which is a few milliseconds late; the time of Docker itself is not counted.
start_up() {
  docker create --name bare "$image" >/dev/null
  docker cp bare:/runner "$work/runner"
  docker rm bare >/dev/null
  export CLIENT_ID=$client CLIENT_SECRET=$canary GLOBUS_SDK_SERVICE_URL_AUTH=$sim GLOBUS_SDK_SERVICE_URL_TRANSFER=$sim
  local begin started bare=() box=() all=()
  for _ in 1 2 3 4 5; do
    begin=${EPOCHREALTIME/./}
    "$work/runner" whoami >/dev/null
    bare+=($(($(first_request "$begin") - begin)))
    docker_run -e CLIENT_SECRET --name start-up -- version >/dev/null
    docker rm start-up >/dev/null
    begin=${EPOCHREALTIME/./}
    docker_run -e CLIENT_SECRET --name start-up -- whoami >/dev/null
    started=$(date -d "$(docker inspect -f '{{.State.StartedAt}}' start-up)" +%s%6N)
    box+=($(($(first_request "$begin") - started)))
    all+=($(($(first_request "$begin") - begin)))
    docker rm start-up >/dev/null
  done
  local b c a
  b=$(printf '%s\n' "${bare[@]}" | median) c=$(printf '%s\n' "${box[@]}" | median) a=$(printf '%s\n' "${all[@]}" | median)
  echo "figure: start to first request: bare $((b / 1000)) ms, container $((c / 1000)) ms, budget $((b / 1000 + 50)); with docker run $((a / 1000)) ms"
  ((c <= b + 50000))
}

check_image() {
  check 'variables alone: one run, its exit status' one_shot
  check 'secret in a file; one that cannot be read, an empty one' secret_file
  check 'read-only root, no capabilities, a ledger' locked_down
  check 'wrong secret: 4, and not printed' wrong_secret
  check 'no jobs file, a volume that is not writable: 2' bad_mounts
  check 'works in 32 MiB' memory_limit
  check 'killed for memory: 137, nothing submitted, and done by the next' out_of_memory
  check 'SIGTERM: 143, and the next container adopts the task' adopted
  check 'no time before SIGKILL: 137, and the next start adopts the task' killed
  check 'serve with a schedule and no file, health, stop' serves
  check 'no shell and no secret in the image or a container' contents
  check 'size' image_size
  check 'the same binary from another folder' reproducible
  if [[ -x /usr/bin/qemu-aarch64-static ]]; then
    check 'arm64: built, run in an emulator' arm64
  else
    echo 'skipped  arm64: qemu-user-static cannot be installed here'
  fi
}
