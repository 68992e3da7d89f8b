# shellcheck shell=bash
# What runner export kubernetes writes, applied as it is; sourced by run.
# shellcheck disable=SC2154

# open_namespace makes a namespace as restricted as that of the base.
open_namespace() {
  kubectl create namespace "$1"
  kubectl label namespace "$1" pod-security.kubernetes.io/{enforce,warn}=restricted
  credentials "$1"
}

exported_cronjobs() {
  open_namespace exported
  {
    jobs_of exported '* * * * *'
    echo '  unscheduled:'
    echo '    description: "started by hand: # and \" do no harm"'
    echo "    transfer: {source: 'lab:/data/', destination: 'vault:/unscheduled/'}"
  } >"$work/exported.yaml"
  "$work/runner" export kubernetes --kind cronjob --namespace exported --jobs "$work/exported.yaml" |
    kubectl apply --warnings-as-errors -f -
  kubectl -n exported create job --from=cronjob/unscheduled unscheduled-now
  within 80 quietly has_tasks exported 1
  finished exported complete
  has_tasks unscheduled 1
  cmp "$work/lab/data/frame.txt" "$work/vault/unscheduled/frame.txt"
  cmp "$work/lab/data/frame.txt" "$work"/vault/exported/*/frame.txt
  kubectl -n exported patch cronjob exported -p '{"spec": {"suspend": true}}'
}

exported_deployment() {
  open_namespace scheduler
  jobs_of scheduler '@every 1m' >"$work/scheduler.yaml"
  apply_scheduler
  rolled_out scheduler
  within 80 quietly has_tasks scheduler 1
  once scheduler
  # A change of the jobs file rolls here too.
  jobs_of another @yearly >"$work/scheduler.yaml"
  apply_scheduler
  rolled_out scheduler
  exits 0 in_pod scheduler jobs
  says another
}

apply_scheduler() {
  "$work/runner" export kubernetes --kind deployment --jobs "$work/scheduler.yaml" |
    kubectl apply --warnings-as-errors -n scheduler -f -
}

# checked_in wants the overlay's manifests to be those of its jobs file.
checked_in() {
  (cd deploy/k8s/overlays/cronjob && "$work/runner" export kubernetes --kind cronjob --jobs jobs.yaml) |
    diff deploy/k8s/overlays/cronjob/cronjobs.yaml -
}

check_export() {
  check 'export: the overlay cronjob is what the command writes' checked_in
  check 'export: CronJobs, with a schedule and without' exported_cronjobs
  check 'export: a Deployment' exported_deployment
}
