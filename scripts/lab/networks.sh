# shellcheck shell=bash disable=SC2154  # sourced by up.sh and alone.sh
# Three network namespaces and the lines between them:
#
#   laptop lan (.2) ------ 192.168.77.0/24 ------ (.1) lan [router, DNS, "Internet"]
#   laptop site (.1) ------ node network ------ (.2) uplink node              API path `direct`
#   lan site (.1) ------ node network ------ (.2) uplink node                 API path `gateway`

# A client that somebody starts outside the namespaces must not reach the real network with these addresses.
fence_machine() {
  local net
  for net in "$NODE_NET" "$POD_CIDR" "$SERVICE_CIDR" "$LAN_NET" "$PUBLIC_WEB/32"; do
    ip route replace unreachable "$net" metric 4096 proto "$ROUTE_PROTOCOL"
  done
}

line() { # NAMESPACE DEVICE ADDRESS NAMESPACE DEVICE ADDRESS
  ip link add "$2" netns "$1" type veth peer name "$5" netns "$4"
  ip -n "$1" address add "$3/24" dev "$2"
  ip -n "$4" address add "$6/24" dev "$5"
  ip -n "$1" link set "$2" up
  ip -n "$4" link set "$5" up
}

make_namespaces() { # NAME...
  local namespace
  for namespace in "$@"; do
    ip netns add "$namespace"
    in_net "$namespace" sysctl -qw net.ipv4.ip_forward=0
    ip -n "$namespace" link set lo up
  done
}

make_lan() {
  line "$LAPTOP" lan "$LAN_LAPTOP" "$LAN" lan "$LAN_ROUTER"
  ip -n "$LAPTOP" route add default via "$LAN_ROUTER"
  ip -n "$LAN" address add "$PUBLIC_WEB/32" dev lo
}

make_networks() {
  fence_machine
  make_namespaces "$NODE" "$LAPTOP" "$LAN"
  make_lan
  case $API_PATH in
    direct) line "$LAPTOP" site "$NODE_ROUTER" "$NODE" uplink "$NODE_IP" ;;
    gateway) line "$LAN" site "$NODE_ROUTER" "$NODE" uplink "$NODE_IP" ;;
  esac
  # The node's own processes reach Service addresses only if there is some route to start from. Nobody forwards it.
  ip -n "$NODE" route add default via "$NODE_ROUTER"
}
