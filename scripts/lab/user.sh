#!/bin/bash
# Makes a cluster user: a ServiceAccount, the roles that a file gives it, a kubeconfig with its token.
# user.sh NAME NAMESPACE [--role-file FILE|-]
set -euo pipefail
. "$(dirname "$0")/settings.sh"
recall
. "$HERE/pki.sh"

[ $# -ge 2 ] || die "which user, in which namespace?" "scripts/cluster user NAME NAMESPACE [--role-file FILE]"
name=$1 namespace=$2 roles=
shift 2
while [ $# -gt 0 ]; do
  case $1 in
    --role-file) roles=$2 && shift 2 ;;
    --role-file=*) roles=${1#*=} && shift ;;
    *) die "unknown option $1" ;;
  esac
done

kubectl create serviceaccount "$name" -n "$namespace" --dry-run=client -o yaml | kubectl apply -f - > /dev/null
[ -z "$roles" ] || kubectl apply -n "$namespace" -f "$roles"
token=$(kubectl create token "$name" -n "$namespace" --duration=24h)
kubeconfig "$name" "$namespace" "token: \"$token\"" > "$RUN/users/.$name"
mv "$RUN/users/.$name" "$RUN/users/$name"
echo "system:serviceaccount:$namespace:$name"
