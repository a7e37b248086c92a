# shellcheck shell=bash disable=SC2154  # sourced by up.sh
# The cluster's certificate authority, its certificates, and the kubeconfigs made from them.

PKI=$RUN/pki

make_key() { openssl ecparam -name prime256v1 -genkey -noout -out "$PKI/$1.key"; }

make_authority() {
  make_key ca
  openssl req -x509 -new -key "$PKI/ca.key" -subj /CN=kttun-lab -days 30 -out "$PKI/ca.crt" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
}

make_certificate() { # NAME SUBJECT [ALTERNATIVE NAMES]
  make_key "$1"
  openssl req -new -key "$PKI/$1.key" -subj "$2" |
    openssl x509 -req -CA "$PKI/ca.crt" -CAkey "$PKI/ca.key" -CAcreateserial -days 30 -out "$PKI/$1.crt" 2> /dev/null \
      -extfile <(
        echo keyUsage=digitalSignature
        echo extendedKeyUsage=serverAuth,clientAuth
        [ -z "${3:-}" ] || echo "subjectAltName=$3"
      )
}

kubeconfig() { # NAME NAMESPACE CREDENTIALS
  cat << YAML
apiVersion: v1
kind: Config
current-context: lab
contexts:
- name: lab
  context: {cluster: lab, user: $1, namespace: $2}
clusters:
- name: lab
  cluster: {server: "https://$NODE_IP:6443", certificate-authority-data: $(base64 -w0 "$PKI/ca.crt")}
users:
- name: $1
  user: {$3}
YAML
}

certificate_kubeconfig() { # NAME
  kubeconfig "$1" default "client-certificate-data: $(base64 -w0 "$PKI/$1.crt"), client-key-data: $(base64 -w0 "$PKI/$1.key")"
}

make_pki() {
  local name service=kubernetes.default.svc
  mkdir -p "$PKI" "$RUN/kubeconfig" "$RUN/users"
  make_authority
  make_certificate apiserver /CN=kube-apiserver "$(printf '%s,' \
    "IP:$NODE_IP" "IP:$API_SERVICE_IP" IP:127.0.0.1 \
    DNS:localhost DNS:api.lab.test DNS:kubernetes DNS:kubernetes.default "DNS:$service")DNS:$service.cluster.local"
  make_certificate apiserver-kubelet /O=system:masters/CN=kube-apiserver-kubelet-client
  make_certificate front-proxy /CN=front-proxy-client
  make_certificate admin /O=system:masters/CN=admin
  make_certificate kubelet /O=system:nodes/CN=system:node:node1 "IP:$NODE_IP,DNS:node1"
  make_certificate controller-manager /CN=system:kube-controller-manager
  make_certificate scheduler /CN=system:kube-scheduler
  make_certificate proxy /CN=system:kube-proxy
  make_key service-accounts
  openssl ec -in "$PKI/service-accounts.key" -pubout -out "$PKI/service-accounts.pub" 2> /dev/null
  for name in kubelet controller-manager scheduler proxy; do
    certificate_kubeconfig "$name" > "$RUN/kubeconfig/$name"
  done
  certificate_kubeconfig admin > "$RUN/users/admin"
}
