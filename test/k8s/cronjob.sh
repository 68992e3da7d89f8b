# shellcheck shell=bash
# What is promised of CronJobs; sourced by run.
# shellcheck disable=SC2154

# place_cronjob makes the overlay cronjob for a job that has the name of its
# namespace.
place_cronjob() {
  local tree
  tree_of "$1"
  jobs_of "$1" "$2" >"$tree/overlays/cronjob/jobs.yaml"
  "$work/runner" export kubernetes --kind cronjob --jobs "$tree/overlays/cronjob/jobs.yaml" >"$tree/overlays/cronjob/cronjobs.yaml"
  printf 'namespace: %s\nresources: [../overlays/cronjob]\n' "$1" >"$tree/mine/kustomization.yaml"
  kubectl apply --warnings-as-errors -k "$tree/mine"
}

# a_cronjob makes one whose time does not come, for jobs that are made by hand.
a_cronjob() { place_cronjob "$1" '0 0 29 2 *'; }

# by_hand starts the CronJob of a namespace as a Job named after it.
by_hand() { kubectl -n "$1" create job --from="cronjob/$1" "$1-by-hand"; }

finished() { kubectl -n "$1" wait "--for=condition=$2" job --all --timeout=90s; }

# pods prints the names of a namespace's Pods, the oldest first.
pods() { kubectl -n "$1" get pods --sort-by=.metadata.creationTimestamp -o name "${@:2}"; }

newest() { pods "$1" | tail -n 1; }

has_pods() {
  local got
  got=$(pods "$1" | wc -l)
  [[ $got == "$2" ]] || { echo "got $got Pods, want $2"; return 1; }
}

# exit_status prints that of a Pod's container, of the run before if it runs.
exit_status() {
  kubectl -n "$1" get "$2" -o json | jq '.status.containerStatuses[0] | (.state.terminated // .lastState.terminated).exitCode'
}

ended_with() { [[ $(exit_status "$1" "$2") == "$3" ]]; }

# logged looks for a text in the log of a Pod.
logged() { kubectl -n "$1" logs "$2" "${@:4}" | grep -F "$3"; }

fires() {
  place_cronjob fires '* * * * *'
  credentials fires
  within 80 quietly has_tasks fires 1
  finished fires complete
  cmp "$work/lab/data/frame.txt" "$work"/vault/fires/*/frame.txt
  # The key is the scheduled minute, out of the Job's name.
  curl -sf "$sim/_sim/state" | jq -e '[.tasks[].label | select(test("^fires 20[-0-9]*T[0-9:]*:00Z$"))] | length == 1'
  kubectl -n fires patch cronjob fires -p '{"spec": {"suspend": true}}'
}

# killed takes a Job's Pods away in the middle of their wait: the process of
# the first, with no time left, and the whole of the second.
killed() {
  a_cronjob killed
  credentials killed
  disturb killed stall
  by_hand killed
  within 30 quietly has_tasks killed 1
  local first second
  first=$(newest killed)
  kill_process killed "$first"
  within 60 quietly adopted_after killed "$first"
  ended_with killed "$first" 137
  second=$(newest killed)
  kubectl -n killed delete "$second" --force --grace-period=0
  within 60 quietly adopted_after killed "$second"
  disturb killed release
  finished killed complete
  has_tasks killed 1
}

kill_process() {
  local container
  kubectl -n "$1" wait --for=condition=Ready "$2" --timeout=20s # the status follows a little later
  container=$(kubectl -n "$1" get "$2" -o jsonpath='{.status.containerStatuses[0].containerID}')
  ctr -a "$work/containerd.sock" -n k8s.io tasks kill -s KILL "${container#containerd://}"
}

# adopted_after reports whether a newer Pod has found the task of the first.
adopted_after() {
  local pod
  pod=$(newest "$1")
  [[ $pod != "$2" ]] && logged "$1" "$pod" 'task adopted'
}

# evicted drains the node, in effect; that is nobody's fault and no retry.
evicted() {
  a_cronjob evicted
  credentials evicted
  disturb evicted stall
  by_hand evicted
  within 30 quietly has_tasks evicted 1
  local pod
  pod=$(newest evicted)
  kubectl create --raw "/api/v1/namespaces/evicted/pods/${pod#pod/}/eviction" -f - <<END
{"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "${pod#pod/}", "namespace": "evicted"}}
END
  within 60 quietly adopted_after evicted "$pod"
  disturb evicted release
  finished evicted complete
  has_tasks evicted 1
  [[ $(kubectl -n evicted get job -o jsonpath='{.items[0].status.failed}') == '' ]]
}

refused() {
  a_cronjob refused
  credentials refused wrong
  by_hand refused
  finished refused failed
  [[ $(kubectl -n refused get job -o jsonpath='{.items[0].status.conditions[?(@.type=="Failed")].reason}') == PodFailurePolicy ]]
  has_pods refused 1
  ended_with refused "$(newest refused)" 4
  has_tasks refused 0
}

# away starts while Globus cannot be reached, and goes on when it can.
away() {
  a_cronjob away
  kubectl annotate namespace away "e2e/globus=http://$address:9"
  kubectl -n away set env cronjob/away RUNNER_HTTP_RETRIES=0
  credentials away
  by_hand away
  within 30 quietly has_pods away 1
  within 30 quietly ended_with away "$(pods away)" 5
  kubectl annotate namespace away e2e/globus-
  finished away complete
  has_pods away 2
  has_tasks away 1
}

check_cronjob() {
  check 'CronJob: fires by itself, its Pod moves files' fires
  check 'CronJob: a Pod killed while it waits, the next adopts its task' killed
  check 'CronJob: a Pod evicted while it waits is not counted' evicted
  check 'CronJob: wrong secret, 4: the Job fails at once' refused
  check 'CronJob: Globus is away, 5: the Job tries again' away
}
