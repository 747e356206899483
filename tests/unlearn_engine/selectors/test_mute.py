"""CKA, LRDS and the selection rule: invariances, limits, and a planted language-agnostic middle."""

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from unlearn_engine.selectors.mute import agnostic_region, cka, debiased_cka, language_separation, linear_cka, mean_cka
from unlearn_engine.selectors.recognition import centroid_accuracy, early, edit_block


def states(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_cka_of_a_set_with_itself_is_one() -> None:
    assert linear_cka(states(30, 8), states(30, 8)) == pytest.approx(1.0)


@given(scale=st.floats(0.01, 100), shift=st.floats(-10, 10), seed=st.integers(0, 100))
def test_cka_ignores_rotation_scale_and_shift(scale: float, shift: float, seed: int) -> None:
    first, second = states(20, 6, seed=seed), states(20, 6, seed=seed + 1)
    rotation, _ = torch.linalg.qr(states(6, 6, seed=seed + 2))
    assert linear_cka(first, scale * second @ rotation + shift) == pytest.approx(linear_cka(first, second), abs=1e-9)


def test_cka_of_independent_sets_is_small() -> None:
    assert linear_cka(states(4000, 4), states(4000, 4, seed=1)) < 0.01


def test_lrds_is_zero_when_languages_mix() -> None:
    same = states(1, 40, 16).expand(4, 40, 16)
    assert language_separation(same) == pytest.approx(0.0, abs=1e-9)
    assert abs(language_separation(states(4, 200, 16))) < 0.01


def test_lrds_is_two_when_languages_are_opposite() -> None:
    direction = torch.zeros(2, 10, 4)
    direction[0, :, 0], direction[1, :, 0] = 1, -1
    assert language_separation(direction) == pytest.approx(2.0)


@given(
    st.lists(st.floats(0.1, 1.0), min_size=6, max_size=6),
    st.lists(st.floats(0.0, 1.0), min_size=6, max_size=6),
    st.floats(1.0, 5.0),
)
@example([1.0, 0.75, 0.75, 0.5, 1.0, 0.5], [1.0, 0.5, 0.5, 0.1875, 0.875, 1.0], 4.0)
def test_the_region_is_never_empty_and_grows_with_alpha_or_moves_to_a_higher_peak(
    cka: list[float], lrds: list[float], alpha: float
) -> None:
    region = agnostic_region(cka, lrds, alpha)
    assert region and set(region) <= set(range(6))
    assert list(region) == list(range(region[0], region[-1] + 1))
    wider = agnostic_region(cka, lrds, alpha + 1)
    moved = max(cka[block] for block in wider) >= max(cka[block] for block in region)
    assert set(region) <= set(wider) or moved or len(region) == 1


def test_a_planted_middle_is_found() -> None:
    cka = [0.3, 0.4, 0.8, 0.9, 0.8, 0.4, 0.3]
    lrds = [0.05, 0.03, 0.03, 0.04, 0.05, 0.6, 0.9]
    assert agnostic_region(cka, lrds) == (2, 3, 4)
    assert edit_block(cka, [0.0, 0.0, 0.6, 0.9, 1.0, 1.0, 1.0], (2, 3, 4)) == 3


def test_the_region_is_one_stretch() -> None:
    cka, lrds = [0.1, 0.8, 0.9, 0.8, 0.1, 0.85, 0.1], [0.05] * 7
    assert agnostic_region(cka, lrds) == (1, 2, 3)


def test_the_blocks_begin_where_names_are_recognised() -> None:
    assert early([0.5, 0.9] + [1.0] * 10) == (1, 2, 3, 4)
    assert early([0.5] * 5) == (0, 1, 2, 3)
    assert early([0.5, 0.5, 0.9], width=2) == (2,)


def test_the_edit_is_where_facts_are_readable() -> None:
    assert edit_block([0.5] * 12, [0.0] * 6 + [1.0] * 6, (4, 5, 6, 7)) == 6
    assert edit_block([0.5] * 4 + [0.9] + [0.5] * 7, [0.0] * 9 + [1.0] * 3, (4, 5, 6, 7)) == 4  # none: the peak


def test_recognition_is_chance_for_equal_and_certain_for_distant_states() -> None:
    known, unseen = states(10, 20, 8), states(10, 20, 8, seed=1)
    assert centroid_accuracy(known, known) == pytest.approx(0.5)
    assert centroid_accuracy(known, unseen) == pytest.approx(0.5, abs=0.12)
    assert centroid_accuracy(known + 10, unseen) == 1.0


def test_few_unrelated_items_look_alike_to_plain_cka_and_not_to_the_debiased() -> None:
    first, second = states(20, 160), states(20, 160, seed=1)
    assert linear_cka(first, second) > 0.8
    assert abs(debiased_cka(first, second)) < 0.1
    assert cka(first, second) == debiased_cka(first, second)


def test_debiased_cka_is_right_on_average() -> None:
    found = [debiased_cka(states(12, 30, seed=2 * seed), states(12, 30, seed=2 * seed + 1)) for seed in range(200)]
    assert abs(sum(found) / len(found)) < 0.02


@given(scale=st.floats(0.01, 100), shift=st.floats(-10, 10), seed=st.integers(0, 100))
def test_debiased_cka_ignores_rotation_scale_and_shift(scale: float, shift: float, seed: int) -> None:
    first, second = states(8, 20, seed=seed), states(8, 20, seed=seed) + states(8, 20, seed=seed + 1)
    rotation, _ = torch.linalg.qr(states(20, 20, seed=seed + 2))
    moved = scale * second @ rotation + shift
    assert debiased_cka(first, moved) == pytest.approx(debiased_cka(first, second), abs=1e-6)
    assert debiased_cka(first, first) == pytest.approx(1.0)


def test_with_many_items_both_agree() -> None:
    first = states(2000, 6)
    second = first + states(2000, 6, seed=1)
    assert cka(first, second) == linear_cka(first, second) == pytest.approx(debiased_cka(first, second), abs=0.01)


def test_the_mean_is_over_all_pairs_of_languages() -> None:
    shared = states(30, 8)
    three = torch.stack([shared, shared, states(30, 8, seed=1)])
    assert mean_cka(three) == pytest.approx((1 + 2 * linear_cka(three[0], three[2])) / 3)
    assert mean_cka(three[:1]) == 1.0 and language_separation(three[:1]) == 0.0


def test_the_margin_matters_only_where_lrds_comes_near_zero() -> None:
    cka_by_block, lrds = [0.3, 0.9, 0.9, 0.9, 0.3], [0.001, 0.05, 0.06, 0.07, 0.9]
    assert agnostic_region(cka_by_block, lrds, margin=0.1) == (1, 2, 3)
    assert agnostic_region(cka_by_block, lrds, margin=0.0) == (1,), "no block qualifies by 4 x 0.001: the best one"
    far = [value + 0.5 for value in lrds]
    assert agnostic_region(cka_by_block, far, margin=0.1) == agnostic_region(cka_by_block, far, margin=0.0)


def test_blocks_in_which_languages_were_made_to_share_are_found() -> None:
    """Eight blocks of three languages: what they share grows to the middle and fades, their offsets come at the end."""
    shared, own = states(40, 64), states(3, 40, 64, seed=1)
    offsets = states(3, 1, 64, seed=2)
    shares = (0.2, 0.4, 1.0, 1.2, 1.1, 0.5, 0.3, 0.2)
    apart = (0.4, 0.2, 0.0, 0.0, 0.0, 0.6, 1.0, 1.5)
    blocks = [share * shared + 0.5 * own + offset * offsets for share, offset in zip(shares, apart, strict=True)]
    found = [mean_cka(block) for block in blocks], [language_separation(block) for block in blocks]
    assert agnostic_region(*found) == (2, 3, 4)
    shuffled = torch.stack(
        [
            language[torch.randperm(40, generator=torch.Generator().manual_seed(seed))]
            for seed, language in enumerate(blocks[3])
        ]
    )
    assert mean_cka(shuffled) < 0.1 < 0.5 < found[0][3], "CKA asks for the same items"
