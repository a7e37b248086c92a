"""kttun on a real Kubernetes: cluster, laptop and LAN of scripts/cluster. README.md tells how to run one test."""
