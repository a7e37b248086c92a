# shellcheck shell=bash disable=SC2154  # sourced by up.sh
# Configuration files of the node's components, below $RUN/config.

CONFIG=$RUN/config

containerd_config() {
  cat << TOML
version = 2
root = "$RUN/containerd"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
  "io.containerd.tracing.processor.v1.otlp",
]

[grpc]
  address = "/run/containerd/containerd.sock"

[plugins."io.containerd.internal.v1.opt"]
  path = "$RUN/containerd-opt"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "kttun.test/pause:1"
  disable_apparmor = true
  restrict_oom_score_adj = true    # root of a container or small machine may lack CAP_SYS_RESOURCE, and then runc dies
  stream_server_address = "127.0.0.1"

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$CONFIG/cni"

  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
TOML
}

# A new network namespace takes its ip_forward from the machine's first one, not from the node's: hence `tuning`.
pod_network() {
  cat << JSON
{
  "cniVersion": "1.0.0",
  "name": "lab",
  "plugins": [
    {
      "type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": false, "hairpinMode": true, "mtu": $POD_MTU,
      "ipam": {
        "type": "host-local", "dataDir": "$RUN/pod-addresses",
        "ranges": [[{"subnet": "$NODE_POD_CIDR"}]], "routes": [{"dst": "0.0.0.0/0"}]
      }
    },
    {"type": "tuning", "sysctl": {"net.ipv4.ip_forward": "$POD_FORWARD"}},
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
JSON
}

kubelet_config() {
  cat << YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $PKI/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $PKI/kubelet.crt
tlsPrivateKeyFile: $PKI/kubelet.key
cgroupDriver: cgroupfs
cgroupRoot: $CGROUP
failCgroupV1: false
failSwapOn: false
clusterDNS: [$DNS_IP]
clusterDomain: cluster.local
resolvConf: $CONFIG/resolv.conf
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
volumePluginDir: $RUN/volume-plugins
evictionHard: {memory.available: 100Mi}
imageGCHighThresholdPercent: 100
YAML
}

# nf_conntrack's sizes can be set in the machine's first network namespace only: 0 leaves them alone.
proxy_config() {
  cat << YAML
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: $PROXY_MODE
featureGates: {$([[ ${KUBE_MINOR#v1.} -ge 31 ]] || echo "NFTablesProxyMode: true")}
clusterCIDR: $POD_CIDR
clientConnection: {kubeconfig: $RUN/kubeconfig/proxy}
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
healthzBindAddress: 127.0.0.1:10256
metricsBindAddress: 127.0.0.1:10249
YAML
}

write_node_config() {
  mkdir -p "$CONFIG/cni"
  containerd_config > "$CONFIG/containerd.toml"
  pod_network > "$CONFIG/cni/10-lab.conflist"
  kubelet_config > "$CONFIG/kubelet.yaml"
  proxy_config > "$CONFIG/kube-proxy.yaml"
  : > "$CONFIG/resolv.conf"
}
