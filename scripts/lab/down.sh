#!/bin/bash
# Removes everything that `up` made, from what is there alone: no memory of an earlier run is needed.
#
# The node and the laptop live in PID namespaces, so their first process takes all others along, and in mount
# namespaces, so no mount outlives them. What is left then: cgroups, network namespaces, routes, one directory.
set -euo pipefail
. "$(dirname "$0")/settings.sh"

shopt -s nullglob

cgroups() { # one with cgroup v2, one for each controller with v1; the deepest first
  local top
  for top in "/sys/fs/cgroup$CGROUP" /sys/fs/cgroup/*"$CGROUP"; do
    [ ! -d "$top" ] || find "$top" -depth -type d
  done
}

processes() {
  local namespace group
  for namespace in "$NODE" "$LAPTOP" "$LAN"; do ip netns pids "$namespace" 2> /dev/null || true; done
  cgroups | while read -r group; do cat "$group/cgroup.procs" 2> /dev/null || true; done
}

end_processes() {
  local deadline=$((SECONDS + 30)) pids
  while pids=$(processes) && [ -n "$pids" ]; do
    ((SECONDS < deadline)) || die "processes that do not end: ${pids//$'\n'/ }"
    # shellcheck disable=SC2086
    kill -KILL $pids 2> /dev/null || true
    sleep 0.05
  done
}

end_processes
cgroups | while read -r group; do rmdir "$group"; done
for namespace in "$NODE" "$LAPTOP" "$LAN"; do
  [ ! -e "/run/netns/$namespace" ] || ip netns del "$namespace"
done
ip route flush type unreachable proto "$ROUTE_PROTOCOL"
rm -rf "$RUN"
