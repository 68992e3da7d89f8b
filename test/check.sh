# shellcheck shell=bash
# How the scripts that use real engines say what they found; sourced by them.
# They set $work, a folder of theirs, before the first check.
# shellcheck disable=SC2034,SC2154

failed=0 # a check has failed

# check runs a function in a shell of its own, where the first command that
# fails ends it, and says what became of the claim.
check() {
  local claim=$1 function=$2 status begin=$SECONDS log
  log=$(mktemp -p "$work")
  set +e
  (set -e -o pipefail; trap 'echo "line $LINENO: $BASH_COMMAND"' ERR; set -E; "$function") >"$log" 2>&1
  status=$?
  set -e
  if [[ $status == 0 ]]; then
    echo "ok       $claim ($((SECONDS - begin)) s)"
    sed -n 's/^figure: /           /p' "$log"
  else
    echo "FAILED   $claim"
    uniq "$log" | tail -n 60 | sed 's/^/    /'
    failed=1
  fi
}

skip() {
  echo "skipped: $*"
  exit 0
}

# installed installs a Debian package unless its program is there.
installed() {
  local program=$1 package=$2
  [[ -x $program ]] && return
  if [[ -z ${updated:-} ]]; then
    updated=1
    timeout 120 apt-get update -qq >/dev/null 2>&1 || true # what is known already may do
  fi
  timeout 300 apt-get install -y -qq --no-install-recommends "$package" >/dev/null 2>&1 && [[ -x $program ]]
}
