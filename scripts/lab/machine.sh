# shellcheck shell=bash disable=SC2154  # sourced by up.sh and alone.sh
# Starts the first process of a machine, and waits for it.

STARTED=${EPOCHREALTIME/./}
report() { printf '%6.1f s  %s\n' "$(((${EPOCHREALTIME/./} - STARTED) / 100000))e-1" "$1"; }

wait_for() { # SECONDS WHAT COMMAND...
  local deadline=$((SECONDS + $1))
  until "${@:3}" &> /dev/null; do
    ((SECONDS < deadline)) || die "no $2 after $1 s" "logs are in $RUN/log"
    sleep 0.1
  done
}

start_machine() { # NETWORK NAMESPACE SCRIPT: the script becomes PID 1 of a small machine
  nsenter --net="/run/netns/$1" unshare --mount --uts --pid --fork --kill-child --mount-proc \
    setsid "$HERE/$2" > "$RUN/log/${2%.sh}.log" 2>&1 < /dev/null 9>&- &
}

laptop_ready() { [ -s "$RUN/laptop-ready" ]; }

start_laptop() {
  start_machine "$LAPTOP" laptop.sh
  wait_for 10 laptop laptop_ready
  first_process "$LAPTOP" > "$RUN/pid/laptop"
  report "laptop ready"
}
