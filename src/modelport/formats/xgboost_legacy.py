"""XGBoost's binary format of before JSON: recognized, and refused, since the library stopped reading it with 3.1."""

from __future__ import annotations

LEGACY = (
    "was saved in XGBoost's old binary format, which the library stopped reading with 3.1; "
    "load it with XGBoost 1.0 to 3.0, compare its answers, and save it again as .json or .ubj"
)


def is_legacy(head: bytes) -> bool:
    """Say whether these first bytes begin XGBoost's binary format of before JSON."""
    if head.startswith((b"binf", b"bs64\t", b"CONFIG-offset:")):
        return True
    # LearnerModelParam: base_score, num_feature, num_class, contain_extra_attrs, contain_eval_metrics, reserved; then the names.
    names = (b"binary:", b"multi:", b"reg:", b"rank:", b"count:", b"survival:")
    length = int.from_bytes(head[136:144], "little")
    return len(head) > 160 and 0 < length < 64 and head[144:].startswith(names)
