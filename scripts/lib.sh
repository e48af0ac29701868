# What every script here shares: where the project is, Debian's packages, and a virtual environment with what it needs.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

# Debian's own Python where it has venv: any user can run it, and every user's environment is alike.
choose_python() {
  local candidate
  for candidate in "${PYTHON:-}" /usr/bin/python3 python3; do
    if [ -n "$candidate" ] && "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  echo "jettison needs Python 3.11 or later with venv: apt-get install -y python3 python3-venv" >&2
  exit 3
}

# What the virtual environment itself needs. Nothing on a machine that has it, Debian or not.
ensure_python() {
  (choose_python) >/dev/null 2>&1 || ensure_debian python3 python3-venv
}

# ensure_debian PACKAGE...: install what is missing of them. A word `program=package` stands for the package only while
# no such program is on PATH. Whoever may not install is told the one line that helps.
ensure_debian() {
  local word missing=()
  for word in "$@"; do
    case $word in
      *=*) command -v "${word%%=*}" >/dev/null || missing+=("${word#*=}") ;;
      *) [ "$(dpkg-query -W -f='${db:Status-Status}' "$word" 2>/dev/null)" = installed ] || missing+=("$word") ;;
    esac
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  if ! command -v apt-get >/dev/null || [ "$(id -u)" -ne 0 ]; then
    echo "packages are missing; as root: apt-get update && apt-get install -y --no-install-recommends ${missing[*]}" >&2
    exit 3
  fi
  echo "installing ${missing[*]}" >&2
  DEBIAN_FRONTEND=noninteractive apt-get -qq update >&2
  DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${missing[@]}" >&2
}

# One environment a user and a checkout, outside the clone, made anew when pyproject.toml changes. What tools remember
# between runs lies in it too, so that a clone that belongs to somebody else will do.
ensure_venv() {
  local key
  ensure_python
  key=$( (echo "$root"; cat pyproject.toml) | sha256sum | cut -c1-16)
  venv=${JETTISON_VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/jettison-dev/$key}
  mkdir -p "$(dirname "$venv")"
  (
    flock 9
    if [ ! -e "$venv/.ready" ]; then
      rm -rf "$venv"
      "$(choose_python)" -m venv "$venv"
      "$venv/bin/pip" install --quiet --disable-pip-version-check --editable '.[dev]'
      touch "$venv/.ready"
    fi
  ) 9>"$venv.lock"
  export PATH="$venv/bin:$PATH"
  export RUFF_CACHE_DIR="$venv/.cache/ruff" MYPY_CACHE_DIR="$venv/.cache/mypy"
}

# What assembling the bases takes: tests/bases.
ensure_base_tools() {
  local words=(busybox-static mmdebstrap npm=npm)
  [ -e "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" ] || words+=(ca-certificates)
  [ "$(id -u)" -eq 0 ] || words+=(uidmap)
  ensure_debian "${words[@]}"
}
