# shellcheck shell=bash
# Which Python, to be sourced: find_python prints the first that is new enough, or says what is needed.

find_python() {
  local name
  for name in python3 python3.14 python3.13 python3.12 python3.11; do
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$name"
      return
    fi
  done
  echo "kttun needs Python 3.11 or newer, which Debian 12 and Ubuntu 24.04 have; this machine has none" >&2
  return 1
}
