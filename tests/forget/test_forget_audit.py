"""The audit log: every change leaves an entry, and no entry can be changed without leaving a trace."""

import asyncio
import hashlib
import itertools
import json
import multiprocessing
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest
import redis
from fastapi import FastAPI
from typer.testing import CliRunner

from gateway.actor import acting
from gateway.cli import app as cli
from gateway.forget.audit_log import AuditLog
from gateway.forget.audit_routes import EXAMPLE, JWKS_PATH, PATH
from gateway.forget.audit_routes import router as audit_router
from gateway.forget.model import State
from gateway.forget.signing import Signer
from gateway.forget.store import Store
from gateway.security.forms import NewKey, make
from gateway.security.key_store import KeyStore
from gateway.verify_audit import check
from gateway.verify_certificate import Verdict, canonical, keys_in
from gateway.verify_certificate import check as check_document
from tests.forget.desk import SEALER, Desk


@pytest.fixture
async def auditor(log: AuditLog, signer: Signer) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    app.include_router(audit_router(log, signer))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        yield client


async def entries_of(log: AuditLog, request: str = "") -> list[dict[str, object]]:
    return [json.loads(entry) for entry in (await log.page(limit=10_000, request=request)).entries]


async def a_life(desk: Desk) -> str:
    """A request from received to withdrawn, with a failure on the way."""
    with acting("5f0c5f0c5f0c"):
        id_ = await desk.guarded()
        desk.worker.fail(desk.worker.begin(id_), "nothing_known: the model shows no knowledge")
        await desk.store.retry(id_)
        desk.worker.begin(id_)
        await desk.store.withdraw(id_)
    await desk.acknowledge()
    assert await desk.state(id_) is State.WITHDRAWN
    return id_


async def test_every_transition_leaves_an_entry(desk: Desk, log: AuditLog) -> None:
    id_ = await a_life(desk)
    told = [(entry["from"], entry["to"], entry["actor"], entry["reason"]) for entry in await entries_of(log)]
    key = "5f0c5f0c5f0c"
    assert told == [
        ("", "received", key, ""),
        ("received", "guarded", "replica:r1", ""),
        ("guarded", "erasing", "worker", ""),
        ("erasing", "failed", "worker", "nothing_known"),
        ("failed", "guarded", key, ""),
        ("guarded", "erasing", "worker", ""),
        ("erasing", "withdrawing", key, ""),
        ("withdrawing", "withdrawn", "replica:r1", ""),
    ]
    history = [(entry.state, entry.at.timestamp()) for entry in (await desk.store.get(id_)).state_history]
    assert [(entry["to"], int(entry["time"]) / 1000) for entry in await entries_of(log, id_)] == history  # type: ignore[call-overload]


async def test_administrative_acts_leave_an_entry(desk: Desk, log: AuditLog, redis_url: str) -> None:
    keys = KeyStore.from_url(redis_url)
    made = await make(keys, NewKey(name="Ivo Marlin", scopes={"chat"}))
    assert made is not None
    await keys.revoke(made.id)
    await keys.revoke(made.id)
    await keys.aclose()
    await desk.erased()
    entries = await entries_of(log)
    assert [(entry["act"], entry["object"]) for entry in entries[:2]] == [
        ("key_created", made.id),
        ("key_revoked", made.id),
    ]
    (published,) = [entry for entry in entries if entry["act"] == "published"]
    composite = (await desk.store.policy()).adapter
    assert composite is not None and published["object"] == composite.digest
    assert made.key.rpartition("_")[2] not in json.dumps(entries) and "Marlin" not in json.dumps(entries)


async def test_entries_are_canonical_and_chained(desk: Desk, log: AuditLog) -> None:
    with acting('key"\\\n{}é'):
        await a_life(desk)
        await desk.submit("Ada Quist")
    lines = (await log.page()).entries
    for sequence, line in enumerate(lines, start=1):
        entry = json.loads(line)
        assert canonical(entry).decode() == line and entry.keys() == EXAMPLE.keys()
        assert entry["sequence"] == sequence
    found = check(lines)
    assert found.problem is None and (found.first, found.last) == (1, len(lines))
    head = await log.head()
    assert head.digest == hashlib.sha256(lines[-1].encode()).hexdigest() == found.digests[head.sequence]


async def test_an_act_that_is_refused_leaves_none(desk: Desk, log: AuditLog) -> None:
    id_ = await desk.guarded()
    before = await log.head()
    for refused in (desk.store.retry(id_), desk.store.withdraw(id_, revisions="1")):
        with pytest.raises(Exception, match="the request"):
            await refused
    assert await log.head() == before


def submit_many(connected: Callable[[], Store], count: int) -> None:
    async def run() -> None:
        store = connected()
        desk = Desk(store, None)  # type: ignore[arg-type]
        for _ in range(count):
            await desk.store.withdraw(await desk.submit())
        await store.aclose()

    asyncio.run(run())


async def test_one_chain_of_many_gateways(desk: Desk, log: AuditLog, redis_url: str) -> None:
    """Processes of their own, as replicas are."""
    context = multiprocessing.get_context("fork")
    writers = [
        context.Process(target=submit_many, args=(lambda: Store.from_url(redis_url, SEALER), 20)) for _ in range(3)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        await asyncio.to_thread(writer.join, 60)
        assert writer.exitcode == 0
    found = check((await log.page(limit=5000)).entries)
    assert found.problem is None and found.last == 3 * 20 * 2


CHANGES: dict[str, Callable[[list[str]], list[str]]] = {
    "a member changed": lambda lines: [*lines[:2], lines[2].replace('"guarded"', '"received"'), *lines[3:]],
    "an entry left out": lambda lines: [*lines[:2], *lines[3:]],
    "two entries exchanged": lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]],
    "an entry twice": lambda lines: [*lines[:3], lines[2], *lines[3:]],
    "spaces": lambda lines: [*lines[:2], lines[2].replace(":", ": "), *lines[3:]],
    "a member twice": lambda lines: [*lines[:2], lines[2].replace("{", '{"to":"guarded",'), *lines[3:]],
    "no JSON": lambda lines: [*lines[:2], lines[2][:-1], *lines[3:]],
    "something else": lambda lines: [*lines[:2], "[]", *lines[3:]],
    "deep": lambda lines: ["[" * 100_000, *lines],
    "the first, of another log": lambda lines: [lines[0].replace('"previous":"0', '"previous":"1'), *lines[1:]],
}


@pytest.mark.parametrize("change", CHANGES)
async def test_changes_are_found(desk: Desk, log: AuditLog, change: str) -> None:
    await a_life(desk)
    lines = list((await log.page()).entries)
    changed = CHANGES[change](lines)
    assert changed != lines and check(lines).problem is None
    assert check(changed).problem is not None


def rewritten(lines: list[str], to: str) -> list[str]:
    """A log whose chain was computed anew, with another end."""
    entries = [json.loads(line) for line in lines]
    entries[-1]["to"] = to
    for before, after in itertools.pairwise(entries):
        after["previous"] = hashlib.sha256(canonical(before)).hexdigest()
    return [canonical(entry).decode() for entry in entries]


async def test_a_signed_head_finds_what_the_chain_cannot(desk: Desk, log: AuditLog, auditor: httpx.AsyncClient) -> None:
    await a_life(desk)
    signed = (await auditor.get(f"{PATH}/head")).content
    jwks = (await auditor.get(JWKS_PATH)).content
    await desk.submit("Ada Quist")
    lines = list((await log.page()).entries)
    finding = check_document(signed, keys_in(jwks))
    assert finding.verdict is Verdict.VALID and finding.content is not None
    head = finding.content["audit"]
    assert head["sequence"] == len(lines) - 1
    assert check(lines).lacks(head) is None
    cut, anew = lines[:-2], [*rewritten(lines[:-1], "erased")]
    for forged in (cut, anew, lines[-1:]):
        found = check(forged)
        assert found.problem is None and found.lacks(head) is not None


async def test_pages(desk: Desk, auditor: httpx.AsyncClient, log: AuditLog) -> None:
    first = await a_life(desk)
    await desk.submit("Ada Quist")
    await desk.store.withdraw(await desk.submit("Nell Korin"))
    url, lines, pages = f"{PATH}?limit=4", [], 0
    while url:
        page = await auditor.get(url)
        assert page.headers["content-type"].startswith("application/jsonl")
        lines += page.text.splitlines()
        url, pages = page.links.get("next", {}).get("url", ""), pages + 1
    assert pages == 3 and tuple(lines) == (await log.page()).entries
    answer = await auditor.get(PATH, params={"request": first, "limit": 3, "after": 2})
    assert [json.loads(line)["sequence"] for line in answer.text.splitlines()] == [3, 4, 5]
    assert "next" in answer.links
    for wrong in ({"after": -1}, {"limit": 0}, {"request": "Ivo Marlin"}):
        answer = await auditor.get(PATH, params=wrong)
        assert answer.status_code == 422 and "Marlin" not in answer.text


async def test_entries_outlive_the_record(desk: Desk, log: AuditLog, raw: redis.Redis) -> None:
    id_ = await a_life(desk)
    before = await entries_of(log, id_)
    assert raw.delete(f"{{unlearn}}:request:{id_}") == 1
    assert await entries_of(log, id_) == before != []


def test_the_signing_key_is_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "data" / "signing-key.pem"
    first, again = Signer.kept_in(path), Signer.kept_in(path)
    assert first.key_id == again.key_id
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in path.parent.iterdir()] == [path.name]


async def test_the_command_checks_files(desk: Desk, log: AuditLog, auditor: httpx.AsyncClient, tmp_path: Path) -> None:
    await a_life(desk)
    head, jwks, file, cut = (tmp_path / name for name in ("head.json", "jwks.json", "audit.jsonl", "cut.jsonl"))
    head.write_bytes((await auditor.get(f"{PATH}/head")).content)
    jwks.write_bytes((await auditor.get(JWKS_PATH)).content)
    text = (await auditor.get(PATH)).text
    file.write_text(text)
    cut.write_text("".join(text.splitlines(keepends=True)[:-1]))
    signed = ["--anchor", str(head), "--public-key", str(jwks)]
    for arguments, status, says in (
        ([str(file)], 0, "WHOLE: entries 1 to 8"),
        ([str(file), *signed], 0, "WHOLE"),
        ([str(cut)], 0, "WHOLE: entries 1 to 7"),
        ([str(cut), *signed], 1, "BROKEN"),
        ([str(jwks)], 1, "BROKEN: line 1"),
        ([str(file), "--anchor", str(jwks)], 1, "MALFORMED"),
    ):
        result = CliRunner().invoke(cli, ["verify-audit", *arguments])
        assert (result.exit_code, says in result.output) == (status, True), result.output
    verified = CliRunner().invoke(cli, ["verify-certificate", str(head), "--public-key", str(jwks)])
    assert verified.exit_code == Verdict.VALID and verified.output.startswith("VALID")
