#!/bin/bash
# What the laptop sent into its LAN though it belongs to the cluster: packets and DNS questions. Exit code 1 if any.
# leaks.sh [--reset]
set -euo pipefail
. "$(dirname "$0")/settings.sh"
recall

verb=list
[ "${1:-}" != --reset ] || verb=reset
packets=$(in_net "$LAN" nft -j "$verb" counter inet lab leaks | jq '[.nftables[].counter.packets? // 0] | add')
questions=$(grep -E ' ([^ ]+\.)?(svc|cluster\.local)\. ' "$RUN/log/lan-dns.log" || true)
[ "$verb" = list ] || : > "$RUN/log/lan-dns.log"
echo "packets: $packets"
echo "questions: $(grep -c . <<< "$questions" || true)"
[ -z "$questions" ] || echo "$questions"
[ "$packets" = 0 ] && [ -z "$questions" ]
