"""Where things are in an image, and how it runs: the contract that targets rely on."""

from __future__ import annotations

ROOT = "/opt/modelport"
LIBRARY = f"{ROOT}/lib"
MODEL = f"{ROOT}/model"
CODE = f"{ROOT}/code"
SHARE = f"{ROOT}/share"
PROGRAM = f"{ROOT}/bin/modelport"
HEALTH = f"{ROOT}/bin/healthcheck"
USER = "1000:1000"
PORT = 8080
"""Who runs it, and where it listens."""
