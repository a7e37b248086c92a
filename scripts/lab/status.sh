#!/bin/bash
# Prints what there is: exit code 0 if the cluster is up, 3 if it is down, 1 if it is something between.
set -euo pipefail
. "$(dirname "$0")/settings.sh"
recall

if ! first_process "$NODE" > /dev/null; then
  if [ -e "$RUN" ]; then
    echo "broken: an unfinished start lies in $RUN"
    exit 1
  fi
  echo down
  exit 3
fi

state=up
[ -e "$RUN/up" ] || state="coming up, or broken"
ready=$(kubectl get --raw /readyz --request-timeout=5s 2> /dev/null) || ready=no
[ "$ready" = ok ] || state="not ready"
node=$(kubectl get node node1 --no-headers 2> /dev/null | awk '{ print $2 }') || true
echo "$state"
echo "  API server   https://$NODE_IP:6443, readyz: $ready, path: $API_PATH"
echo "  node         ${node:-unknown}, Kubernetes $KUBE_VERSION, kube-proxy $PROXY_MODE, ip_forward of pods $POD_FORWARD"
echo "  networks     node $NODE_NET, pods $POD_CIDR, Services $SERVICE_CIDR, DNS $DNS_IP"
echo "  users        $(cd "$RUN/users" && echo *)"
echo "  logs         $RUN/log"
for component in etcd apiserver controller-manager scheduler proxy containerd kubelet; do
  pid=$(cat "$RUN/pid/$component" 2> /dev/null) || pid=
  printf '  %-20s %s\n' "$component" "${pid:-not running}"
done
[ "$state" = up ] || exit 1
