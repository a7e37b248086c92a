#!/bin/bash
# Breaks a component of the node, or puts it right: fault.sh kill|stop|cont|restart|away COMPONENT
#
#   kill      SIGKILL; the node starts it again 0.2 s later
#   stop      SIGSTOP: it is there and does not answer
#   cont      SIGCONT
#   away      SIGKILL, and it does not come back...
#   restart   ... until this: SIGTERM if it runs, then a start
set -euo pipefail
. "$(dirname "$0")/settings.sh"
recall

verb=${1:-} component=${2:-}
[ -e "$RUN/log/${component:-none}.log" ] ||
  die "no component '$component'" "apiserver, etcd, controller-manager, scheduler, proxy, containerd or kubelet"

signal() {
  local pid
  if pid=$(cat "$RUN/pid/$component" 2> /dev/null); then
    on_node kill "-$1" "$pid"
  fi
}

case $verb in
  kill) signal KILL ;;
  stop) signal STOP ;;
  cont) signal CONT ;;
  away)
    touch "$RUN/away/$component"
    signal KILL
    ;;
  restart)
    rm -f "$RUN/away/$component"
    signal CONT
    signal TERM
    ;;
  *) die "no such fault: $verb" "kill, stop, cont, away or restart" ;;
esac
