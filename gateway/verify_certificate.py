"""Checks certificates of erasure, and heads of an audit log: python verify_certificate.py FILE --public-key KEY

This one file works alone, offline: it needs Python >= 3.11 and the package `cryptography`. It tells whether a document
is what the holder of the key signed; what was measured, and by whom, it cannot tell.

A document is `{"certificate": {...}, "signature": "..."}`, or has "audit_head" in the place of "certificate". The
signature is a detached JWS (RFC 7515, appendix F; ES256) over the canonical form (RFC 8785) of what stands before it.
"""

import argparse
import base64
import binascii
import hashlib
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

VERSIONS = {"certificate": "unlearning-gateway/certificate/1", "audit_head": "unlearning-gateway/audit-head/1"}
MAX_BYTES = 1 << 20
MAX_EXACT_INTEGER = 2**53 - 1
PART_BYTES = 32  # of a signature's two numbers, and of a point's two coordinates


class Verdict(IntEnum):
    """What was found; also the exit status of the command."""

    VALID = 0
    UNIDENTIFIED = 3
    TAMPERED = 4
    WRONG_KEY = 5
    UNKNOWN_VERSION = 6
    MALFORMED = 7


SAYS = {
    Verdict.VALID: "VALID: signed with the given key, and unchanged since",
    Verdict.UNIDENTIFIED: "UNIDENTIFIED: unchanged, but anybody may have signed it; give the issuer's --public-key",
    Verdict.TAMPERED: "TAMPERED: the signature does not fit what the document says",
    Verdict.WRONG_KEY: "WRONG KEY: not signed with the given key",
    Verdict.UNKNOWN_VERSION: "UNKNOWN VERSION: made by another release; use the verifier of that release",
    Verdict.MALFORMED: "MALFORMED: no certificate and no audit head",
}


class Malformed(ValueError):
    """It does not have the form it must have."""


@dataclass(frozen=True)
class Finding:
    """A verdict, the id of the key named in the document, and what the document says, as far as it could be read."""

    verdict: Verdict
    key_id: str = ""
    content: Mapping[str, Any] | None = None


def canonical(value: Any) -> bytes:
    """The one form of a JSON value (RFC 8785): sorted members, no spaces, numbers as ECMAScript writes them, UTF-8.

    Raises:
        ValueError: a value that JSON has not, an integer that is no double, or half of a surrogate pair.
    """
    return _text(value).encode()


def _text(value: Any) -> str:
    match value:
        case None | bool() | str():
            return json.dumps(value, ensure_ascii=False)
        case int():
            if abs(value) > MAX_EXACT_INTEGER and (value.bit_length() > 1023 or _number(float(value)) != str(value)):
                raise ValueError("an integer that not every JSON reader can hold")
            return str(value)
        case float():
            return _number(value)
        case list() | tuple():
            return f"[{','.join(map(_text, value))}]"
        case dict():
            members = sorted(value.items(), key=lambda member: member[0].encode("utf-16-be"))
            return f"{{{','.join(f'{_text(name)}:{_text(member)}' for name, member in members)}}}"
    raise ValueError(f"{type(value).__name__} is nothing that JSON has")


def _number(value: float) -> str:
    """ECMA-262, Number::toString: the shortest digits that give the same number again, which `repr` finds."""
    if value != value or value in (float("inf"), float("-inf")):
        raise ValueError("JSON has no such number")
    if value == 0:
        return "0"
    _, found, exponent = Decimal(repr(value)).normalize().as_tuple()
    digits, sign = "".join(map(str, found)), "-" if value < 0 else ""
    point = len(digits) + int(exponent)
    if len(digits) <= point <= 21:
        return sign + digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{fraction}e{point - 1:+d}"


def strict(text: str | bytes) -> Any:
    """JSON in which no member stands twice and every number is one.

    Raises:
        Malformed: it is none.
    """

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) < len(pairs):
            raise ValueError("a member stands twice")
        return dict(pairs)

    def no_constant(name: str) -> float:
        raise ValueError(f"{name} is no JSON")

    try:
        return json.loads(text, object_pairs_hook=members, parse_constant=no_constant)
    except (ValueError, RecursionError):
        raise Malformed("no JSON") from None


def encoded(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    """What `encoded` made of it.

    Raises:
        Malformed: it made something else.
    """
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        raise Malformed("no base64url") from None
    if encoded(data) != text:
        raise Malformed("no base64url")
    return data


def public_jwk(key: ec.EllipticCurvePublicKey) -> dict[str, str]:
    """The four members of a P-256 key that its id is made of."""
    numbers = key.public_numbers()
    x, y = (encoded(part.to_bytes(PART_BYTES, "big")) for part in (numbers.x, numbers.y))
    return {"crv": "P-256", "kty": "EC", "x": x, "y": y}


def key_id(jwk: Mapping[str, Any]) -> str:
    """The thumbprint of a key (RFC 7638)."""
    return encoded(hashlib.sha256(canonical({name: jwk[name] for name in ("crv", "kty", "x", "y")})).digest())


def key_of(jwk: Any) -> ec.EllipticCurvePublicKey:
    """The key that a JWK holds.

    Raises:
        Malformed: not a P-256 key.
    """
    try:
        if (jwk["kty"], jwk["crv"]) != ("EC", "P-256"):
            raise Malformed("no P-256 key")
        x, y = (int.from_bytes(decoded(jwk[part])) for part in ("x", "y"))
        return ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    except (KeyError, TypeError, ValueError, AttributeError):
        raise Malformed("no P-256 key") from None


def keys_in(data: bytes) -> list[ec.EllipticCurvePublicKey]:
    """The public keys in a PEM file, a JWK or a JWKS.

    Raises:
        Malformed: none is there.
    """
    if data.lstrip().startswith(b"-----BEGIN"):
        try:
            key = serialization.load_pem_public_key(data)
        except ValueError:
            raise Malformed("no public key") from None
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            raise Malformed("no P-256 key")
        return [key]
    found = strict(data)
    jwks = found.get("keys", [found]) if isinstance(found, dict) else []
    keys = [key_of(jwk) for jwk in jwks] if isinstance(jwks, list) else []
    if not keys:
        raise Malformed("no public key")
    return keys


def check(data: bytes, trusted: Iterable[ec.EllipticCurvePublicKey] | None = None) -> Finding:
    """What is to be thought of a document; `trusted` are the issuer's keys, None if they are not known."""
    try:
        kind, content, protected, signature = _parts(data)
        if content.get("version") != VERSIONS[kind]:
            return Finding(Verdict.UNKNOWN_VERSION)
        header = strict(decoded(protected))
        if not isinstance(header, dict) or header.keys() != {"alg", "jwk", "kid"} or header["alg"] != "ES256":
            raise Malformed("another header")
        key = key_of(header["jwk"])
        id_ = key_id(header["jwk"])
        if header["kid"] != id_:
            raise Malformed("the header names another key")
        raw = decoded(signature)
        signed = f"{protected}.{encoded(canonical(content))}".encode()
    except (ValueError, RecursionError):
        return Finding(Verdict.MALFORMED)
    if trusted is not None and id_ not in {key_id(public_jwk(one)) for one in trusted}:
        return Finding(Verdict.WRONG_KEY, id_, content)
    if not _fits(key, raw, signed):
        return Finding(Verdict.TAMPERED, id_, content)
    return Finding(Verdict.UNIDENTIFIED if trusted is None else Verdict.VALID, id_, content)


def _parts(data: bytes) -> tuple[str, dict[str, Any], str, str]:
    if len(data) > MAX_BYTES:
        raise Malformed("too long")
    envelope = strict(data)
    if not isinstance(envelope, dict) or len(envelope) != 2:
        raise Malformed("another form")
    kind = next((kind for kind in VERSIONS if kind in envelope), None)
    if kind is None or not isinstance(envelope[kind], dict) or not isinstance(envelope.get("signature"), str):
        raise Malformed("another form")
    protected, nothing, signature = (*envelope["signature"].split("."), "", "", "")[:3]
    if nothing or envelope["signature"].count(".") != 2:
        raise Malformed("no detached JWS")
    return kind, envelope[kind], protected, signature


def _fits(key: ec.EllipticCurvePublicKey, raw: bytes, signed: bytes) -> bool:
    if len(raw) != 2 * PART_BYTES:
        return False
    r, s = int.from_bytes(raw[:PART_BYTES]), int.from_bytes(raw[PART_BYTES:])
    try:
        key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def told(finding: Finding) -> str:
    """A finding in words."""
    lines = [SAYS[finding.verdict]]
    if finding.key_id:
        lines.append(f"key: {finding.key_id}")
    if finding.content is not None and finding.verdict in (Verdict.VALID, Verdict.UNIDENTIFIED):
        lines.append(json.dumps(finding.content, ensure_ascii=True, indent=2))
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; its status is the verdict."""
    parser = argparse.ArgumentParser(
        description="Check a certificate of erasure, or the head of an audit log, offline."
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--public-key", type=Path, help="the issuer's key, from another source: PEM, JWK or JWKS")
    options = parser.parse_args(arguments)
    try:
        trusted = keys_in(options.public_key.read_bytes()) if options.public_key else None
        finding = check(options.file.read_bytes(), trusted)
    except (OSError, Malformed) as error:
        parser.error(str(error))
    print(told(finding))
    return int(finding.verdict)


if __name__ == "__main__":
    sys.exit(main())
