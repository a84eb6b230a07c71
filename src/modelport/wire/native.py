"""modelport's own JSON: columns, records, one record or bare rows in; records out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from modelport.columns import Columns
from modelport.errors import ManifestError
from modelport.schema import Schema
from modelport.wire.base import Call, Codec, Limits
from modelport.wire.decoders import fast_decoder
from modelport.wire.records import Encoder, record_encoder
from modelport.wire.sheet import slow_decode
from modelport.wire.syntax import check_media, unwrap

_WHITE = b" \t\r\n"
_OPENED = (b"[", b"{")


@dataclass(frozen=True, slots=True)
class _Native:
    schema: Schema
    limits: Limits
    fast: Callable[[bytes], Call | None]
    encoder: Encoder

    def decode(self, body: bytes, content_type: str | None) -> Call:
        """Turn a request's body into checked columns.

        A body that is one JSON string is decoded once more: ``requests.post(url, json='{"a": [1]}')`` sends that.
        Raises: UnsupportedMedia, DecodeError, SchemaError with every fault, TooLarge.
        """
        if content_type is not None and content_type != "application/json":
            check_media(content_type)
        is_wrapped = body[:1] not in _OPENED and body.lstrip(_WHITE)[:1] == b'"'
        if is_wrapped:
            body = unwrap(body)
        call = self.fast(body)
        return slow_decode(body, self.schema, self.limits, is_unwrapped=is_wrapped) if call is None else call

    def encode(self, columns: Columns, call: Call) -> bytes:
        """Turn the model's outputs into records, one a row in order; one record for one record."""
        return self.encoder.encode(columns, call)

    def encode_batch(self, columns: Columns, calls: Sequence[Call]) -> list[bytes]:
        """Turn the outputs of a batch into the body of each call's answer, the same as ``encode`` would for its rows."""
        return self.encoder.encode_batch(columns, calls)


def codec(schema: Schema, limits: Limits = Limits()) -> Codec:  # noqa: B008  # frozen
    """Compile native JSON for one schema. Raises: ManifestError if the schema has no feature column. Cost: milliseconds."""
    if not schema.features:
        raise ManifestError("the schema has no feature column; declare at least one input that is not a key")
    return _Native(schema, limits, fast_decoder(schema, limits), record_encoder(schema))
