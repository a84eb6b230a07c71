"""What is said of forms, for those who say it without having one to run: importing a form brings all its operations."""

from __future__ import annotations

COMPILED = "compiled"
"""What ``x-model-form`` says of answers that a form gave."""
ROW_MS = "row_ms"
"""The fact what a row costs."""
PART = "hooks of its own have a part in the answer"
"""Why a model with hooks has no form that answers alone."""
