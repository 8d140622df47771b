#!/usr/bin/env bash
# Set up a virtual environment and run every test: what the README says, and what CI calls.
# On Debian and Ubuntu Chromium (which draws figures and opens pages) and PostgreSQL (a storage) are installed
# where they are missing. A test that would be skipped fails, unless NAS_EVERY_TEST is set to nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
missing=()
command -v chromium >/dev/null || missing+=(chromium)
compgen -G "/usr/lib/postgresql/*/bin/initdb" >/dev/null || command -v initdb >/dev/null || missing+=(postgresql)
if [ ${#missing[@]} -gt 0 ] && command -v apt-get >/dev/null; then
    as_root=$([ "$(id -u)" = 0 ] || echo sudo)
    $as_root apt-get update -qq && $as_root apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
[ -d .venv ] || python3 -m venv .venv
.venv/bin/pip install -q -e '.[test]'
OMP_NUM_THREADS=1 NAS_EVERY_TEST="${NAS_EVERY_TEST-1}" .venv/bin/python -m pytest -n 2 --dist loadfile "$@"
