"""The offline verifier against the RFCs it names, another JOSE library, and whatever somebody may hand it."""

import json
import struct
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from gateway.forget.signing import Signer
from gateway.verify_certificate import (
    VERSIONS,
    Malformed,
    Verdict,
    canonical,
    check,
    decoded,
    encoded,
    keys_in,
    main,
    strict,
)

SIGNER = Signer(ec.generate_private_key(ec.SECP256R1()))
TRUSTED = keys_in(canonical(SIGNER.jwks))

# RFC 8785, appendix B
NUMBERS = {
    "0000000000000000": "0",
    "8000000000000000": "0",
    "0000000000000001": "5e-324",
    "8000000000000001": "-5e-324",
    "7fefffffffffffff": "1.7976931348623157e+308",
    "ffefffffffffffff": "-1.7976931348623157e+308",
    "4340000000000000": "9007199254740992",
    "c340000000000000": "-9007199254740992",
    "4430000000000000": "295147905179352830000",
    "44b52d02c7e14af5": "9.999999999999997e+22",
    "44b52d02c7e14af6": "1e+23",
    "44b52d02c7e14af7": "1.0000000000000001e+23",
    "444b1ae4d6e2ef4e": "999999999999999700000",
    "444b1ae4d6e2ef4f": "999999999999999900000",
    "444b1ae4d6e2ef50": "1e+21",
    "3eb0c6f7a0b5ed8c": "9.999999999999997e-7",
    "3eb0c6f7a0b5ed8d": "0.000001",
    "41b3de4355555553": "333333333.3333332",
    "41b3de4355555554": "333333333.33333325",
    "41b3de4355555555": "333333333.3333333",
    "41b3de4355555556": "333333333.3333334",
    "41b3de4355555557": "333333333.33333343",
    "becbf647612f3696": "-0.0000033333333333333333",
    "43143ff3c1cb0959": "1424953923781206.2",
}


@pytest.mark.parametrize("bits", NUMBERS)
def test_numbers_of_the_rfc(bits: str) -> None:
    (number,) = struct.unpack(">d", bytes.fromhex(bits))
    assert canonical(number).decode() == NUMBERS[bits]


def test_the_examples_of_the_rfc() -> None:
    text = r"""{"numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/", "literals": [null, true, false]}"""
    expected = (
        r"""{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"""
        r""""string":"€$\u000f\nA'B\"\\\\\"/"}"""
    )
    assert canonical(strict(text)).decode() == expected
    names = ("\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6")
    in_order = ("\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33")
    assert tuple(json.loads(canonical(dict.fromkeys(names)))) == in_order


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
)


@given(JSON)
def test_the_canonical_form_is_a_fixed_point(value: object) -> None:
    form = canonical(value)
    assert json.loads(form, parse_int=float) == value
    assert canonical(strict(form)) == form


@pytest.mark.parametrize(
    "value", [2**53 + 1, 10**400, 10**21, float("nan"), float("inf"), "\ud800", {"\udfff": 1}, {1: 2}, b"", object()]
)
def test_what_is_no_json(value: object) -> None:
    with pytest.raises((ValueError, AttributeError)):
        canonical(value)


@pytest.mark.parametrize("text", ['{"a":1,"a":1}', "NaN", "[Infinity]", "[" * 100_000, "{", b"\xff", "1" * 5000])
def test_what_is_no_strict_json(text: str | bytes) -> None:
    with pytest.raises(Malformed):
        strict(text)


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return Signer.kept_in(tmp_path / "key.pem")


def test_another_library_accepts_the_signature(signer: Signer) -> None:
    content = {"version": VERSIONS["certificate"], "figure": 0.002}
    document = json.loads(signer.signed("certificate", content))
    protected, _, signature = document["signature"].split(".")
    token = f"{protected}.{encoded(canonical(content))}.{signature}"
    key = jwt.PyJWK(signer.jwks["keys"][0]).key
    assert jwt.decode(token, key, algorithms=["ES256"]) == content
    assert jwt.get_unverified_header(token)["kid"] == signer.key_id


def test_a_token_of_another_library_is_accepted(tmp_path: Path, signer: Signer) -> None:
    private = serialization.load_pem_private_key((tmp_path / "key.pem").read_bytes(), None)
    content = {"version": VERSIONS["certificate"], "figure": 0.002}
    (jwk,) = signer.jwks["keys"]
    own = {name: jwk[name] for name in ("crv", "kty", "x", "y")}
    ours = json.loads(signer.signed("certificate", content))["signature"].partition(".")[0]
    signed = f"{ours}.{encoded(canonical(content))}".encode()
    raw = jwt.get_algorithm_by_name("ES256").sign(signed, private)
    document = canonical({"certificate": content, "signature": f"{ours}..{encoded(raw)}"})
    assert check(document, keys_in(canonical(own))).verdict is Verdict.VALID


def with_header(signer: Signer, **members: object) -> bytes:
    """A document whose header was changed, not signed again."""
    document = json.loads(signer.signed("certificate", {"version": VERSIONS["certificate"]}))
    protected, _, signature = document["signature"].split(".")
    header = {**json.loads(decoded(protected)), **members}
    document["signature"] = f"{encoded(canonical(header))}..{signature}"
    return canonical(document)


@pytest.mark.parametrize(
    "members",
    [{"alg": "none"}, {"alg": "HS256"}, {"b64": False, "crit": ["b64"]}, {"kid": "other"}, {"jwk": {}}, {"jwk": None}],
)
def test_other_headers_are_refused(signer: Signer, members: dict[str, object]) -> None:
    assert check(with_header(signer, **members), keys_in(canonical(signer.jwks))).verdict is Verdict.MALFORMED


def test_somebody_elses_key_in_the_header_does_not_help(tmp_path: Path, signer: Signer) -> None:
    forger = Signer.kept_in(tmp_path / "forger.pem")
    forged = forger.signed("certificate", {"version": VERSIONS["certificate"]})
    assert check(forged).verdict is Verdict.UNIDENTIFIED
    assert check(forged, keys_in(canonical(signer.jwks))).verdict is Verdict.WRONG_KEY
    (jwk,) = signer.jwks["keys"]
    own = {name: jwk[name] for name in ("crv", "kty", "x", "y")}
    pretending = json.loads(forged)
    header = encoded(canonical({"alg": "ES256", "jwk": own, "kid": signer.key_id}))
    pretending["signature"] = f"{header}..{pretending['signature'].rpartition('.')[2]}"
    assert check(canonical(pretending), keys_in(canonical(signer.jwks))).verdict is Verdict.TAMPERED


@given(st.data())
def test_no_change_of_a_byte_stays_valid(data: st.DataObject) -> None:
    document = SIGNER.signed("certificate", {"version": VERSIONS["certificate"], "label": "ATTENUATED"})
    at = data.draw(st.integers(0, len(document) - 2))
    changed = bytearray(document)
    changed[at] ^= 1 << data.draw(st.integers(0, 7))
    assert check(bytes(changed), TRUSTED).verdict is not Verdict.VALID


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_anything_gets_a_verdict(data: bytes) -> None:
    assert check(data, TRUSTED).verdict is Verdict.MALFORMED
    enveloped = (
        b'{"certificate":{"version":"' + VERSIONS["certificate"].encode() + b'","x":' + data + b'},"signature":"a..b"}'
    )
    assert check(enveloped, TRUSTED).verdict is Verdict.MALFORMED


def test_the_command_refuses_keys_that_are_none(tmp_path: Path, signer: Signer) -> None:
    file = tmp_path / "certificate.json"
    file.write_bytes(signer.signed("certificate", {"version": VERSIONS["certificate"]}))
    for name, content in {
        "empty": b"",
        "private": (tmp_path / "key.pem").read_bytes(),
        "no keys": b'{"keys":[]}',
        "another curve": b'{"kty":"EC","crv":"P-384","x":"AQ","y":"Ag"}',
        "not on the curve": b'{"kty":"EC","crv":"P-256","x":"AQ","y":"Ag"}',
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(SystemExit) as refused:
            main([str(file), "--public-key", str(tmp_path / name)])
        assert refused.value.code == 2
