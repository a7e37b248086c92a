#!/bin/bash
# Builds the lab's programs and images into $LAB. What is made from unchanged inputs is left as it is.
set -euo pipefail
. "$(dirname "$0")/settings.sh"
derive

shopt -s globstar nullglob
export CGO_ENABLED=0 GOFLAGS="-mod=readonly -trimpath -buildvcs=false"
mkdir -p "$BIN" "$KUBE_BIN" "$IMAGES" "$LAB/roots"

# made TARGET INPUT... -- COMMAND...: runs COMMAND, which writes TARGET.new, unless TARGET was made from these inputs
made() {
  local target=$1 inputs=() stamp started=$SECONDS
  shift
  while [ "$1" != -- ]; do
    inputs+=("$1")
    shift
  done
  shift
  stamp=$(
    printf '%s\n' "$*"
    sha256sum "${inputs[@]}"
  )
  if [ -e "$target" ] && [ "$stamp" = "$(cat "$target.stamp" 2> /dev/null)" ]; then
    echo "${target#"$LAB"/}: up to date"
    return
  fi
  rm -f "$target.stamp"
  "$@"
  mv "$target.new" "$target"
  printf '%s\n' "$stamp" > "$target.stamp"
  echo "${target#"$LAB"/}: made in $((SECONDS - started)) s, $(($(stat -c %s "$target") >> 20)) MiB"
}

program() { # NAME: an ordinary Go program
  made "$BIN/$1" "$HERE/$1"/**/*.go "$HERE/$1"/go.* -- \
    go build -C "$HERE/$1" -ldflags "-s -w" -o "$BIN/$1.new" .
}

kubernetes() {
  local flags="-s -w" package modules=$HERE/kubernetes/$KUBE_MINOR component
  for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    flags+=" -X $package.gitVersion=$KUBE_VERSION -X $package.gitMajor=1 -X $package.gitMinor=${KUBE_MINOR#v1.}"
    flags+=" -X $package.gitTreeState=clean -X $package.buildDate=2026-01-01T00:00:00Z"
  done
  made "$KUBE_BIN/kubernetes" "$HERE/kubernetes/main.go" "$modules.mod" "$modules.sum" -- \
    go build -C "$HERE/kubernetes" -modfile="$modules.mod" -ldflags "$flags" -o "$KUBE_BIN/kubernetes.new" .
  for component in etcd kubectl kubelet kube-{apiserver,controller-manager,scheduler,proxy}; do
    ln -sfn kubernetes "$KUBE_BIN/$component"
  done
}

root() { # NAME: a Debian root file system with the packages of roots/NAME.txt
  made "$LAB/roots/$1.tar" "$HERE/roots/$1.txt" "$HERE/roots/bootstrap" -- \
    "$HERE/roots/bootstrap" "$HERE/roots/$1.txt" "$LAB/roots/$1.tar.new"
}

image() { # NAME LAYERS AND ENTRYPOINT...
  local inputs=() word
  for word in "${@:2}"; do
    [ "$word" != -- ] || break
    inputs+=("${word%%=*}")
  done
  made "$IMAGES/$1.tar" "$HERE/image.py" "${inputs[@]}" -- \
    python3 "$HERE/image.py" "$IMAGES/$1.tar.new" "kttun.test/$1:1" "${@:2}"
}

program pause
program ends
program coredns
kubernetes
root base
root workload
image pause "$BIN/pause=/pause" -- /pause
image coredns "$BIN/coredns=/coredns" -- /coredns
image base "$LAB/roots/base.tar"
image workload "$LAB/roots/workload.tar" "$BIN/ends=/usr/local/bin/ends" -- ends serve
