"""Writes the example's network as one ONNX file, for peers that run ONNX Runtime themselves.

Run by the Python that has modelport: `python graph.py best_model.hdf5 sentiment.onnx`.
"""

import sys
from pathlib import Path

from modelport.formats.base import Options
from modelport.formats.keras_file import read
from modelport.forms.keras_onnx.convert import convert

if __name__ == "__main__":
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    content = read(source, Options())
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(convert(content.network, content.weights).model)
