#!/bin/bash
# The laptop and its LAN without a cluster, for tests that bring one: alone.sh PYTHON
#
# To be started in network, mount and PID namespaces of its own: names and routes are theirs, and all that this starts
# ends with it. The parameters of scripts/cluster come by the environment. $RUN/alone is there when all is ready.
set -euo pipefail
. "$(dirname "$0")/settings.sh"
derive
. "$HERE/networks.sh"
. "$HERE/lan.sh"
. "$HERE/machine.sh"

mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock /run/netns "$RUN"/{log,pid,config,users}
parameters > "$RUN/parameters"
make_namespaces "$LAPTOP" "$LAN"
# The laptop is compared before and after: nothing may change because it is so young (RFC 4862 section 5.4).
in_net "$LAPTOP" sysctl -qw net.ipv6.conf.default.accept_dad=0
make_lan
start_lan
start_in_lan dns "$1" "$REPO/tests/e2e/lan_dns.py" "$LAN_ROUTER" "$RUN/config/lan.zone" # logs questions as CoreDNS does
start_in_lan web "$1" "$REPO/tests/e2e/ends.py"
start_laptop
touch "$RUN/alone"
wait
