# shellcheck shell=bash disable=SC2154  # sourced by up.sh and alone.sh
# The laptop's own world: a router which is also the DNS server, and one web server that plays the Internet.
#
# Nothing leaves it. What the router gets for the cluster's networks it counts: that is a leak of the tunnel.

lan_zone() { # the root zone: these names, and NXDOMAIN with a SOA for all others
  cat << ZONE
\$ORIGIN .
\$TTL 60
@ IN SOA router.lan. hostmaster.lan. 1 3600 600 86400 30
@ IN NS router.lan.
router.lan. IN A $LAN_ROUTER
laptop.lan. IN A $LAN_LAPTOP
example.org. IN A $PUBLIC_WEB
www.example.org. IN CNAME example.org.
example.org. IN MX 10 mail.example.org.
mail.example.org. IN A $PUBLIC_WEB
api.lab.test. IN A $NODE_IP
ZONE
}

lan_corefile() {
  cat << COREFILE
. {
    bind $LAN_ROUTER
    file $RUN/config/lan.zone .
    log . "{type} {name} {rcode}"
    errors
}
COREFILE
}

lan_firewall() {
  cat << NFT
table inet lab {
  counter leaks {}
  chain prerouting {
    type filter hook prerouting priority raw
    iifname lan ip daddr { $NODE_IP, $LAN_NET } accept
    iifname lan ip daddr { $POD_CIDR, $SERVICE_CIDR } counter name leaks
  }
  chain forward {
    type filter hook forward priority filter; policy drop
    ip daddr $NODE_IP tcp dport 6443 accept
    ip saddr $NODE_IP tcp sport 6443 accept
    reject with icmpx no-route
  }
}
NFT
}

start_in_lan() { # NAME COMMAND...
  nsenter --net="/run/netns/$LAN" setsid "${@:2}" >> "$RUN/log/lan-$1.log" 2>&1 < /dev/null 9>&- &
}

start_lan() { # its programs, a DNS server and a public web server, come by start_in_lan
  lan_zone > "$RUN/config/lan.zone"
  lan_corefile > "$RUN/config/lan.corefile"
  in_net "$LAN" sysctl -qw net.ipv4.ip_forward=1
  lan_firewall | in_net "$LAN" nft -f -
}
