# shellcheck shell=bash
# The commands of docs/kubernetes.md, one block after the other in the same
# place; sourced by run.
# shellcheck disable=SC2154

# prepare_document makes the place: a copy of what the commands use, with the
# collections filled in, and the programs that they call.
prepare_document() {
  local tree=$work/document
  mkdir -p "$tree" "$work/bin"
  cp -r deploy examples "$tree"
  sed -i "s/^  lab: .*/  lab: $lab/; s/^  archive: .*/  archive: $vault/" "$tree/examples/sync-folder.yaml"
  ln -s "$kube/bin/kubectl" "$work/runner" "$work/bin/"
}

# a_kube_block runs block number $block. A Secret that an earlier block made is
# there already.
a_kube_block() {
  local tree=$work/document
  blocks kubernetes "$block" >"$tree/script"
  cat "$tree/script"
  exits 0 env -C "$tree" "PATH=$work/bin:$PATH" CLIENT_ID="$client" CLIENT_SECRET="$canary" \
    DATABASE_URL="$(database_url)" GLOBUS_SDK_SERVICE_URL_AUTH="$sim" GLOBUS_SDK_SERVICE_URL_TRANSFER="$sim" \
    timeout 180 bash -euo pipefail script
}

check_document() {
  prepare_document
  local block
  for block in $(seq "$(blocks kubernetes | wc -l)"); do
    if blocks kubernetes "$block" | grep -q overlays/ha && ! have_postgres; then
      echo "skipped  docs/kubernetes.md, block $block: postgresql cannot be installed here"
      continue
    fi
    check "docs/kubernetes.md, block $block" a_kube_block
  done
}
