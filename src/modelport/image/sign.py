"""Signatures as cosign makes and checks them: the digest in a "simple signing" document, signed with a key (ECDSA, P-256, SHA-256)."""

from __future__ import annotations

import base64
from pathlib import Path

from modelport.errors import MissingExtra, UsageError
from modelport.image.reference import Reference
from modelport.image.store import canonical

PAYLOAD = "application/vnd.dev.cosign.simplesigning.v1+json"
ANNOTATION = "dev.cosignproject.cosign/signature"


def payload(reference: Reference, digest: str) -> bytes:
    """Return the document that is signed (containers/image, "simple signing", as cosign writes it)."""
    critical = {
        "identity": {"docker-reference": reference.name},
        "image": {"docker-manifest-digest": digest},
        "type": "cosign container image signature",
    }
    return canonical({"critical": critical, "optional": None})


def sign(key: Path, data: bytes) -> str:
    """Return the signature of bytes, in base64. Raises: UsageError if the key is none of P-256 in PEM; MissingExtra."""
    try:
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    except ImportError as error:
        raise MissingExtra("--sign-key takes cryptography, which is not installed; run: pip install 'modelport[sign]'") from error
    try:
        private = load_pem_private_key(key.read_bytes(), password=None)
    except OSError as error:
        raise UsageError(f"--sign-key {key}: cannot be read ({error.strerror}); give a PEM file with a P-256 key") from error
    except (ValueError, TypeError) as error:
        raise UsageError(f"--sign-key {key}: is no private key in PEM without a password; make one with openssl ecparam") from error
    if not isinstance(private, ec.EllipticCurvePrivateKey) or private.curve.name != "secp256r1":
        raise UsageError(f"--sign-key {key}: holds a key of another kind; one of the curve P-256 was expected")
    return base64.b64encode(private.sign(data, ec.ECDSA(SHA256()))).decode()
