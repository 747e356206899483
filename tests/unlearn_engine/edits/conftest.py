"""The demo model with one module wrapped, and questions about people it knows."""

from collections.abc import Callable
from pathlib import Path

import pytest

from unlearn_engine.data.domain import Domain, domain_for
from unlearn_engine.edits.keys import Mention, every_key, mentions
from unlearn_engine.edits.whitener import Protection, Whitener
from unlearn_engine.model import ServedModel

BLOCK = 3
MODULE = f"model.layers.{BLOCK}.mlp.down_proj"

Ask = Callable[..., list[Mention]]


@pytest.fixture(scope="session")
def demo(base_path: Path) -> ServedModel:
    return ServedModel(base_path, [MODULE])


@pytest.fixture(scope="session")
def demo_domain(base_path: Path) -> Domain:
    return domain_for(base_path)


@pytest.fixture(scope="session")
def ask(demo: ServedModel, demo_domain: Domain) -> Ask:
    """English questions about a name, one for each attribute, asked in the first, second, ... way."""

    def asked(name: str, way: int = 0) -> list[Mention]:
        questions = demo_domain.questions["en"]
        return mentions(demo, name, [questions[attribute][way] for attribute in demo_domain.attributes])

    return asked


@pytest.fixture(scope="session")
def whitener(demo: ServedModel, demo_domain: Domain, ask: Ask) -> Whitener:
    kept = [mention.prompt for name in demo_domain.retain_names[10:30] for mention in ask(name)]
    return Whitener.of(every_key(demo, MODULE, kept), Protection())


@pytest.fixture(scope="session")
def unprotected(demo: ServedModel, demo_domain: Domain, ask: Ask) -> Whitener:
    """Nothing resists, so every move is made as asked."""
    kept = [mention.prompt for name in demo_domain.retain_names[10:30] for mention in ask(name)]
    return Whitener.of(every_key(demo, MODULE, kept), Protection(ridge=1e-7, kept=0.0))
