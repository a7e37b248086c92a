#!/bin/bash
# The node's first process, in network, mount, UTS and PID namespaces of its own (see up.sh).
#
# It hides from the machine what a node changes, starts the components, and starts each again when it ends.
set -uo pipefail
. "$(dirname "$0")/settings.sh"
recall
PKI=$RUN/pki CONFIG=$RUN/config

own_file_systems() {
  mount --make-rshared /
  mount -t tmpfs -o mode=755 tmpfs /run          # sockets, locks and namespaces of containerd and the CNI plugins
  mkdir -p /run/lock /run/netns /run/var-lib/upper /run/var-lib/work
  mount -t overlay -o lowerdir=/var/lib,upperdir=/run/var-lib/upper,workdir=/run/var-lib/work overlay /var/lib
  mount -t tmpfs tmpfs /var/log
  mkdir -p /var/log/pods "$RUN/kubelet"
}

# The kubelet sets these for the whole machine; here it writes into files of this mount namespace.
own_sysctls() {
  local setting file
  for setting in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 \
    kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
    file=/run/sysctl/${setting%=*}
    mkdir -p "$(dirname "$file")"
    echo "${setting#*=}" > "$file"
    mount --bind "$file" "/proc/sys/${setting%=*}"
  done
}

own_network() {
  sysctl -qw net.ipv4.ip_forward=1
  nft -f - << NFT
    table ip lab {
      chain postrouting {
        type nat hook postrouting priority srcnat
        oifname uplink ip saddr $NODE_POD_CIDR masquerade
      }
    }
NFT
}

# `scripts/cluster fault` finds the process by the file in $RUN/pid; a file in $RUN/away keeps the component down.
component() { # NAME COMMAND...
  while sleep 0.2; do
    [ ! -e "$RUN/away/$1" ] || continue
    (
      echo "$BASHPID" > "$RUN/pid/$1"
      exec "${@:2}" >> "$RUN/log/$1.log" 2>&1
    )
    rm -f "$RUN/pid/$1"
    echo "--- ended with $?, starts again" >> "$RUN/log/$1.log"
  done &
}

start_control_plane() {
  component etcd "$KUBE_BIN/etcd" --data-dir "$RUN/etcd" --unsafe-no-fsync --log-level warn \
    --listen-peer-urls http://127.0.0.1:2380 \
    --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379
  component apiserver "$KUBE_BIN/kube-apiserver" --etcd-servers=http://127.0.0.1:2379 \
    --bind-address="$NODE_IP" --advertise-address="$NODE_IP" --secure-port=6443 \
    --service-cluster-ip-range="$SERVICE_CIDR" --authorization-mode=Node,RBAC \
    --enable-admission-plugins=NodeRestriction --allow-privileged=true \
    --client-ca-file="$PKI/ca.crt" --tls-cert-file="$PKI/apiserver.crt" --tls-private-key-file="$PKI/apiserver.key" \
    --kubelet-certificate-authority="$PKI/ca.crt" --kubelet-preferred-address-types=InternalIP \
    --kubelet-client-certificate="$PKI/apiserver-kubelet.crt" --kubelet-client-key="$PKI/apiserver-kubelet.key" \
    --proxy-client-cert-file="$PKI/front-proxy.crt" --proxy-client-key-file="$PKI/front-proxy.key" \
    --requestheader-client-ca-file="$PKI/ca.crt" --requestheader-allowed-names=front-proxy-client \
    --requestheader-extra-headers-prefix=X-Remote-Extra- --requestheader-group-headers=X-Remote-Group \
    --requestheader-username-headers=X-Remote-User \
    --service-account-issuer=https://kubernetes.default.svc.cluster.local \
    --service-account-key-file="$PKI/service-accounts.pub" \
    --service-account-signing-key-file="$PKI/service-accounts.key"
  component controller-manager "$KUBE_BIN/kube-controller-manager" --kubeconfig="$RUN/kubeconfig/controller-manager" \
    --bind-address=127.0.0.1 --use-service-account-credentials --leader-elect=false \
    --kube-api-qps=200 --kube-api-burst=400 --allocate-node-cidrs --cluster-cidr="$POD_CIDR" --node-cidr-mask-size=24 \
    --service-account-private-key-file="$PKI/service-accounts.key" --root-ca-file="$PKI/ca.crt" \
    --cluster-signing-cert-file="$PKI/ca.crt" --cluster-signing-key-file="$PKI/ca.key"
  component scheduler "$KUBE_BIN/kube-scheduler" --kubeconfig="$RUN/kubeconfig/scheduler" \
    --bind-address=127.0.0.1 --leader-elect=false
}

import_image() { # NAME
  ctr --namespace k8s.io images import "$IMAGES/$1.tar" >> "$RUN/log/images.log" 2>&1
}

start_node() {
  component containerd containerd --config "$CONFIG/containerd.toml"
  component proxy "$KUBE_BIN/kube-proxy" --config="$CONFIG/kube-proxy.yaml" --hostname-override=node1
  until ctr version &> /dev/null; do sleep 0.1; done
  import_image pause
  import_image coredns
  component kubelet "$KUBE_BIN/kubelet" --config="$CONFIG/kubelet.yaml" --kubeconfig="$RUN/kubeconfig/kubelet" \
    --hostname-override=node1 --node-ip="$NODE_IP" --root-dir="$RUN/kubelet"
}

hostname node1
own_file_systems
own_sysctls
own_network
start_control_plane
start_node
for image in "$IMAGES"/*.tar; do # the large ones, while the cluster comes up
  case $(basename "$image" .tar) in
    pause | coredns) ;;
    *) import_image "$(basename "$image" .tar)" ;;
  esac
done
touch "$RUN/images-imported"
wait # for ever; meanwhile bash reaps what other processes leave to it
