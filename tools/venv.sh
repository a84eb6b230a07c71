#!/bin/sh
# Makes the virtual environment $1 with the first Python 3.11 or newer that works here.
# A name on the path is not enough: version managers leave names behind that run nothing.
set -eu

venv=$1
for python in python3.11 python3.12 python3.13 python3 python3.14; do
  if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
      echo "$python is here but cannot make virtual environments; install that part first, on Debian and Ubuntu with:" >&2
      echo "  apt-get install python3-venv" >&2
      exit 1
    fi
    exec "$python" -m venv "$venv"
  fi
done
echo "Python 3.11 or newer was not found; install it first, on Debian and Ubuntu with: apt-get install python3 python3-venv" >&2
exit 1
