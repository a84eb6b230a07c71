"""What `import modelport` offers."""

from __future__ import annotations

import pytest

import modelport


def test_every_public_name_is_there_and_no_other_is_made_up() -> None:
    assert all(getattr(modelport, name) is not None for name in modelport.__all__)
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = modelport.no_such_name
