# shellcheck shell=bash disable=SC2034  # sourced by scripts/cluster and everything in scripts/lab
# Where the lab's things lie, what they are called, which addresses they have.

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
REPO=$(cd "$HERE/../.." && pwd)
LAB=${KTTUN_LAB:-${XDG_CACHE_HOME:-$HOME/.cache}/kttun-lab}
IMAGES=$LAB/images                 # archives which `up` imports
RUN=$LAB/run                       # everything that belongs to the running cluster and goes with it

NODE=kttun-lab-node                # network namespaces
LAPTOP=kttun-lab-laptop
LAN=kttun-lab-lan
CGROUP=/kttun-lab                  # above every cgroup of the node's
ROUTE_PROTOCOL=244                 # marks our routes in the machine's own namespace

LAN_NET=192.168.77.0/24            # the laptop's own world: router and DNS server .1, laptop .2
LAN_ROUTER=192.168.77.1
LAN_LAPTOP=192.168.77.2
PUBLIC_WEB=198.51.100.10           # plays the public Internet, inside the LAN's namespace

# Parameters of `build` and `up`: an option, else the environment, else the default.
PARAMETERS=(KUBE_VERSION PROXY_MODE POD_FORWARD POD_MTU NODE_NET POD_CIDR SERVICE_CIDR API_PATH)
KUBE_VERSION=${KTTUN_KUBE_VERSION:-v1.34}
PROXY_MODE=${PROXY_MODE:-nftables}            # or iptables
POD_FORWARD=${POD_FORWARD:-1}                 # net.ipv4.ip_forward in pods: 0 is what Calico's pods have
POD_MTU=${POD_MTU:-1500}
NODE_NET=${NODE_NET:-172.30.0.0/24}           # a /24; node and API server are its .2
POD_CIDR=${POD_CIDR:-10.244.0.0/16}           # the node's own pods get its first /24
SERVICE_CIDR=${SERVICE_CIDR:-10.96.0.0/16}
API_PATH=${API_PATH:-direct}                  # or gateway: through the LAN's router, by the default route

die() {
  echo "cluster: $1" >&2
  shift
  [ $# = 0 ] || printf 'hint: %s\n' "$@" >&2
  exit 1
}

address() { # CIDR N: the Nth address
  local a b c d
  IFS=./ read -r a b c d _ <<< "$1"
  echo "$a.$b.$c.$((d + $2))"
}

derive() { # everything that follows from the parameters
  local module_file
  KUBE_VERSION=v${KUBE_VERSION#v}
  KUBE_MINOR=$(cut -d. -f1,2 <<< "$KUBE_VERSION")
  module_file=$HERE/kubernetes/$KUBE_MINOR.mod
  [ -e "$module_file" ] || die "no module file for Kubernetes $KUBE_VERSION" "scripts/lab/kubernetes/pin $KUBE_MINOR.PATCH makes one"
  local wanted=$KUBE_VERSION
  KUBE_VERSION=$(sed -n 's/^require k8s.io\/kubernetes //p' "$module_file")
  [[ $wanted = "$KUBE_MINOR" || $wanted = "$KUBE_VERSION" ]] ||
    die "Kubernetes $KUBE_MINOR is pinned to $KUBE_VERSION, not $wanted" "scripts/lab/kubernetes/pin $wanted pins that one"
  BIN=$LAB/bin KUBE_BIN=$LAB/bin/$KUBE_VERSION

  NODE_ROUTER=$(address "$NODE_NET" 1)
  NODE_IP=$(address "$NODE_NET" 2)
  NODE_POD_CIDR=${POD_CIDR%/*}/24
  API_SERVICE_IP=$(address "$SERVICE_CIDR" 1)
  DNS_IP=$(address "$SERVICE_CIDR" 10)
}

parameters() { # as lines which a shell can read again
  local name
  for name in "${PARAMETERS[@]}"; do echo "$name=${!name}"; done
}

recall() { # the running cluster's parameters take the place of the defaults
  # shellcheck source=/dev/null
  [ ! -e "$RUN/parameters" ] || . "$RUN/parameters"
  derive
}

# Descriptor 9 is the lock of scripts/cluster: what may outlive a killed `up` must not hold it.
in_net() { nsenter --net="/run/netns/$1" -- "${@:2}" 9>&-; } # NAMESPACE COMMAND...

kubectl() { in_net "$NODE" "$KUBE_BIN/kubectl" --kubeconfig="$RUN/users/admin" --cache-dir="$RUN/kubectl" "$@"; }

first_process() { # NAMESPACE: PID 1 of the PID namespace that lives there, as the machine numbers it
  local pid
  for pid in $(ip netns pids "$1" 2> /dev/null); do
    awk '/^NSpid:/ && NF == 3 && $3 == 1 { found = 1 } END { exit !found }' "/proc/$pid/status" 2> /dev/null || continue
    echo "$pid"
    return
  done
  return 1
}

on_node() { # COMMAND...: inside the node
  local pid
  pid=$(first_process "$NODE") || die "the cluster is down" "scripts/cluster up"
  nsenter --target "$pid" --mount --net --uts --pid -- "$@"
}
