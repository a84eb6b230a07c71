#!/usr/bin/env bash
# Makes environments under $MODELPORT_BENCH_HOME (default: .cache/bench), apart from the one that tests run in: one for each peer
# (`flask` with TensorFlow's CPU build, which is what such a service was saved from and runs on), and `modelport`, what `make serve`
# installs, with scikit-learn. All get the same scikit-learn, so that they run the same arithmetic on the same pickle.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
home=${MODELPORT_BENCH_HOME:-$root/.cache/bench}
python=${PYTHON:-$root/.venv/bin/python}
sklearn="scikit-learn==$("$python" -c 'from importlib.metadata import version; print(version("scikit-learn"))')"

mkdir -p "$home"
make_one() {
  name=$1
  shift
  [ -x "$home/$name/bin/python" ] || "$python" -m venv "$home/$name"
  "$home/$name/bin/python" -m pip install -q "$@"
  "$home/$name/bin/python" -m pip freeze >"$home/$name/versions.txt"
}
make_one modelport --editable "$root[sklearn,keras,bulk]" --requirement "$root/examples/sentiment/requirements.txt" "$sklearn"
make_one flask flask pandas joblib "$sklearn" skl2onnx tensorflow-cpu==2.21.0
make_one fastapi fastapi uvicorn uvloop httptools orjson pandas joblib onnxruntime "$sklearn"
make_one mosec mosec==0.9.8 orjson pandas onnxruntime "$sklearn"
echo "environments ready: $home"
