# shellcheck shell=bash
# What cannot work says so; sourced by run.
# shellcheck disable=SC2154

# stopped waits for the newest Pod of a namespace to end with a status and a
# message.
stopped() { within 60 quietly ended "$@"; }

ended() {
  local pod
  pod=$(newest "$1")
  ended_with "$1" "$pod" "$2" && { logged "$1" "$pod" "$3" || logged "$1" "$pod" "$3" --previous; }
}

has_event() { kubectl -n "$1" get events | grep -E "$2"; }

# patched changes a Deployment; mount_path says where in it
# a volume is mounted.
patched() { kubectl -n "$1" patch deployment globus-runner --type=json -p "[$2]"; }

mount_path() {
  echo "/spec/template/spec/containers/0/volumeMounts/$(kubectl -n "$1" get deployment globus-runner -o json |
    jq --arg name "$2" '.spec.template.spec.containers[0].volumeMounts | map(.name) | index($name)')"
}

no_secret() {
  jobs_of no-secret @yearly | place no-secret deployment
  within 40 quietly has_event no-secret 'MountVolume.SetUp failed.*secret "globus-runner" not found'
  credentials no-secret ''
  stopped no-secret 2 'CLIENT_SECRET_FILE'
}

wrong_secret_k8s() {
  jobs_of wrong-secret @yearly | place wrong-secret deployment
  credentials wrong-secret wrong
  stopped wrong-secret 4 'invalid_client'
}

not_writable() {
  jobs_of not-writable @yearly | place not-writable deployment
  credentials not-writable
  rolled_out not-writable
  patched not-writable "{\"op\": \"add\", \"path\": \"$(mount_path not-writable ledger)/readOnly\", \"value\": true}"
  stopped not-writable 2 'RUNNER_STATE'
}

no_jobs() {
  jobs_of no-jobs @yearly | place no-jobs deployment
  credentials no-jobs
  rolled_out no-jobs
  patched no-jobs "{\"op\": \"remove\", \"path\": \"$(mount_path no-jobs jobs)\"}"
  stopped no-jobs 2 'there is no jobs file /etc/runner/jobs.yaml'
}

check_bad() {
  check 'no Secret, an event; an empty one, 2' no_secret
  check 'wrong secret: 4' wrong_secret_k8s
  check 'a volume that is not writable: 2' not_writable
  check 'a jobs file that is not mounted: 2' no_jobs
}
