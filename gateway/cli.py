"""The command line: start the gateway or a worker, and talk to a running gateway."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

from gateway.client import GatewayClient, GatewayError
from gateway.command_settings import read_settings
from gateway.forget.errors import ForgetError
from gateway.key_commands import app as keys_app
from gateway.key_commands import rotate_key
from gateway.proof_commands import COMMANDS as PROOF

app = typer.Typer(name="unlearn-gateway", help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False)
demo_app = typer.Typer(help="The small invented world that the demo model knows.", no_args_is_help=True)
app.add_typer(demo_app, name="demo")
app.add_typer(keys_app, name="keys")
app.command()(rotate_key)
for proof in PROOF:
    app.command()(proof)
out = Console()
err = Console(stderr=True)

Url = Annotated[str, typer.Option(envvar="UNLEARN_URL", help="where the gateway listens")]
Key = Annotated[str | None, typer.Option(envvar="UNLEARN_API_KEY", help="the gateway's API key for you")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON, for scripts")]
RequestId = Annotated[str, typer.Argument(help="id of the forget request")]
Config = Annotated[Path | None, typer.Option(help="TOML file with any of these settings")]
Model = Annotated[str | None, typer.Option(help="path of a model folder, or a hub id; default: the demo model")]
DataDir = Annotated[Path | None, typer.Option(help="adapters, caches and the embedded Redis live here [data]")]
RedisUrl = Annotated[str | None, typer.Option(help="Redis >= 6.2; default: an embedded server")]
Threads = Annotated[int | None, typer.Option(help="torch threads of the erasure worker [2]")]
Decision = Literal["approve", "reject", "hold", "release"]
LOCAL = "http://127.0.0.1:8000"


def main() -> None:
    """Entry point: a known error becomes one line on stderr and exit status 1."""
    try:
        app(standalone_mode=True)
    except (GatewayError, ForgetError) as error:
        err.print(f"[red]error:[/] {error}", highlight=False)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


@app.command()
def serve(
    vllm_args: Annotated[list[str] | None, typer.Argument(help="after --, any flag of vLLM's own server")] = None,
    model: Model = None,
    served_model_name: Annotated[str | None, typer.Option(help="name in the OpenAI API")] = None,
    host: Annotated[str | None, typer.Option(help="address to listen on [127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="port to listen on [8000]")] = None,
    data_dir: DataDir = None,
    redis_url: RedisUrl = None,
    worker: Annotated[bool | None, typer.Option("--worker/--no-worker", help="erasure worker beside it [yes]")] = None,
    worker_threads: Threads = None,
    auth: Annotated[
        bool | None, typer.Option("--auth/--no-auth", help="ask for API keys [yes]; without, only on loopback")
    ] = None,
    allow_guards_off: Annotated[
        bool | None,
        typer.Option(
            "--allow-guards-off", help="honour X-Unlearn-Guards: off | base (measurement: bypasses the guards)"
        ),
    ] = None,
    verbose: Annotated[bool | None, typer.Option("--verbose", help="show the engine's own log")] = None,
    config: Config = None,
    print_config: Annotated[bool, typer.Option(help="print the settings in force and stop")] = False,
) -> None:
    """Host a model behind the guards, with the forget-request API and an erasure worker."""
    settings = read_settings(
        config,
        model=model,
        served_model_name=served_model_name,
        host=host,
        port=port,
        data_dir=data_dir,
        redis_url=redis_url,
        worker=worker,
        worker_threads=worker_threads,
        auth=auth,
        allow_guards_off=allow_guards_off,
        verbose=verbose,
    )
    if print_config:
        print(settings.model_dump_json(indent=2))
        return
    stray = next((value for value in vllm_args or [] if not value.startswith("-")), None)
    if vllm_args and not vllm_args[0].startswith("-"):
        raise typer.BadParameter(f"'{stray}' is no option; flags for vLLM come after '--'")
    from gateway.app import run

    run(settings, tuple(vllm_args or ()), err)


@app.command()
def worker(
    model: Model = None,
    data_dir: DataDir = None,
    redis_url: RedisUrl = None,
    worker_threads: Threads = None,
    config: Config = None,
    parent: Annotated[int | None, typer.Option(hidden=True, help="the gateway with which this worker ends")] = None,
) -> None:
    """Run an erasure worker alone (more of them, or on another machine with the same data directory)."""
    settings = read_settings(config, model=model, data_dir=data_dir, redis_url=redis_url, worker_threads=worker_threads)
    from gateway.worker_loop import leave_with_parent, work

    if parent is not None:
        leave_with_parent(parent)
    work(settings)


@app.command()
def forget(
    name: Annotated[str, typer.Argument(help="who or what is to be forgotten")],
    alias: Annotated[list[str] | None, typer.Option(help="another name of the same; may be repeated")] = None,
    kind: Annotated[str, typer.Option(help="person, work, secret, topic or skill")] = "person",
    response: Annotated[str, typer.Option(help="refuse, rewrite, ignorance, clause or instruct")] = "ignorance",
    in_context: Annotated[str, typer.Option(help="allow: answers may repeat what the prompt states")] = "block",
    audience: Annotated[
        list[str] | None, typer.Option(help="withhold it from these API keys only (with --guard-only); may be repeated")
    ] = None,
    guard_only: Annotated[bool, typer.Option("--guard-only", help="leave the weights alone")] = False,
    pattern: Annotated[
        bool, typer.Option("--pattern", help="NAME is a regular expression: what secrets look like")
    ] = False,
    callback: Annotated[list[str] | None, typer.Option(help="a URL that is told of changes; may be repeated")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what it would guard; nothing is stored")] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="follow it until it is erased (or only guarded, or failed)")
    ] = False,
    url: Url = LOCAL,
    api_key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Ask the model to forget someone or something."""
    kind = "secret" if pattern else kind
    key = "pattern" if pattern else {"work": "title", "secret": "value"}.get(kind, "name")
    body = {
        "kind": kind,
        "subject": {key: name, "aliases": alias or []},
        "response": response,
        "in_context": in_context,
        "erase": "guard_only" if guard_only else "auto",
        "audiences": audience or [],
        "status_callback_urls": callback or [],
    }
    with GatewayClient(url, api_key) as client:
        if dry_run:
            _show_dry_run(client.dry_run(body), as_json)
            return
        request = client.submit(body)
        if wait:
            request = client.follow(request["id"], None if as_json else err)
    _show(request, as_json)
    if wait and request["state"] == "failed":
        raise typer.Exit(1)


@app.command()
def requests(
    state: Annotated[str | None, typer.Option(help="only those in this state")] = None,
    url: Url = LOCAL,
    api_key: Key = None,
    as_json: AsJson = False,
) -> None:
    """List the forget requests (never the subjects)."""
    with GatewayClient(url, api_key) as client:
        found = list(client.requests(state))
    _show_all(found, as_json)


@app.command()
def find(
    name: Annotated[str, typer.Argument(help="a name, alias or identifier of the subject")],
    url: Url = LOCAL,
    api_key: Key = None,
    as_json: AsJson = False,
) -> None:
    """List the forget requests about somebody. Needs the scope forget:reveal; the audit log tells of it."""
    with GatewayClient(url, api_key) as client:
        found = client.find(name)
    _show_all(found, as_json)


@app.command()
def show(request_id: RequestId, url: Url = LOCAL, api_key: Key = None, as_json: AsJson = False) -> None:
    """Show one forget request: its state, protection, erasure and verification."""
    with GatewayClient(url, api_key) as client:
        _show(client.request(request_id), as_json)


@app.command()
def withdraw(
    request_id: RequestId,
    wait: Annotated[bool, typer.Option("--wait", help="follow it until the weights are back as well")] = False,
    url: Url = LOCAL,
    api_key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Take a forget request back: the model answers again as before."""
    with GatewayClient(url, api_key) as client:
        request = client.act(request_id, "withdraw")
        if wait:
            request = client.follow(request_id, None if as_json else err)
    _show(request, as_json)


@app.command()
def retry(request_id: RequestId, url: Url = LOCAL, api_key: Key = None, as_json: AsJson = False) -> None:
    """Try a failed erasure once more (the guard was on all the time)."""
    with GatewayClient(url, api_key) as client:
        _show(client.act(request_id, "retry"), as_json)


@app.command()
def review(
    request_id: RequestId,
    decision: Annotated[Decision, typer.Argument(help="approve, reject, hold or release")],
    url: Url = LOCAL,
    api_key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Decide about a forget request: approve or reject what awaits review, put on hold, release."""
    with GatewayClient(url, api_key) as client:
        _show(client.act(request_id, decision), as_json)


@demo_app.command()
def people(as_json: AsJson = False) -> None:
    """The invented people of the demo model: names, nicknames, mentors, and questions with their answers."""
    from unlearn_engine.demo.people import people_json
    from unlearn_engine.demo.world import build_world

    known: Any = people_json(build_world())
    if as_json:
        print(json.dumps(known, ensure_ascii=False, indent=2))
        return
    table = Table("name", "nickname", "mentor", "one question", "answer")
    for person in known["people"]:
        first = person["questions"]["en"][0]
        table.add_row(
            person["name"], ", ".join(person["aliases"]), person["mentor"], first["question"], first["answer"]
        )
    out.print(table)


def _show_dry_run(result: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(result, indent=2))
        return
    table = Table("would guard", "matched", "of", "rate", "at most (95 %)")
    for what, counts in (("prompts of late", result["traffic"]), ("everyday text", result["benign"])):
        rate = "" if counts["rate"] is None else f"{counts['rate']:.2%}"
        bound = f"{counts['rate_upper_bound']:.2%}"
        table.add_row(what, str(counts["matched"]), str(counts["examined"]), rate, bound)
    active = result["active_targets"]
    table.add_row("active targets that collide", str(active["colliding"]), str(active["compared"]), "", "")
    out.print(table)
    for warning in result["warnings"]:
        out.print(f"[yellow]{warning['code']}:[/] {warning['detail']}", highlight=False)


def _show_all(found: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print(json.dumps({"requests": found}, indent=2))
        return
    table = Table("id", "kind", "state", "protection", "created")
    for request in found:
        table.add_row(
            request["id"], request["kind"], request["state"], request["protection"]["level"], request["created_at"]
        )
    out.print(table)


def _show(request: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(request, indent=2))
    else:
        out.print_json(data=request)
