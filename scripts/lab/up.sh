#!/bin/bash
# Brings the cluster, the laptop and its LAN up. What an earlier, killed run left is removed first.
set -euo pipefail
. "$(dirname "$0")/settings.sh"
derive
. "$HERE/pki.sh"
. "$HERE/node-config.sh"
. "$HERE/networks.sh"
. "$HERE/lan.sh"
. "$HERE/machine.sh"

check() {
  [ "$(id -u)" = 0 ] || die "needs root"
  local made
  for made in "$KUBE_BIN/kubernetes" "$BIN/coredns" "$BIN/pause" "$BIN/ends" "$IMAGES/pause.tar" "$IMAGES/coredns.tar"; do
    [ -e "$made" ] || die "$made is missing" "scripts/cluster build --version $KUBE_VERSION"
  done
  [[ $PROXY_MODE =~ ^(nftables|iptables)$ ]] || die "proxy mode $PROXY_MODE: nftables or iptables"
  [[ $POD_FORWARD =~ ^[01]$ ]] || die "pod forward $POD_FORWARD: 0 or 1"
  # kube-proxy drops what goes to an address of the Service network that no Service has, with nftables only.
  [[ $PROXY_MODE = iptables || ${NODE_NET%.*.*} != "${SERVICE_CIDR%.*.*}" ]] ||
    die "the API server cannot lie inside the Service network with --proxy-mode nftables" "--proxy-mode iptables"
  [[ $API_PATH =~ ^(direct|gateway)$ ]] || die "API path $API_PATH: direct or gateway"
}

make_cgroups() {
  local top value
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    mkdir -p "/sys/fs/cgroup$CGROUP"
    for value in cpu cpuset memory pids; do echo "+$value" > /sys/fs/cgroup/cgroup.subtree_control; done
    return
  fi
  for top in /sys/fs/cgroup/*/; do
    case $(basename "$top") in
      unified) ;;
      *) mkdir -p "${top%/}$CGROUP" ;;
    esac
  done
  for value in cpus mems; do # cpuset's values are not inherited
    cat "/sys/fs/cgroup/cpuset/cpuset.$value" > "/sys/fs/cgroup/cpuset$CGROUP/cpuset.$value"
  done
}

images_imported() { [ -e "$RUN/images-imported" ]; }
node_exists() { kubectl get node node1; }

check
"$HERE/down.sh"
mkdir -p "$RUN"/{log,pid,away}
chmod 700 "$RUN"
parameters > "$RUN/parameters"
modprobe --quiet --all br_netfilter overlay nf_conntrack tun 2> /dev/null || true # built in on some kernels
make_networks
make_pki
make_cgroups
write_node_config
start_machine "$NODE" node.sh
start_lan
start_in_lan dns "$BIN/coredns" -conf "$RUN/config/lan.corefile"
start_in_lan web "$BIN/ends" serve
start_laptop
wait_for 120 "API server" kubectl get --raw /readyz
report "API server ready"
sed "s/@DNS_IP@/$DNS_IP/" "$HERE/coredns.yaml" | kubectl apply -f - > /dev/null
wait_for 60 node node_exists
kubectl wait --for=condition=Ready node/node1 --timeout=120s > /dev/null
report "node Ready"
kubectl -n kube-system rollout status deployment/coredns --timeout=120s > /dev/null
report "CoreDNS running"
wait_for 120 images images_imported
touch "$RUN/up"
report "images imported: Kubernetes $KUBE_VERSION is up"
