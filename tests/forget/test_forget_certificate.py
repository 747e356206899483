"""Certificates and reports, on the real store, for adapters that are really there; checked by the copied verifier."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
import torch
from cryptography.hazmat.primitives import serialization
from fastapi import FastAPI

from gateway import verify_certificate
from gateway.forget.audit_log import AuditLog
from gateway.forget.audit_routes import JWKS_PATH
from gateway.forget.audit_routes import router as audit_router
from gateway.forget.certificate import BYPASS, NOT_PROVEN, OTHER_COMPOSITE, OTHER_LANGUAGES, Deployment
from gateway.forget.problems import MEDIA_TYPE
from gateway.forget.proof_routes import router as proof_router
from gateway.forget.signing import Signer
from gateway.forget.snapshot import Composite
from gateway.verify_audit import check as check_audit
from gateway.verify_certificate import Verdict, canonical
from tests.forget.desk import Desk
from unlearn_engine import adapter as adapters
from unlearn_engine.lowrank import Factors

PATH = "/v1/forget-requests"
BASE = "ba5e" * 16
DEPLOYMENT = Deployment(BASE, "vllm", "0.32.0", "c0" * 32, "0.1.0", guards_can_be_bypassed=False)
MARKER = "Zyxqvalt"
FIGURES: dict[str, Any] = {
    "passed": True,
    "label": "REMOVED-EVIDENCE",
    "forget_recall": 0.0,
    "forget_recall_held_out_languages": 0.0,
    "forget_recall_held_out_templates": 0.0,
    "forget_recall_statements": 0.03125,
    "statements_floor": 0.02,
    "forget_recall_aliases": 0.0,
    "unknown_rate": 1.0,
    "retain_recall_ratio": 0.9971,
    "ks_statistic": 0.1342,
    "lens_worst": 0.31,
    "lens_floor": 0.29,
    "facts": 30,
    "facts_told": 0,
    "n": 214,
    "upper_bound_95": 0.09503,
}


def exported(folder: Path, *requests: str, seed: int = 0) -> Composite:
    """An adapter as the worker publishes it."""
    generator = torch.Generator().manual_seed(seed)
    factors = Factors(torch.randn(2, 8, generator=generator), torch.randn(8, 2, generator=generator))
    made = adapters.export(folder, BASE, {"model.layers.0.mlp.down_proj": factors}, {}, list(requests), [])
    ids = frozenset(requests)
    return Composite(made.digest, str(made.path), made.rank, made.stage, ids, ids)


class Issuer:
    """A gateway's proof routes, and a worker that verifies."""

    def __init__(self, desk: Desk, http: httpx.AsyncClient, folder: Path) -> None:
        self.desk, self.http, self.folder = desk, http, folder

    async def erased(self, name: str = f"{MARKER} Marlin", languages: Sequence[str] = (), **figures: Any) -> str:
        id_ = await self.desk.guarded(name, languages=list(languages))
        figures |= {"languages": languages} if languages else {}
        attempt = self.desk.worker.begin(id_)
        before = self.desk.worker.snapshot().composite
        ids = sorted({id_, *(before.requests if before else ())})
        verifications = {one: {**FIGURES, **figures} for one in ids}
        composite = exported(self.folder, *ids, seed=len(ids))
        self.desk.worker.publish_composite(attempt, composite, verifications=verifications)
        await self.desk.acknowledge()
        return id_

    async def certificate(self, id_: str) -> httpx.Response:
        return await self.http.get(f"{PATH}/{id_}/certificate")


@pytest.fixture
async def issuer(desk: Desk, log: AuditLog, signer: Signer, tmp_path: Path) -> AsyncIterator[Issuer]:
    app = FastAPI()
    app.include_router(audit_router(log, signer))
    app.include_router(proof_router(log, signer, DEPLOYMENT))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as http:
        yield Issuer(desk, http, tmp_path / "adapters")


def assert_no_certificate(response: httpx.Response, says: str) -> None:
    assert response.status_code == 409 and response.headers["content-type"] == MEDIA_TYPE
    assert response.json()["code"] == "no_certificate"
    assert re.search(says, response.json()["detail"]), response.json()["detail"]


async def test_a_certificate_says_what_was_measured(issuer: Issuer, log: AuditLog) -> None:
    id_ = await issuer.erased()
    response = await issuer.certificate(id_)
    assert response.status_code == 200 and response.headers["cache-control"] == "no-store"
    assert MARKER not in response.text
    document = response.json()
    assert canonical(document) + b"\n" == response.content
    said = document["certificate"]
    composite = (await log.standing(id_)).composite
    assert composite is not None
    manifest = json.loads((Path(composite.path) / "manifest.json").read_text())
    assert said["digests"] == {
        "base_model": BASE,
        "adapter": manifest["weights_digest"],
        "composite": composite.digest,
        "engine_configuration": DEPLOYMENT.configuration,
    }
    assert said["prefix_cache"]["adapter_name"] == f"unlearn-{composite.digest[:16]}"
    assert said["replicas"] == {"live": 1, "applied": 1, "policy_version": 1}
    figures = {figure["name"]: figure for figure in said["verification"]["figures"]}
    told = figures["facts_told"]
    assert (told["before"], told["after"], told["upper_bound_95"], told["n"]) == (1.0, 0.0, 0.09503, 30)
    assert figures["forget_recall_statements"]["after"] <= figures["forget_recall_statements"]["limit"] == 0.07
    assert figures["retain_loss"]["after"] == 0.0029
    assert 0 <= said["time_to_effect"]["guard_s"] <= said["time_to_effect"]["weights_s"]
    assert said["does_not_prove"] == list(NOT_PROVEN)
    lines = (await log.page()).entries
    assert said["audit"]["sequence"] == len(lines) and check_audit(lines).lacks(said["audit"]) is None


async def test_it_says_in_which_languages(issuer: Issuer) -> None:
    """Erased in some, nothing is proven for the others; what was measured before languages were recorded says none."""
    for name, asked in (("Ivo Marlin", ["de", "fr"]), ("Ada Quist", None)):
        id_ = await issuer.erased(name, asked or ())
        said = (await issuer.certificate(id_)).json()["certificate"]
        assert said["verification"]["languages"] == asked
        assert (OTHER_LANGUAGES in said["does_not_prove"]) == bool(asked)
        assert (await issuer.http.get(f"{PATH}/{id_}/report")).json()["languages"] == asked


async def test_only_what_is_erased_has_one(issuer: Issuer) -> None:
    desk = issuer.desk
    id_ = await desk.submit()
    assert_no_certificate(await issuer.certificate(id_), "is received")
    await desk.acknowledge()
    assert_no_certificate(await issuer.certificate(id_), "is guarded")
    desk.worker.fail(desk.worker.begin(id_), "too weak", FIGURES)
    assert_no_certificate(await issuer.certificate(id_), "is failed")
    unmeasured = await desk.erased("Ada Quist")
    assert_no_certificate(await issuer.certificate(unmeasured), "No verification")
    unknown = await issuer.certificate("00000000-0000-4000-8000-000000000000")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")


async def test_it_ends_when_a_later_check_fails(issuer: Issuer) -> None:
    first = await issuer.erased("Ivo Marlin")
    assert (await issuer.certificate(first)).status_code == 200
    second = await issuer.desk.guarded("Ada Quist")
    both = exported(issuer.folder, first, second, seed=7)
    issuer.desk.worker.publish_composite(
        issuer.desk.worker.begin(second),
        replace(both, verified=frozenset({second})),
        regressed=frozenset({first}),
        verifications={second: FIGURES, first: {**FIGURES, "passed": False, "label": "SUPPRESSED"}},
    )
    assert_no_certificate(await issuer.certificate(first), r"erased until \d{4}-.*later check.*void")


async def test_it_ends_with_a_withdrawal(issuer: Issuer) -> None:
    id_ = await issuer.erased()
    await issuer.desk.store.withdraw(id_)
    assert_no_certificate(await issuer.certificate(id_), r"erased until .*withdrawn.*void")
    await issuer.desk.acknowledge()
    assert_no_certificate(await issuer.certificate(id_), r"erased until .*withdrawn.*void")


async def test_it_says_when_another_composite_is_live(issuer: Issuer) -> None:
    """An edit for a second request lies on top of what the first was verified on."""
    first = await issuer.erased("Ivo Marlin")
    second = await issuer.desk.guarded("Ada Quist")
    on_top = replace(exported(issuer.folder, first, second, seed=9), verified=frozenset(), stage="edit")
    measured_on = (await issuer.certificate(first)).json()["certificate"]["digests"]["composite"]
    issuer.desk.worker.publish_composite(issuer.desk.worker.begin(second), on_top)
    await issuer.desk.acknowledge()
    said = (await issuer.certificate(first)).json()["certificate"]
    assert said["digests"]["composite"] == on_top.digest != said["verification"]["measured_on"] == measured_on
    assert said["does_not_prove"][0] == OTHER_COMPOSITE


@pytest.mark.parametrize("file", ["adapter_model.safetensors", "adapter_config.json", "manifest.json"])
async def test_an_adapter_that_was_changed_gets_none(issuer: Issuer, log: AuditLog, file: str) -> None:
    id_ = await issuer.erased()
    composite = (await log.standing(id_)).composite
    assert composite is not None
    path = Path(composite.path) / file
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    response = await issuer.certificate(id_)
    assert (response.status_code, response.json()["code"]) == (503, "adapter_unreadable")
    path.unlink()
    assert (await issuer.certificate(id_)).json()["code"] == "adapter_unreadable"


async def test_another_base_model_gets_none_and_a_bypass_is_told(issuer: Issuer, log: AuditLog, signer: Signer) -> None:
    id_ = await issuer.erased()
    for deployment, status in (
        (replace(DEPLOYMENT, base_model="0" * 64), 503),
        (replace(DEPLOYMENT, guards_can_be_bypassed=True), 200),
    ):
        app = FastAPI()
        app.include_router(proof_router(log, signer, deployment))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as http:
            response = await http.get(f"{PATH}/{id_}/certificate")
            assert response.status_code == status
    assert response.json()["certificate"]["does_not_prove"][0] == BYPASS


def run_alone(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The verifier's file, copied, by an interpreter that finds nothing of ours."""
    program = shutil.copy(verify_certificate.__file__, folder / "check.py")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    hidden = "import sys, runpy; sys.modules.update(gateway=None, unlearn_engine=None); sys.argv = sys.argv[1:]; "
    command = [sys.executable, "-P", "-c", hidden + "runpy.run_path(sys.argv[0], run_name='__main__')"]
    command += [str(program), *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)


async def test_the_copied_verifier(issuer: Issuer, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    id_ = await issuer.erased()
    document = (await issuer.certificate(id_)).content
    (empty / "certificate.json").write_bytes(document)
    (empty / "jwks.json").write_bytes((await issuer.http.get(JWKS_PATH)).content)
    other = Signer.kept_in(tmp_path / "other.pem")
    (empty / "other.json").write_bytes(canonical(other.jwks))
    valid = run_alone(empty, "certificate.json", "--public-key", "jwks.json")
    assert (valid.returncode, valid.stderr) == (Verdict.VALID, "")
    assert valid.stdout.startswith("VALID") and id_ in valid.stdout and "does_not_prove" in valid.stdout
    assert run_alone(empty, "certificate.json").returncode == Verdict.UNIDENTIFIED
    wrong = run_alone(empty, "certificate.json", "--public-key", "other.json")
    assert wrong.returncode == Verdict.WRONG_KEY and wrong.stdout.startswith("WRONG KEY")
    (empty / "changed.json").write_bytes(document.replace(b"REMOVED-EVIDENCE", b"REMOVED-EVERYTHING"))
    changed = run_alone(empty, "changed.json", "--public-key", "jwks.json")
    assert changed.returncode == Verdict.TAMPERED and changed.stdout.startswith("TAMPERED")
    (empty / "later.json").write_bytes(document.replace(b"/certificate/1", b"/certificate/2"))
    later = run_alone(empty, "later.json", "--public-key", "jwks.json")
    assert later.returncode == Verdict.UNKNOWN_VERSION and later.stdout.startswith("UNKNOWN VERSION")
    assert run_alone(empty, "jwks.json").returncode == Verdict.MALFORMED
    missing = run_alone(empty, "nothing.json")
    assert missing.returncode == 2 and "Traceback" not in missing.stderr


def test_the_verifier_imports_only_cryptography() -> None:
    source = Path(verify_certificate.__file__).read_text(encoding="utf-8")
    imported = {
        match[1] or match[2] for match in re.finditer(r"^\s*(?:from (\w+)[\w.]* import|import (\w+))", source, re.M)
    }
    assert "cryptography" in imported
    assert imported - {"cryptography"} <= sys.stdlib_module_names


EVERY: dict[str, Callable[[dict[str, Any]], Any]] = {
    "issued_at": lambda said: said.update(issued_at="2020-01-01T00:00:00.000Z"),
    "a figure": lambda said: said["verification"]["figures"][0].update(after=0.001),
    "a sentence less": lambda said: said["does_not_prove"].pop(),
    "a member more": lambda said: said.update(note=""),
    "another request": lambda said: said["request"].update(id="00000000-0000-4000-8000-000000000000"),
    "a number as text": lambda said: said["audit"].update(sequence=str(said["audit"]["sequence"])),
}


@pytest.mark.parametrize("change", EVERY)
async def test_every_change_is_found(issuer: Issuer, signer: Signer, change: str) -> None:
    document = (await issuer.certificate(await issuer.erased())).json()
    trusted = verify_certificate.keys_in(canonical(signer.jwks))
    assert verify_certificate.check(json.dumps(document, indent=3).encode(), trusted).verdict is Verdict.VALID
    EVERY[change](document["certificate"])
    assert verify_certificate.check(canonical(document), trusted).verdict is Verdict.TAMPERED


class Text(HTMLParser):
    """The text of a page; remembers its tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("label", ["SUPPRESSED", "ATTENUATED", "REMOVED-EVIDENCE"])
async def test_reports_say_the_label_and_what_was_measured(issuer: Issuer, label: str) -> None:
    id_ = await issuer.desk.guarded(f"{MARKER} Marlin", labels={"case": "<script>"})
    before = (await issuer.http.get(f"{PATH}/{id_}/report")).json()
    assert (before["label"], before["figures"]) == (None, []) and "suppression, not erasure" in before["summary"]
    issuer.desk.worker.fail(issuer.desk.worker.begin(id_), "verification_failed: <b>", {**FIGURES, "label": label})
    told = await issuer.http.get(f"{PATH}/{id_}/report")
    assert told.json()["label"] == label and told.json()["certificate"] is None
    assert told.json()["summary"].startswith("Not erased (failed): suppression by the guard")
    assert {"facts_told", "ks_statistic", "lens_worst"} <= {figure["name"] for figure in told.json()["figures"]}
    accept = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    page = await issuer.http.get(f"{PATH}/{id_}/report", headers=accept)
    assert page.headers["content-type"].startswith("text/html") and "default-src 'none'" in str(page.headers)
    read = Text(page.text)
    assert not {"script", "b", "img", "link"} & read.tags and "<b>" in read.text
    assert label in read.text and "0.09503" in read.text
    for text in (told.text, page.text):
        assert MARKER not in text


async def test_the_report_of_an_erased_and_a_withdrawn_request(issuer: Issuer) -> None:
    id_ = await issuer.erased()
    report = (await issuer.http.get(f"{PATH}/{id_}/report")).json()
    assert report["certificate"] == f"{PATH}/{id_}/certificate"
    assert report["measured_on"] == report["composite"] and report["passed"] is True
    assert "no evidence of the knowledge was found" in report["summary"]
    assert (await issuer.http.get(report["certificate"])).status_code == 200
    await issuer.desk.store.withdraw(id_)
    report = (await issuer.http.get(f"{PATH}/{id_}/report")).json()
    assert report["certificate"] is None and "not promised" in report["summary"]


async def test_links_lead_to_what_they_say(issuer: Issuer) -> None:
    id_ = await issuer.erased()
    links = (await issuer.desk.store.get(id_)).links
    for link in (links.report, links.certificate, links.audit):
        assert (await issuer.http.get(link)).status_code == 200
    entries = [json.loads(line) for line in (await issuer.http.get(links.audit)).text.splitlines()]
    assert {entry["request"] for entry in entries} == {id_} and entries[-1]["to"] == "erased"


async def test_a_key_from_settings(tmp_path: Path) -> None:
    signer = Signer.kept_in(tmp_path / "key.pem")
    public = serialization.load_pem_private_key((tmp_path / "key.pem").read_bytes(), None).public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    content = {"version": verify_certificate.VERSIONS["audit_head"], "issued_at": datetime.now(UTC).isoformat()}
    document = signer.signed("audit_head", content)
    for trusted in (pem, canonical(signer.jwks), canonical(signer.jwks["keys"][0])):
        assert verify_certificate.check(document, verify_certificate.keys_in(trusted)).verdict is Verdict.VALID


async def test_what_is_signed_waits_for_the_disk(issuer: Issuer, log: AuditLog, raw: redis.Redis) -> None:
    """Where confirmation is asked for and the server cannot give it (too old, or not writing), nothing is signed."""
    id_ = await issuer.erased()
    assert (await issuer.certificate(id_)).status_code == 200
    log._waitaof = True
    raw.config_set("appendonly", "no")
    try:
        for path in (f"{PATH}/{id_}/certificate", "/v1/audit/head"):
            refused = await issuer.http.get(path)
            assert (refused.status_code, refused.json()["code"]) == (503, "store_unavailable"), path
    finally:
        raw.config_set("appendonly", "yes")
    assert (await issuer.http.get(f"{PATH}/{id_}/report")).status_code == 200, "that is no proof"
