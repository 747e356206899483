"""Facts that the demo model knows, with their subjects' names marked."""

import random

import pytest

from unlearn_engine.data.domain import Domain
from unlearn_engine.layers import LayerMap
from unlearn_engine.model import Row, ServedModel
from unlearn_engine.selectors import Calibration, Told
from unlearn_engine.selectors.tracing import subject_span


@pytest.fixture(scope="session")
def told(model: ServedModel, domain: Domain) -> list[Told]:
    rng, facts = random.Random(0), []
    for name in domain.retain_names[:8]:
        template = domain.questions["en"][rng.choice(domain.attributes)][0]
        prompt, twin = (model.question(template.format(name=who)) for who in (name, domain.unseen_name(rng)))
        facts.append(Told(Row(prompt, model.answer(model.answers([prompt])[0])), subject_span(prompt, twin)))
    return facts


@pytest.fixture(scope="session")
def calibration(model: ServedModel, layer_map: LayerMap, told: list[Told]) -> Calibration:
    return Calibration(model, layer_map, told)
