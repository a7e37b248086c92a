# shellcheck shell=bash
# Debian packages that a script needs, to be sourced: have_packages PACKAGE...
#
# Installs what is missing where that can be done, as root or by sudo at a terminal or without a question; else says in
# one line what to install. Returns 1 then, and the caller decides whether it can go on.

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

can_be_root() {
  [ "$(id -u)" = 0 ] || { command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; }
}

is_installed() { # PACKAGE
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

have_packages() { # PACKAGE...
  local package missing=()
  if ! command -v dpkg-query >/dev/null; then
    echo "this is no Debian or Ubuntu: what these packages hold is needed here: $*" >&2
    return 0
  fi
  for package in "$@"; do is_installed "$package" || missing+=("$package"); done
  [ ${#missing[@]} != 0 ] || return 0
  if ! can_be_root; then
    echo "not installed: ${missing[*]}; install them by: sudo apt-get install ${missing[*]}" >&2
    return 1
  fi
  as_root apt-get update -qq
  leave_out_unknown
  echo "installing by apt-get: ${missing[*]}"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# Releases differ: what this one does not have is told and not waited for.
leave_out_unknown() { # changes the caller's `missing`
  local package known=()
  for package in "${missing[@]}"; do
    if apt-cache show "$package" >/dev/null 2>&1; then known+=("$package"); else echo "not in this release: $package" >&2; fi
  done
  missing=("${known[@]}")
}

packages_of() { # FILE...: the names in lists whose lines may end in a comment
  sed 's/#.*//' "$@" | xargs -n1 | sort -u
}
