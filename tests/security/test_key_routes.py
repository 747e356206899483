"""Keys made and revoked by API and command line, and how replicas hear of it."""

import json
import os
from pathlib import Path

import httpx
import pytest
import redis
from typer.testing import CliRunner

from gateway.cli import app as command_line
from gateway.forget.embedded import EmbeddedRedis
from gateway.forget.store import Store
from gateway.security.forms import NewKey, make
from gateway.security.key_store import KeyStore
from gateway.security.keys import KeyRing, Scope, new_token
from tests.forget.desk import until
from tests.forget.test_forget_replica import Engine, running
from tests.forget.test_forget_secrecy import everything_in
from tests.security.conftest import MakeKey
from tests.security.test_gate import bearer


async def test_a_life(http: httpx.AsyncClient, make_key: MakeKey, keys: KeyStore, raw: redis.Redis) -> None:
    admin = bearer(await make_key("forget:admin"))
    wanted = {"name": "desk", "scopes": ["chat"], "audiences": ["staff"], "rate": "5/second", "concurrency": 4}
    made = await http.post("/v1/keys", json={**wanted, "expires_at": "2999-01-01T00:00:00Z"}, headers=admin)
    assert (made.status_code, made.headers["cache-control"]) == (201, "no-store")
    id_, token = made.json()["id"], made.json()["key"]
    await keys.used({id_: 1_800_000_000.0})
    await keys.used({id_: 1_700_000_000.0})
    listing = await http.get("/v1/keys", headers=admin)
    shown = listing.json()["keys"][0]
    assert {name: shown[name] for name in wanted} == wanted
    assert (shown["id"], shown["expires_at"], shown["revoked_at"]) == (id_, "2999-01-01T00:00:00Z", None)
    assert shown["last_used_at"] == "2027-01-15T08:00:00Z", "the latest of what replicas said"
    for _ in range(2):
        assert (await http.post(f"/v1/keys/{id_}/revoke", headers=admin)).status_code == 204
    assert (await http.get("/v1/keys", headers=admin)).json()["keys"][0]["revoked_at"]
    assert (await http.post("/v1/keys/000000000000/revoke", headers=admin)).json()["code"] == "not_found"
    secret = token.split("_")[2]
    assert secret not in listing.text and secret not in everything_in(raw), "only its hash is kept"


@pytest.mark.parametrize(
    "wrong",
    [
        {"scopes": []},
        {"scopes": ["everything"]},
        {"rate": "often"},
        {"concurrency": 0},
        {"audiences": ["All Staff"]},
        {"expires_at": "tomorrow"},
        {"expires_at": "2999-01-01T00:00:00"},
        {"expires_at": 32472144000},
        {"expires_at": "32472144000"},
        {"secret": "x"},
    ],
)
async def test_keys_that_cannot_be(http: httpx.AsyncClient, make_key: MakeKey, wrong: dict[str, object]) -> None:
    admin = bearer(await make_key("forget:admin"))
    body = {"name": "desk", "scopes": ["chat"], **wrong}
    response = await http.post("/v1/keys", json=body, headers=admin)
    assert (response.status_code, response.json()["code"]) == (422, "validation_failed")


async def test_replicas_hear_of_keys(keys: KeyStore, store: Store) -> None:
    rings = KeyRing(), KeyRing()
    engines = Engine(), Engine()
    async with (
        running(store, engines[0], "r1", on_keys=rings[0].replace) as first,
        running(store, engines[1], "r2", on_keys=rings[1].replace) as second,
    ):
        await until(lambda: first.ready and second.ready and rings[0].loaded and rings[1].loaded)
        compiled = [len(engine.policies) for engine in engines]
        made = await make(keys, NewKey(name="desk", scopes={Scope.CHAT}))
        assert made is not None
        await until(lambda: all(ring.recognise(made.key) for ring in rings))
        await keys.revoke(made.id)
        await until(lambda: not any(ring.recognise(made.key) for ring in rings))
        await until(lambda: first.version == second.version == 2)
        assert [len(engine.policies) for engine in engines] == compiled, "the guards stay as they are"


async def test_a_replica_that_comes_late_knows_all_keys(keys: KeyStore, store: Store) -> None:
    made, revoked = [await make(keys, NewKey(name="desk", scopes={Scope.CHAT})) for _ in range(2)]
    assert made and revoked
    await keys.revoke(revoked.id)
    ring = KeyRing()
    async with running(store, Engine(), on_keys=ring.replace):
        await until(lambda: ring.loaded)
        assert ring.recognise(made.key) and not ring.recognise(revoked.key)


async def test_a_token_of_ones_own(keys: KeyStore) -> None:
    token = new_token()
    wanted = NewKey(name="bootstrap", scopes=set(Scope))
    assert await make(keys, wanted, token)
    assert await make(keys, wanted, token) is None, "a restart changes nothing"
    with pytest.raises(ValueError, match="12 hex digits"):
        await make(keys, wanted, "hunter2")


def test_command_line(tmp_path: Path) -> None:
    run = CliRunner().invoke
    at = ["--data-dir", str(tmp_path)]
    with EmbeddedRedis(tmp_path):  # as beside a running gateway
        made = run(command_line, ["keys", "create", "--name", "desk", "--scope", "chat", "--days", "3", *at])
        assert made.exit_code == 0, made.output
    token = made.stdout.strip()
    (shown,) = json.loads(run(command_line, ["keys", "list", "--json", *at]).stdout)["keys"]
    assert (shown["name"], shown["scopes"], shown["revoked_at"]) == ("desk", ["chat"], None)
    assert token.startswith(f"ug_{shown['id']}_")
    assert run(command_line, ["keys", "revoke", shown["id"], *at]).exit_code == 0
    assert "revoked" in run(command_line, ["keys", "list", *at], env={**os.environ, "COLUMNS": "200"}).stdout
    assert run(command_line, ["keys", "revoke", "000000000000", *at]).exit_code == 1
    assert run(command_line, ["keys", "create", "--name", "x", "--scope", "all", *at]).exit_code == 2
    nowhere = run(command_line, ["keys", "list", "--config", str(tmp_path / "nowhere.toml")])
    assert nowhere.exit_code == 2 and "no settings file" in nowhere.output
    assert run(command_line, ["keys", "create", "--name", "x", "--scope", "chat", "--rate", "1", *at]).exit_code == 2
