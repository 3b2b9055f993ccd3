#!/bin/sh
# Installs the service into a virtual environment: what the container file runs, and the checks of the project too.
# usage: install.sh VENV (from the root of the repository)
set -eu
python3 -m venv "$1"
"$1/bin/python" -m pip install --disable-pip-version-check --no-cache-dir -q -c constraints.txt '.[serve,postgres,heif]'
"$1/bin/probefusion" serve --help >/dev/null
"$1/bin/probefusion" serve-keys --help >/dev/null
"$1/bin/probefusion" serve-log --help >/dev/null
