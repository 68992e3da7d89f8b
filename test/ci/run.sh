#!/usr/bin/env bash
# Runs the GitHub action with act and the GitLab template with gitlab-ci-local,
# on this machine, against the simulator. What cannot be had is skipped by name.
set -euo pipefail
cd "$(dirname "$0")/../.."

act_version=v0.2.89
gitlab_version=4.60.0
cache=${XDG_CACHE_HOME:-$HOME/.cache}/globus-runner/ci
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT
mkdir -p "$cache" "$work/repo" "$work/bin" "$work/lab/data" "$work/vault"
passed=0 skipped=0

fail() {
  echo "FAIL: $*" >&2
  [ ! -f "$work/out" ] || tail -n 60 "$work/out" >&2
  exit 1
}
pass() { echo "ok   $*"; passed=$((passed + 1)); }
skip() { echo "skipped: $*"; skipped=$((skipped + 1)); }
has() { grep -qE -- "$1" "$work/out" || fail "want $1 in the output"; }
quiet() { ! grep -qF -- "$CLIENT_SECRET" "$work/out" || fail "the secret was printed"; }
tasks() { # N: so many tasks are at Globus
  local got
  got=$("$work/bin/runner" task list -F json --jmespath 'length(DATA)' 2>/dev/null)
  [ "$got" = "$1" ] || fail "got $got tasks, want $1"
}

CGO_ENABLED=0 go build -trimpath -o "$work/bin/" ./cmd/runner
echo frame >"$work/lab/data/frame.h5"
"$work/bin/runner" sim --collection "lab=$work/lab" --collection "vault=$work/vault" >"$work/sim.env" 2>"$work/sim.log" &
for _ in $(seq 100); do grep -q COLLECTION_VAULT "$work/sim.env" && break; sleep 0.1; done
grep -q COLLECTION_VAULT "$work/sim.env" || fail "the simulator did not start: $(cat "$work/sim.log")"
# shellcheck source=/dev/null
. "$work/sim.env"

# The pipelines see a repository of their own: a copy of this one.
tar --exclude=./.git --exclude=./bin --exclude=node_modules -cf - . | tar -xf - -C "$work/repo"
git -C "$work/repo" init -q -b main
git -C "$work/repo" remote add origin https://example.org/group/project.git
git -C "$work/repo" add -A
git -C "$work/repo" -c user.name=ci -c user.email=ci@example.org commit -qm copy

github() { # NAME SOURCE [INPUTS]: runs a workflow with the action, which copies SOURCE
  mkdir -p "$work/repo/.github/workflows"
  # act makes its checkout itself: it copies the repository.
  sed -e 's|globus-runner/globus-runner/deploy/ci/github@main|./deploy/ci/github|' -e 's|^    steps:|&\n      - uses: actions/checkout@v4|' \
    -e "s|source: .*|source: $2|" -e "s|destination: .*|destination: $COLLECTION_VAULT:/$1/|" \
    -e "s|^        with:|&${3:-}|" \
    deploy/ci/github/workflow.yml >"$work/repo/.github/workflows/$1.yml"
  printf 'CLIENT_ID=%s\nCLIENT_SECRET=%s\n' "$CLIENT_ID" "$CLIENT_SECRET" >"$work/secrets"
  # --insecure-secrets: act must not hide what the program prints.
  env -i PATH="$PATH" HOME="$HOME" timeout 300 "$cache/act" push -C "$work/repo" -W ".github/workflows/$1.yml" \
    -P ubuntu-latest=-self-hosted --insecure-secrets --secret-file "$work/secrets" \
    --env GLOBUS_SDK_SERVICE_URL_AUTH="$GLOBUS_SDK_SERVICE_URL_AUTH" \
    --env GLOBUS_SDK_SERVICE_URL_TRANSFER="$GLOBUS_SDK_SERVICE_URL_TRANSFER" >"$work/out" 2>&1
}

if [ -x "$cache/act" ] || GOBIN=$cache timeout 500 go install "github.com/nektos/act@$act_version" >/dev/null 2>&1; then
  github good "$COLLECTION_LAB:/data/" || fail "the action failed"
  has 'task [-0-9a-f]{36} succeeded, 1 files'
  cmp "$work/lab/data/frame.h5" "$work/vault/good/frame.h5"
  quiet
  has '⚙ +\*\*\*' # act's answer to add-mask
  tasks 1
  has '^\| transfer-[0-9a-f]+ \| github:1 \| succeeded \| [-0-9a-f]{36} \|'
  pass "GitHub: the action is built from its source and moves a folder"
  github good "$COLLECTION_LAB:/data/" || fail "the action failed when it was run again"
  has 'succeeded'
  tasks 1
  pass "GitHub: the same run again adopts the task"
  if github bad 00000000-0000-4000-8000-00000000dead:/data/; then fail "the action succeeded without a collection"; fi
  has '❗ +::error title=runner::.*EndpointNotFound'
  has '^\| transfer-[0-9a-f]+ \| github:1 \| failed \|'
  has 'task +failed, 0 files'
  quiet
  pass "GitHub: a failure fails the step, with an annotation and outputs"
  cat >"$work/repo/jobs.yaml" <<EOF
version: 1
collections: {lab: $COLLECTION_LAB, vault: $COLLECTION_VAULT}
jobs:
  nightly:
    transfer: {source: "lab:/data/", destination: "vault:/nightly/"}
EOF
  inputs='\n          jobs: jobs.yaml\n          job: nightly\n          timeout: 5m\n          junit: no/such/junit.xml'
  github nightly "$COLLECTION_LAB:/data/" "$inputs" || fail "the action failed with a jobs file"
  has '\| nightly \| github:1 \| succeeded'
  has 'a report could not be written.* file=no/such/junit.xml'
  cmp "$work/lab/data/frame.h5" "$work/vault/nightly/frame.h5"
  tasks 2
  pass "GitHub: a job of a jobs file, with every other input"
else
  skip "GitHub: act $act_version could not be installed"
fi

gitlab() { # NAME SOURCE PIPELINE: runs a pipeline with the template
  {
    sed -e 's|- project: .*|- local: deploy/ci/gitlab/runner.yml|' -e '/^    file: /d' \
      -e "s|RUNNER_JOB_SOURCE: .*|RUNNER_JOB_SOURCE: $2|" \
      -e "s|RUNNER_JOB_DESTINATION: .*|RUNNER_JOB_DESTINATION: $COLLECTION_VAULT:/$1/|" deploy/ci/gitlab/pipeline.yml
  } >"$work/repo/.gitlab-ci.yml"
  (cd "$work/repo" && env -i PATH="$work/bin:$PATH" HOME="$HOME" CLIENT_ID="$CLIENT_ID" CLIENT_SECRET="$CLIENT_SECRET" \
    timeout 300 "$cache/node_modules/.bin/gitlab-ci-local" --force-shell-executor \
    --variable CLIENT_ID="$CLIENT_ID" --variable CLIENT_SECRET="$CLIENT_SECRET" --variable CI_PIPELINE_ID="$3" \
    --variable GLOBUS_SDK_SERVICE_URL_AUTH="$GLOBUS_SDK_SERVICE_URL_AUTH" \
    --variable GLOBUS_SDK_SERVICE_URL_TRANSFER="$GLOBUS_SDK_SERVICE_URL_TRANSFER") >"$work/out" 2>&1
}

# rsync is installed where it is missing, if root asks for it.
command -v rsync >/dev/null || { [ "$(id -u)" != 0 ] || timeout 300 sh -c 'apt-get update -qq; apt-get install -y -qq --no-install-recommends rsync' >/dev/null 2>&1 || true; }
if command -v rsync >/dev/null && { [ -x "$cache/node_modules/.bin/gitlab-ci-local" ] ||
  timeout 300 npm install --silent --no-audit --no-fund --prefix "$cache" "gitlab-ci-local@$gitlab_version" >/dev/null 2>&1; }; then
  before=$("$work/bin/runner" task list -F json --jmespath 'length(DATA)')
  gitlab lab "$COLLECTION_LAB:/data/" 77 || fail "the pipeline failed"
  has 'task [-0-9a-f]{36} succeeded, 1 files'
  cmp "$work/lab/data/frame.h5" "$work/vault/lab/frame.h5"
  quiet
  tasks $((before + 1))
  pass "GitLab: the template moves a folder, and the next job has the outputs"
  gitlab lab "$COLLECTION_LAB:/data/" 77 || fail "the pipeline failed when it was run again"
  has 'succeeded'
  tasks $((before + 1))
  pass "GitLab: the same pipeline again adopts the task"
  if gitlab bad 00000000-0000-4000-8000-00000000dead:/data/ 78; then fail "the pipeline succeeded without a collection"; fi
  has 'EndpointNotFound'
  quiet
  grep -q "Globus: failed" "$work/repo/.gitlab-ci-local/artifacts/archive/globus-summary.md" || fail "the artifacts of a failed job are not there"
  pass "GitLab: a failure fails the job"
else
  skip "GitLab: gitlab-ci-local $gitlab_version or rsync could not be had"
fi
echo "$passed passed, 0 failed, $skipped skipped"
