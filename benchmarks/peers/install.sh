#!/usr/bin/env bash
# Makes the environment of the Flask peer under $MODELPORT_BENCH_HOME (default: .cache/bench), apart from the project's own.
# TensorFlow's CPU build is what such a service was saved from and runs on; scikit-learn is the version the project's own
# environment has, so that both sides run the same arithmetic on the same pickle.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
home=${MODELPORT_BENCH_HOME:-$root/.cache/bench}
python=${PYTHON:-$root/.venv/bin/python}
sklearn=$("$python" -c 'from importlib.metadata import version; print(version("scikit-learn"))')

mkdir -p "$home"
[ -x "$home/flask/bin/python" ] || "$python" -m venv "$home/flask"
"$home/flask/bin/python" -m pip install -q flask pandas joblib "scikit-learn==$sklearn" tensorflow-cpu==2.21.0
"$home/flask/bin/python" -m pip freeze >"$home/flask/versions.txt"
echo "peer environment ready: $home/flask"
