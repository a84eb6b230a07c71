"""Where things are in an image, and how it runs: the contract that targets rely on."""

from __future__ import annotations

ROOT = "/opt/modelport"
LIBRARY = f"{ROOT}/lib"
MODEL = f"{ROOT}/model"
CODE = f"{ROOT}/code"
SHARE = f"{ROOT}/share"
PROGRAM = f"{ROOT}/bin/modelport"
HEALTH = f"{ROOT}/bin/healthcheck"
SCRATCH = "/tmp"  # noqa: S108  # the container's
"""What may be written, if anything: declared as a volume, so that who mounts something there gives it this folder's mode."""
USER = "1000:1000"
PORT = 8080
"""Who runs it, and where it listens."""
