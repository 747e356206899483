"""The command line where no gateway runs: settings, the demo's people, errors that say what to do."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli import app
from gateway.client import GatewayError
from gateway.forget.errors import EmbeddedRedisError
from unlearn_engine.demo.vocabulary import LANGUAGES

runner = CliRunner()


def test_print_config_shows_command_line_over_environment_over_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "gateway.toml"
    config.write_text('port = 1\nhost = "::1"\nworker_threads = 3\n')
    monkeypatch.setenv("UNLEARN_HOST", "0.0.0.0")  # noqa: S104 nothing is bound
    monkeypatch.setenv("UNLEARN_PORT", "2")
    result = runner.invoke(app, ["serve", "--config", str(config), "--port", "3", "--print-config"])
    assert result.exit_code == 0
    settings = json.loads(result.stdout)
    assert (settings["port"], settings["host"], settings["worker_threads"]) == (3, "0.0.0.0", 3)  # noqa: S104


def test_unknown_key_in_the_file_is_an_error(tmp_path: Path) -> None:
    config = tmp_path / "gateway.toml"
    config.write_text("prot = 1\n")
    result = runner.invoke(app, ["serve", "--config", str(config), "--print-config"])
    assert result.exit_code == 2
    assert "prot" in result.stderr


def test_option_out_of_range_is_named() -> None:
    result = runner.invoke(app, ["serve", "--port", "70000", "--print-config"])
    assert result.exit_code == 2
    assert "port" in result.stderr


def test_demo_people_are_complete() -> None:
    result = runner.invoke(app, ["demo", "people", "--json"])
    people = json.loads(result.stdout)["people"]
    names = {person["name"] for person in people}
    assert len(names) == 80
    for person in people:
        assert set(person) == {"name", "aliases", "mentor", "questions"}
        assert person["mentor"] in names - {person["name"]}
        assert set(person["questions"]) == set(LANGUAGES)
        for entries in person["questions"].values():
            assert all(set(entry) == {"question", "answer", "attribute"} for entry in entries)


def test_no_gateway_is_told_with_what_to_do() -> None:
    result = runner.invoke(app, ["requests", "--url", "http://127.0.0.1:9"])
    assert isinstance(result.exception, GatewayError)
    assert "unlearn-gateway serve" in str(result.exception)


@pytest.mark.parametrize("command", [["keys", "list"], ["keys", "revoke", "0123"], ["rotate-key"]])
def test_a_folder_without_a_store_is_told_and_left_alone(tmp_path: Path, command: list[str]) -> None:
    result = runner.invoke(app, [*command, "--data-dir", str(tmp_path / "elsewhere")])
    assert isinstance(result.exception, EmbeddedRedisError)
    assert "--data-dir" in str(result.exception)
    assert not (tmp_path / "elsewhere").exists()


def test_folder_without_a_model_is_refused_at_once(tmp_path: Path) -> None:
    result = runner.invoke(app, ["serve", "--model", str(tmp_path), "--data-dir", str(tmp_path / "data")])
    assert result.exit_code == 1
    assert "config.json" in result.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "gateway.example"])  # noqa: S104
def test_no_auth_only_on_loopback(host: str) -> None:
    result = runner.invoke(app, ["serve", "--no-auth", "--host", host, "--print-config"])
    assert result.exit_code == 2 and "127.0.0.1 only" in result.output
    assert runner.invoke(app, ["serve", "--host", host, "--print-config"]).exit_code == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_no_auth_on_loopback(host: str) -> None:
    result = runner.invoke(app, ["serve", "--no-auth", "--host", host, "--print-config"])
    assert result.exit_code == 0 and json.loads(result.stdout)["auth"] is False


def test_a_bootstrap_key_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNLEARN_BOOTSTRAP_KEY", "ug_secret")
    shown = runner.invoke(app, ["serve", "--print-config"]).stdout
    assert "bootstrap_key" in shown and "ug_secret" not in shown
