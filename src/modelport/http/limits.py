"""What the front accepts from the network, in numbers; each with its unit in its name.

The defaults are those of SAFETY (Network): a client that keeps to them is never refused, one that does not cannot hold
memory, a connection or the loop for long.
"""

from __future__ import annotations

from dataclasses import dataclass

from modelport.config import Settings


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Limits and timeouts of the HTTP front.

    Requests: ``body_bytes`` before and after decompression; ``header_bytes`` and ``header_fields`` of one message, trailers
    included; ``target_bytes`` of the request target; ``chunks`` of one chunked body and ``chunk_overhead_bytes`` of its
    framing; ``rows`` of one request; ``pipelined`` requests of one connection that wait for their answers before reading stops.

    Time: ``silence_s`` without a byte in the middle of a request (408); ``head_s`` for a whole head; ``idle_s`` between
    requests; ``send_s`` without a byte leaving for a client that does not read; ``linger_s`` for a refused client to read its
    answer; ``timeout_s`` for a prediction, which ``x-request-timeout`` may lower.

    ``connections`` at once; more get 503. ``api_keys``: if any, each request but the health checks must carry one.
    """

    body_bytes: int = 16 * 1024 * 1024
    header_bytes: int = 32 * 1024
    header_fields: int = 100
    target_bytes: int = 8 * 1024
    chunks: int = 16_384
    chunk_overhead_bytes: int = 256 * 1024
    rows: int = 10_000
    pipelined: int = 64
    silence_s: float = 10.0
    head_s: float = 30.0
    idle_s: float = 75.0
    send_s: float = 10.0
    linger_s: float = 2.0
    timeout_s: float = 30.0
    connections: int = 20_000
    api_keys: frozenset[str] = frozenset()


def limits(settings: Settings) -> HttpLimits:
    """Return the limits that the settings ask for. Raises: UsageError if the file of API keys cannot be read."""
    return HttpLimits(
        body_bytes=int(settings.max_body_mb * 1024 * 1024),
        rows=settings.max_rows,
        timeout_s=settings.timeout,
        api_keys=settings.api_keys(),
    )
