"""Causal tracing: nothing to recover without noise, all of it with every MLP, and a window in between."""

import pytest
import torch

from unlearn_engine.model import ServedModel
from unlearn_engine.selectors import Calibration, Told
from unlearn_engine.selectors.tracing import CausalTrace, probability, subject_span, trace


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_the_name_is_what_differs() -> None:
    assert subject_span([1, 2, 7, 8, 3], [1, 2, 9, 9, 9, 3]) == range(2, 4)
    assert subject_span([1, 7, 3], [1, 3]) == range(1, 2)
    assert len(subject_span([1, 2], [1, 2])) == 0


def test_the_answers_are_known_before_the_noise(model: ServedModel, told: list[Told]) -> None:
    assert probability(model, told) > 0.8
    assert all(len(entry.subject) >= 2 for entry in told)


def test_without_noise_there_is_no_effect(model: ServedModel, told: list[Told]) -> None:
    assert trace(model, told, 3, 1, 0.0, generator()) == pytest.approx([0.0] * (model.blocks - 2), abs=1e-6)


def test_a_name_that_is_blurred_is_not_known_and_mlps_bring_it_back(model: ServedModel, told: list[Told]) -> None:
    single = trace(model, told, 1, 2, 3.0, generator())
    every = trace(model, told, model.blocks, 2, 3.0, generator())
    assert len(every) == 1 and every[0] > max(single) > 0
    assert every[0] > 0.2 * probability(model, told)


def test_the_model_is_left_as_it_was(model: ServedModel, told: list[Told]) -> None:
    before = probability(model, told)
    trace(model, told, 3, 1, 3.0, generator())
    assert probability(model, told) == before


def test_the_window_with_the_largest_effect_is_chosen(calibration: Calibration) -> None:
    selection = CausalTrace(width=3, samples=2)(calibration)
    effects = selection.scores["effect"]
    assert selection.blocks[0] == max(range(len(effects)), key=lambda block: effects[block])
    assert len(selection.blocks) == 3 and len(effects) == calibration.model.blocks
    assert CausalTrace(width=3, samples=2)(calibration) == selection, "the noise is seeded"
