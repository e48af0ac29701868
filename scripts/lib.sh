# What every script here shares: where the project is, and a virtual environment with what it needs.
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

# One environment a user and a checkout, outside the clone, made anew when pyproject.toml changes.
ensure_venv() {
  local key
  key=$( (echo "$root"; cat pyproject.toml) | sha256sum | cut -c1-16)
  venv=${JETTISON_VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/jettison-dev/$key}
  if [ ! -e "$venv/.ready" ]; then
    rm -rf "$venv"
    "$(choose_python)" -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --editable '.[dev]'
    touch "$venv/.ready"
  fi
  export PATH="$venv/bin:$PATH"
}
