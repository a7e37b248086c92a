"""The rules of Services as golden text; the kernel's opinion of them is asked in tests/netns."""

from kttun.sandbox.proxy import ServicePort, ruleset

GOLDEN = """\
table ip kttun-sandbox
delete table ip kttun-sandbox
table ip kttun-sandbox {
  chain services {
    ip daddr 10.96.0.7 tcp dport 80 dnat ip to numgen random mod 2 map { 0 : 10.244.0.2 . 8080, 1 : 10.244.0.3 . 8080 }
    ip daddr 10.96.0.8 udp dport 53 dnat to 10.244.0.2:5353
  }
  chain prerouting {
    type nat hook prerouting priority dstnat;
    jump services
  }
  chain output {
    type nat hook output priority -100;
    jump services
  }
  chain postrouting {
    type nat hook postrouting priority srcnat;
    ct status dnat ip saddr 10.244.0.2 ip daddr 10.244.0.2 masquerade
    ct status dnat ip saddr 10.244.0.3 ip daddr 10.244.0.3 masquerade
  }
  chain forward {
    type filter hook forward priority filter;
    ip daddr 10.96.0.0/16 ct status ! dnat ct state new reject
  }
  chain refused {
    type filter hook output priority filter;
    ip daddr 10.96.0.0/16 ct status ! dnat ct state new reject
  }
}
"""


def test_rules_send_services_to_their_pods_and_refuse_the_rest():
    ports = [
        ServicePort("10.96.0.9", "tcp", 81, ()),
        ServicePort("10.96.0.8", "udp", 53, (("10.244.0.2", 5353),)),
        ServicePort("10.96.0.7", "tcp", 80, (("10.244.0.2", 8080), ("10.244.0.3", 8080))),
    ]
    assert ruleset(ports, "10.96.0.0/16") == GOLDEN
