"""The key with which certificates and heads of the audit log are signed, and the form in which they are."""

import os
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID

from gateway.forget.errors import SigningKeyError
from gateway.verify_certificate import PART_BYTES, canonical, encoded, key_id, public_jwk


class Signer:
    """Signs by ES256 (RFC 7518, 3.4) what `gateway.verify_certificate` checks."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key
        jwk = public_jwk(key.public_key())
        self.key_id = key_id(jwk)
        self._header = {"alg": "ES256", "jwk": jwk, "kid": self.key_id}
        self.jwks = {"keys": [{**jwk, "alg": "ES256", "kid": self.key_id, "use": "sig"}]}

    @classmethod
    def from_file(cls, path: Path) -> "Signer":
        """With the key in a PEM file.

        Raises:
            SigningKeyError: there is none, or it is no P-256 key.
        """
        try:
            key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        except (OSError, ValueError, TypeError) as error:
            raise SigningKeyError(f"signing key {path}: {type(error).__name__}") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
            raise SigningKeyError(f"signing key {path}: not a P-256 key (openssl ecparam -name prime256v1 -genkey)")
        return cls(key)

    @classmethod
    def kept_in(cls, path: Path) -> "Signer":
        """With the key in `path`, readable by its owner only; it is made if it is not there."""
        if not path.exists():
            pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_name(f"{path.name}.{os.getpid()}")
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(pem)
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(draft, path)  # another process may have been faster: its key stays
            except FileExistsError:
                pass
            finally:
                draft.unlink()
        return cls.from_file(path)

    def der_signature(self, text: bytes) -> bytes:
        """ECDSA with SHA-256, in ASN.1 as OpenSSL has it."""
        return self._key.sign(text, ec.ECDSA(hashes.SHA256()))

    def signature(self, text: bytes) -> bytes:
        """The same as RFC 7518 has it: both numbers side by side."""
        r, s = decode_dss_signature(self.der_signature(text))
        return r.to_bytes(PART_BYTES, "big") + s.to_bytes(PART_BYTES, "big")

    def self_signed(self, domain: str, now: datetime) -> bytes:
        """A certificate (PEM) for the key that no authority vouches for, good for a year."""
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, domain)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + timedelta(days=365))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(domain)]), critical=False)
        )
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def signed(self, kind: str, content: Mapping[str, Any]) -> bytes:
        """The document `{kind: content, "signature": ...}` in canonical form, with a line end."""
        protected = encoded(canonical(self._header))
        signature = encoded(self.signature(f"{protected}.{encoded(canonical(dict(content)))}".encode()))
        return canonical({kind: dict(content), "signature": f"{protected}..{signature}"}) + b"\n"
