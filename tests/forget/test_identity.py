"""Who a replica is: the id of its folder, whatever became of the process before."""

import threading
from pathlib import Path

import pytest

from gateway.forget import identity
from gateway.forget.identity import replica_identity


def test_the_same_after_a_restart(tmp_path: Path) -> None:
    with replica_identity(tmp_path / "data") as first:
        pass
    with replica_identity(tmp_path / "data") as second:
        assert first == second


def test_of_a_process_that_is_still_dying(tmp_path: Path) -> None:
    """The threads of a killed process let go of its files one after another."""
    dying = replica_identity(tmp_path)
    kept = dying.__enter__()
    threading.Timer(0.3, lambda: dying.__exit__(None, None, None)).start()
    with replica_identity(tmp_path) as own:
        assert own == kept


def test_of_a_second_process_on_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "DYING_S", 0.1)
    with replica_identity(tmp_path) as first, replica_identity(tmp_path) as second:
        assert first != second
    with replica_identity(tmp_path) as third:
        assert third == first
