# shellcheck shell=bash
# What is promised of the Deployments; sourced by run.
# shellcheck disable=SC2154

# rolled_out waits for the Deployment of a namespace.
rolled_out() { kubectl -n "$1" rollout status deployment/globus-runner --timeout=90s; }

in_pod() { kubectl -n "$1" exec deployment/globus-runner -- /runner "${@:2}"; }

# once wants one task an occurrence of a job.
once() {
  local labels
  labels=$(curl -sf "$sim/_sim/state" | jq -c --arg job "$1 " '[.tasks[].label | select(startswith($job))]')
  echo "$labels"
  jq -e 'length == (unique | length)' <<<"$labels"
}

# restarted restarts the Deployment in the middle of a run, and lets another
# occurrence come.
restarted() {
  disturb restarted stall # first of all: a minute may end at any time
  jobs_of restarted '@every 1m' | place restarted deployment
  credentials restarted
  rolled_out restarted
  within 80 quietly has_tasks restarted 1
  kubectl -n restarted rollout restart deployment/globus-runner
  rolled_out restarted
  disturb restarted release
  within 80 quietly has_tasks restarted 2
  once restarted
  exits 0 in_pod restarted runs
  says 'succeeded'
  cmp "$work/lab/data/frame.txt" "$(find "$work/vault/restarted" -name frame.txt | head -n 1)"
}

# changed changes the jobs file.
changed() {
  jobs_of changed @yearly | place changed deployment
  credentials changed
  rolled_out changed
  local before
  before=$(pods changed)
  jobs_of another @yearly | place changed deployment
  rolled_out changed
  exits 0 in_pod changed jobs
  says another
  [[ $(pods changed --field-selector=status.phase=Running) != "$before" ]]
}

# taken_over deletes the replica that is at a run.
taken_over() {
  disturb taken-over stall
  jobs_of taken-over '@every 1m' | place taken-over ha
  credentials taken-over
  kubectl -n taken-over create secret generic globus-runner-database --from-literal=url="$(database_url)"
  rolled_out taken-over
  [[ $(kubectl -n taken-over get pdb globus-runner -o jsonpath='{.status.disruptionsAllowed}') == 1 ]]
  within 80 quietly has_tasks taken-over 1
  local first begin=$SECONDS
  within 20 quietly holder taken-over
  first=$(holder taken-over)
  kubectl -n taken-over delete pod "$first" --force --grace-period=0
  within 90 quietly held_by_another taken-over "$first"
  echo "figure: another replica has the run after $((SECONDS - begin)) s"
  disturb taken-over release
  within 80 quietly has_tasks taken-over 2
  within 80 quietly succeeded taken-over
  once taken-over
}

# holder prints the Pod that is at a run.
holder() { in_pod "$1" runs -F json | jq -er '[.. | .holder? // empty][-1] | split(":")[0]'; }

held_by_another() {
  local now
  now=$(holder "$1")
  [[ -n $now && $now != "$2" ]]
}

succeeded() { in_pod "$1" runs | grep succeeded; }

check_deployment() {
  check 'Deployment: rollout restart in the middle of a run' restarted
  check 'Deployment: a changed jobs file makes a new Pod' changed
}

check_ha() {
  if have_postgres; then
    check 'ha: the replica at work is deleted, another takes over' taken_over
  else
    echo 'skipped  ha: postgresql cannot be installed here'
  fi
}
