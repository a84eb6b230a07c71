#!/usr/bin/env bash
# Makes two environments under $MODELPORT_BENCH_HOME (default: .cache/bench), apart from the one that tests run in:
# `flask`, the peer with TensorFlow's CPU build, which is what such a service was saved from and runs on, and `modelport`,
# what `make serve` installs and scikit-learn. Both get the same scikit-learn, so that they run the same arithmetic on the same pickle.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
home=${MODELPORT_BENCH_HOME:-$root/.cache/bench}
python=${PYTHON:-$root/.venv/bin/python}
sklearn=$("$python" -c 'from importlib.metadata import version; print(version("scikit-learn"))')

mkdir -p "$home"
[ -x "$home/flask/bin/python" ] || "$python" -m venv "$home/flask"
[ -x "$home/modelport/bin/python" ] || "$python" -m venv "$home/modelport"
"$home/modelport/bin/python" -m pip install -q --editable "$root[sklearn,keras]" --requirement "$root/examples/sentiment/requirements.txt" \
  "scikit-learn==$sklearn"
"$home/flask/bin/python" -m pip install -q flask pandas joblib "scikit-learn==$sklearn" tensorflow-cpu==2.21.0
for name in modelport flask; do
  "$home/$name/bin/python" -m pip freeze >"$home/$name/versions.txt"
done
echo "environments ready: $home"
