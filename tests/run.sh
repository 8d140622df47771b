#!/usr/bin/env bash
# Set up a virtual environment and run every test: what the README says, and what CI calls.
# On Debian and Ubuntu Chromium is installed where it is missing: figures are drawn as PNG by it.
set -euo pipefail
cd "$(dirname "$0")/.."
if ! command -v chromium >/dev/null && command -v apt-get >/dev/null; then
    as_root=$([ "$(id -u)" = 0 ] || echo sudo)
    $as_root apt-get update -qq && $as_root apt-get install -y -qq --no-install-recommends chromium >/dev/null
fi
[ -d .venv ] || python3 -m venv .venv
.venv/bin/pip install -q -e '.[test]'
OMP_NUM_THREADS=1 .venv/bin/python -m pytest -n 2 --dist loadfile "$@"
