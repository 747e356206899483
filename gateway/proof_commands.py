"""Commands about proof: fetch certificates and the audit log, check them without the gateway."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.client import GatewayClient

Url = Annotated[str, typer.Option(envvar="UNLEARN_URL", help="where the gateway listens")]
Key = Annotated[str | None, typer.Option(envvar="UNLEARN_API_KEY", help="the gateway's API key for you")]
File = Annotated[Path, typer.Argument(exists=True, dir_okay=False)]
PublicKey = Annotated[
    Path | None, typer.Option(exists=True, dir_okay=False, help="the issuer's, from another source: PEM, JWK or JWKS")
]
LOCAL = "http://127.0.0.1:8000"


def audit(url: Url = LOCAL, api_key: Key = None) -> None:
    """Print the audit log as JSON lines."""
    with GatewayClient(url, api_key) as client:
        for line in client.audit():
            print(line)


def audit_head(url: Url = LOCAL, api_key: Key = None) -> None:
    """Print the signed head of the audit log: keep it elsewhere, for verify-audit."""
    with GatewayClient(url, api_key) as client:
        print(client.document("/v1/audit/head"), end="")


def verify_certificate(file: File, public_key: PublicKey = None) -> None:
    """Check a certificate, or a head of the audit log, offline; the exit status says what was found."""
    from gateway.verify_certificate import main

    raise typer.Exit(main([str(file), *(("--public-key", str(public_key)) if public_key else ())]))


def verify_audit(
    file: File,
    anchor: Annotated[
        list[Path] | None, typer.Option(exists=True, help="a head or certificate given earlier; may be repeated")
    ] = None,
    public_key: PublicKey = None,
) -> None:
    """Check an exported audit log offline, also against what was signed earlier."""
    from gateway import verify_audit as audits
    from gateway import verify_certificate as documents

    with file.open(encoding="utf-8", newline="\n", errors="replace") as lines:
        found = audits.check(lines)
    if found.problem is not None:
        _broken(found.problem)
    try:
        trusted = documents.keys_in(public_key.read_bytes()) if public_key else None
    except documents.Malformed as error:
        raise typer.BadParameter(str(error)) from None
    for path in anchor or ():
        document = documents.check(path.read_bytes(), trusted)
        if document.verdict not in (documents.Verdict.VALID, documents.Verdict.UNIDENTIFIED) or not document.content:
            _broken(f"{path}: {documents.SAYS[document.verdict]}")
        elif (missing := found.lacks(document.content.get("audit") or {})) is not None:
            _broken(f"{path}: {missing}")
    print(f"WHOLE: entries {found.first} to {found.last}; SHA-256 of the last: {found.digests.get(found.last, 'none')}")
    if not anchor:
        print("Whether entries are missing at the end, or all was written anew, only an --anchor shows.")


def _broken(problem: str) -> None:
    print(f"BROKEN: {problem}")
    raise typer.Exit(1)


COMMANDS: tuple[Callable[..., Any], ...] = (audit, audit_head, verify_certificate, verify_audit)
