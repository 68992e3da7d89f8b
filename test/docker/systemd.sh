# shellcheck shell=bash
# The unit of systemd, as far as it can be looked at without booting; sourced
# by run, which sets $work and $image.
# shellcheck disable=SC2154

unit() {
  local exposure=20 # of 100, at most
  docker create --name unit "$image"
  docker cp unit:/runner "$work/unit-runner"
  docker rm unit
  # The program must exist for the unit to be in order.
  sed "s,/usr/local/bin/runner,$work/unit-runner," deploy/systemd/runner.service >"$work/runner.service"
  exits 0 systemd-analyze verify "$work/runner.service"
  [[ -z $said ]]
  exits 0 systemd-analyze security --offline=true --threshold="$exposure" "$work/runner.service"
  echo "figure: ${said##*$'\n'}"
}

# commands runs the blocks of docs/systemd.md on copies of /etc and
# /usr/local/bin that nobody else sees. Nothing can be booted here: systemctl
# is a stand-in, which starts the program with the unit's variables, and as a
# user without rights.
commands() {
  local tools=$work/systemd
  mkdir -p "$tools"/{bin,etc,etc-work,local,local-work,state,credentials}
  chmod 711 "$tools"
  chown 65534 "$tools/state"
  cp "$work/bin/sudo" "$tools/bin/"
  install /dev/stdin "$tools/bin/systemctl" <<'END'
#!/bin/bash
set -euo pipefail
case $1 in
enable)
  install -o 65534 -m 400 /etc/runner/client-secret "$TOOLS/credentials/client-secret"
  set -a
  source /etc/runner/environment
  CLIENT_SECRET_FILE=$TOOLS/credentials/client-secret STATE_DIRECTORY=$TOOLS/state RUNNER_LOG_FORMAT=json
  unset CLIENT_SECRET
  start=$(sed -n 's/^ExecStart=//p' /etc/systemd/system/runner.service)
  # shellcheck disable=SC2086 # a command line
  setpriv --reuid 65534 --clear-groups --no-new-privs --bounding-set=-all $start >"$TOOLS/log" 2>&1 &
  echo $! >"$TOOLS/pid"
  sleep 1
  ;;
reload) kill -HUP "$(cat "$TOOLS/pid")" && sleep 1 ;;
status) kill -0 "$(cat "$TOOLS/pid")" ;;
esac
END
  install /dev/stdin "$tools/bin/journalctl" <<'END'
#!/bin/bash
cat "$TOOLS/log"
END
  local tree=$work/systemd-tree
  copy_tree "$tree"
  install -D "$work/unit-runner" "$tree/bin/runner"
  {
    echo "mount -t overlay overlay -o lowerdir=/etc,upperdir=$tools/etc,workdir=$tools/etc-work /etc"
    echo "mount -t overlay overlay -o lowerdir=/usr/local/bin,upperdir=$tools/local,workdir=$tools/local-work /usr/local/bin"
    blocks systemd 1
    blocks systemd 2
    echo "STATE_DIRECTORY=$tools/state runner runs"
    echo "kill \$(cat $tools/pid)"
  } >"$tree/script"
  cat "$tree/script"
  exits 0 env -C "$tree" "PATH=$tools/bin:$PATH" TOOLS="$tools" CLIENT_ID=$client CLIENT_SECRET="$canary" \
    GLOBUS_SDK_SERVICE_URL_AUTH="$sim" GLOBUS_SDK_SERVICE_URL_TRANSFER="$sim" \
    timeout 60 unshare --mount bash -euo pipefail script
  says 'jobs file reloaded'
}

check_unit() {
  if [[ -x /usr/bin/systemd-analyze ]]; then
    check 'systemd: the unit is in order, and little is exposed' unit
    check 'docs/systemd.md, with a stand-in for systemctl' commands
  else
    echo 'skipped  systemd unit, docs/systemd.md: systemd cannot be installed here'
  fi
}
