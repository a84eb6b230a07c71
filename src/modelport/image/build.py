"""Building an image from an order: planned, assembled, written out, pushed."""

from __future__ import annotations

from collections.abc import Callable

from modelport.image.order import Built, Order


def silent(text: str) -> None:
    """Say nothing."""
    del text


def build(order: Order, say: Callable[[str], None] = silent) -> Built:
    """Build the image that is ordered; write it to ``order.output`` and push it to ``order.tag`` where that is asked for.

    Give what came of it: ``.reference`` is by digest once it is pushed, ``.digest`` its sha256. ``say`` is told of each step.
    Nothing of the model file is executed. Same order, same base, same lock: same digest.
    Raises: UsageError for an order that cannot be; UnreadableFile, ManifestError, NeedsTrust or RefusedFile of the model file;
    MissingExtra if pip (or boto3, cryptography where they are needed) is missing; TargetRefused with the words of the
    registry, of pip or of the engine that refused.
    """
    del order, say
    raise NotImplementedError
