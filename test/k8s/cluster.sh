# shellcheck shell=bash
# A Kubernetes of one node, for run, which sets $work and runs as process 1 of
# namespaces of its own. Nothing of it outlives that process but what
# outside_clean_up removes.
# shellcheck disable=SC2154

address=10.244.0.1 # of the node; Pods are on the same bridge

# sysctls are settings of the machine itself that the kubelet changes.
sysctls=(vm/overcommit_memory kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes)

# outside_prepare and outside_clean_up run on the machine itself, around what
# happens in the namespaces: settings are put back, cgroups removed.
# nothing_left looks whether that is so.
outside_prepare() {
  local setting controller
  for setting in "${sysctls[@]}"; do
    printf '%s %s\n' "$setting" "$(cat "/proc/sys/$setting")"
  done >"$work/settings"
  for controller in /sys/fs/cgroup/*/; do
    mkdir -p "$controller${work##*/}"
  done 2>/dev/null || true # what cannot be written, kubelet does not use
}

outside_clean_up() {
  local setting value
  while read -r setting value; do
    echo "$value" >"/proc/sys/$setting"
  done <"$work/settings"
  # A process that was just killed may still be on its way out.
  for _ in {1..100}; do
    find /sys/fs/cgroup/*/"${work##*/}" -depth -type d -exec rmdir {} + 2>/dev/null || true
    compgen -G "/sys/fs/cgroup/*/${work##*/}" >/dev/null || break
    sleep 0.1
  done
}

nothing_left() {
  local setting value
  while read -r setting value; do
    [[ $(cat "/proc/sys/$setting") == "$value" ]]
  done <"$work/settings"
  if compgen -G "/sys/fs/cgroup/*/${work##*/}" || grep "$work/" /proc/mounts || pgrep -af "$work/"; then
    return 1
  fi
}

# private hides the folders of the machine in which programs leave something.
private() {
  mount -t tmpfs tmpfs /run
  mkdir -p "$work"/{var,var-work}
  mount -t overlay overlay -o "lowerdir=/var,upperdir=$work/var,workdir=$work/var-work" /var
}

# background starts a program that goes on.
background() {
  local name=$1
  shift
  "$@" >"$work/$name.log" 2>&1 &
}

start_network() {
  ip link add cni0 type bridge
  ip addr add "$address/24" dev cni0
  ip link set cni0 up
  ip route add default via 10.244.0.254 dev cni0 # kubelet wants one; nothing is there
  mkdir -p "$work/cni"
  # This plugin knows no NetworkPolicy: that ours is taken is shown, not that
  # it is kept.
  cat >"$work/cni/10-bridge.conflist" <<END
{"cniVersion": "0.4.0", "name": "bridge", "plugins": [{"type": "bridge", "bridge": "cni0", "ipam": {
  "type": "host-local", "dataDir": "$work/ipam",
  "ranges": [[{"subnet": "10.244.0.0/24", "rangeStart": "10.244.0.10", "rangeEnd": "10.244.0.250"}]]}}]}
END
}

# kubeconfig writes how a part of the cluster, known by a token, finds it.
kubeconfig() {
  cat >"$work/$1.kubeconfig" <<END
apiVersion: v1
kind: Config
clusters: [{name: e2e, cluster: {server: "https://$address:6443", insecure-skip-tls-verify: true}}]
users: [{name: $1, user: {token: $1-token}}]
contexts: [{name: e2e, context: {cluster: e2e, user: $1}}]
current-context: e2e
END
}

start_containerd() {
  cat >"$work/containerd.toml" <<END
version = 2
root = "$work/containerd"
state = "$work/containerd-state"
[grpc]
  address = "$work/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "$work/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$work/cni"
END
  background containerd containerd --config "$work/containerd.toml"
}

start_api() {
  mkdir -p "$work/pki"
  openssl genrsa -out "$work/pki/account.key" 2048 2>/dev/null
  cat >"$work/tokens.csv" <<'END'
admin-token,admin,admin,"system:masters"
controller-token,system:kube-controller-manager,controller
scheduler-token,system:kube-scheduler,scheduler
node-token,system:node:node1,node1,"system:nodes"
END
  local user
  for user in admin controller scheduler node; do
    kubeconfig "$user"
  done
  background etcd etcd --data-dir "$work/etcd" --unsafe-no-fsync --listen-client-urls http://127.0.0.1:2379 \
    --advertise-client-urls http://127.0.0.1:2379 --listen-peer-urls http://127.0.0.1:2380
  # A policy that changes Pods sends them to the simulator; see simulator.sh.
  background api "$kube/bin/kube-apiserver" --etcd-servers=http://127.0.0.1:2379 --bind-address=0.0.0.0 \
    --advertise-address="$address" --secure-port=6443 --cert-dir="$work/pki" --token-auth-file="$work/tokens.csv" \
    --service-account-key-file="$work/pki/account.key" --service-account-signing-key-file="$work/pki/account.key" \
    --service-account-issuer=https://e2e.test --api-audiences=https://e2e.test --authorization-mode=Node,RBAC \
    --service-cluster-ip-range=10.96.0.0/24 --endpoint-reconciler-type=none --kubelet-preferred-address-types=InternalIP \
    --feature-gates=MutatingAdmissionPolicy=true --runtime-config=admissionregistration.k8s.io/v1beta1=true
  within 60 quietly kubectl get --raw /readyz
  background controller "$kube/bin/kube-controller-manager" --kubeconfig="$work/controller.kubeconfig" --leader-elect=false \
    --use-service-account-credentials=true --service-account-private-key-file="$work/pki/account.key" \
    --cert-dir="$work/pki" --bind-address=127.0.0.1
  background scheduler "$kube/bin/kube-scheduler" --kubeconfig="$work/scheduler.kubeconfig" --leader-elect=false --bind-address=127.0.0.1
}

start_node() {
  cat >"$work/kubelet.yaml" <<END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupDriver: cgroupfs
cgroupRoot: /${work##*/}
failCgroupV1: false
failSwapOn: false
oomScoreAdj: 0
containerRuntimeEndpoint: unix://$work/containerd.sock
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
enforceNodeAllocatable: []
resolvConf: ""
volumePluginDir: $work/volume-plugins
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%}
serializeImagePulls: false
syncFrequency: 10s
END
  background kubelet "$kube/bin/kubelet" --kubeconfig="$work/node.kubeconfig" --config="$work/kubelet.yaml" \
    --hostname-override=node1 --node-ip="$address" --root-dir="$work/kubelet" --cert-dir="$work/pki"
  within 60 node_ready
  start_volumes
}

node_ready() { kubectl get node node1 2>/dev/null | grep -q ' Ready'; }

# start_volumes makes volumes to be claimed. They are of the kind local, whose
# files get the group of the Pod as those of real drivers do.
start_volumes() {
  local volume
  for volume in {1..8}; do
    mkdir -p "$work/volumes/$volume"
    cat <<END
apiVersion: v1
kind: PersistentVolume
metadata: {name: volume$volume}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteOnce]
  storageClassName: local
  local: {path: $work/volumes/$volume}
  nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [node1]}]}]}}
---
END
  done >"$work/volumes.yaml"
  cat >>"$work/volumes.yaml" <<'END'
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata:
  name: local
  annotations: {storageclass.kubernetes.io/is-default-class: "true"}
provisioner: kubernetes.io/no-provisioner
volumeBindingMode: WaitForFirstConsumer
END
  kubectl apply -f "$work/volumes.yaml"
}

# import_image gives an image of the Docker engine to the cluster.
import_image() {
  docker save "$1" | ctr -a "$work/containerd.sock" -n k8s.io images import - >/dev/null
}

kubectl() { timeout 120 "$kube/bin/kubectl" "$@"; }

quietly() { "$@" >/dev/null 2>&1; }
