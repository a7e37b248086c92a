#!/bin/bash
# The laptop's first process, in network, mount, UTS and PID namespaces of its own (see up.sh).
#
# Makes the file system of an ordinary developer's machine out of this machine's: what a program writes to /etc, /root,
# /home or /run stays here and goes with the laptop. The repository itself is the real one, at its own path.
set -euo pipefail
. "$(dirname "$0")/settings.sh"
recall
LAYERS=/run/lab
exec 3> "$RUN/laptop-ready" # opened before /root, where it may lie, is covered

private_copy() { # DIRECTORY MODE: an overlay, its changes in memory
  local layer=$LAYERS/${1//\//_}
  mkdir -p "$layer/work" "$1"
  mkdir -m "$2" "$layer/upper"
  mount -t overlay -o "lowerdir=$1,upperdir=$layer/upper,workdir=$layer/work" overlay "$1"
}

# Not an overlay: a session on the machine itself changes files there while the laptop is compared before and after.
own_settings() {
  cp -a /etc "$LAYERS/etc"
  mount --bind "$LAYERS/etc" /etc
}

# Whoever the repository and its Python belong to: `dev` must be able to pass through to them.
open_path() { # PATH
  local directory
  directory=$(dirname "$1")
  while [ "$directory" != / ]; do
    [ ! -d "$directory" ] || chmod o+x "$directory" 2> /dev/null || true
    directory=$(dirname "$directory")
  done
}

# What was not built is what the machine has, if it has it.
own_program() { # NAME FILE
  [ -e "$2" ] || return 0
  touch "/usr/local/bin/$1"
  mount --bind "$2" "/usr/local/bin/$1"
}

own_file_systems() {
  mount -t tmpfs -o mode=755 tmpfs /run
  mkdir -m 700 "$LAYERS"
  mkdir -p /run/lock /run/netns /run/sudo
  mkdir "$LAYERS/repository"
  mount --bind "$REPO" "$LAYERS/repository"
  private_copy /usr/local/bin 755
  own_program kubectl "${KUBECTL:-$KUBE_BIN/kubectl}"
  own_program ends "$BIN/ends"
  own_settings
  private_copy /root 711
  private_copy /home 755
  case $REPO in
    /root/* | /home/*)
      open_path "$REPO"
      mount --bind "$LAYERS/repository" "$REPO"
      ;;
  esac
  mount -t sysfs -o ro,nosuid,nodev,noexec sysfs /sys
}

own_devices() {
  mount -t tmpfs -o mode=755 tmpfs /dev/net
  mknod -m 666 /dev/net/tun c 10 200
}

own_names() {
  hostname laptop
  echo laptop > /etc/hostname
  printf '127.0.0.1 localhost\n127.0.1.1 laptop\n' > /etc/hosts
  rm -f /etc/resolv.conf # a link on many machines
  printf 'search lan\nnameserver %s\n' "$LAN_ROUTER" > /etc/resolv.conf
}

# `dev` takes the place of whoever has this name or number on the machine.
own_users() {
  sed -i '/^dev:/d; /^[^:]*:[^:]*:1000:/d' /etc/passwd /etc/group
  sed -i '/^dev:/d' /etc/shadow
  echo 'dev:x:1000:1000:Developer:/home/dev:/bin/bash' >> /etc/passwd
  echo 'dev:x:1000:' >> /etc/group
  echo 'dev:*:19000:0:99999:7:::' >> /etc/shadow
  rm -f /etc/sudoers.d/*
  echo 'dev ALL=(ALL:ALL) NOPASSWD: ALL' > /etc/sudoers.d/dev
  chmod 440 /etc/sudoers.d/dev
  mkdir -p /home/dev
  mount -t tmpfs -o mode=750,uid=1000,gid=1000 tmpfs /home/dev
  mkdir /run/user
  install -d -o 1000 -g 1000 -m 700 /run/user/1000
}

own_file_systems
own_devices
own_names
own_users
echo yes >&3
exec 3>&-
sleep infinity & # for ever; meanwhile bash reaps what other processes leave to it
wait
