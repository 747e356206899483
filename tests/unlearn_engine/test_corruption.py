"""ECO's corruptions: what each leaves alone, and the search for the strength that hides a known name."""

from collections.abc import Sequence

import pytest
import torch

from unlearn_engine.corruption import FAMILY, Corruption, Mimicry, search
from unlearn_engine.data.domain import Domain
from unlearn_engine.data.knowledge import elicit
from unlearn_engine.model import ServedModel

ROWS = torch.randn(5, 32, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("name", FAMILY)
def test_a_corruption_changes_rows_repeatably(name: str) -> None:
    corruption = Corruption(name, 2.0, 8)
    changed = corruption(ROWS, 1)
    assert changed.shape == ROWS.shape and not torch.equal(changed, ROWS)
    assert torch.equal(changed, corruption(ROWS, 1))
    assert corruption(ROWS.bfloat16(), 1).dtype is torch.bfloat16


@pytest.mark.parametrize("name", [name for name in FAMILY if name not in ("reverse_order", "shuffle")])
def test_so_many_dimensions_of_each_row_change(name: str) -> None:
    assert ((Corruption(name, 2.0, 8)(ROWS, 1) != ROWS).sum(1) == 8).all()


@pytest.mark.parametrize("name", ["reverse_order", "shuffle"])
def test_a_permutation_keeps_the_values(name: str) -> None:
    assert torch.equal(Corruption(name)(ROWS, 1).sort(-1).values, ROWS.sort(-1).values)


def test_the_ranked_members_pick_by_magnitude() -> None:
    for name, largest in (("zero_out_top_k", True), ("add_value_least_k", False)):
        changed = Corruption(name, 2.0, 8)(ROWS, 1) != ROWS
        inside, outside = ROWS.abs()[changed].view(5, 8), ROWS.abs()[~changed].view(5, 24)
        low, high = (outside, inside) if largest else (inside, outside)
        assert (low.amax(1) <= high.amin(1)).all()


def test_noise_has_its_strength_in_units_of_the_rows() -> None:
    rows = 7.0 * torch.randn(64, 512, generator=torch.Generator().manual_seed(4))
    noise = Corruption("rand_noise_first_n", 0.5)(rows, 1) - rows
    assert float(noise.std() / rows.square().mean().sqrt()) == pytest.approx(0.5, rel=0.02)
    assert torch.equal(Corruption("rand_noise_first_n", 0.0)(rows, 1), rows)


@pytest.mark.parametrize("given", [("nothing", 1.0, None), ("shuffle", -1.0, None), ("shuffle", 1.0, 0)])
def test_what_is_no_corruption_is_refused(given: tuple[str, float, int | None]) -> None:
    with pytest.raises(ValueError, match="corruption"):
        Corruption(*given)


@pytest.mark.parametrize("best", [0.3, 1.0, 2.5])
def test_the_search_finds_the_valley(best: float) -> None:
    assert search(lambda strength: 0.4 * (strength - best) ** 2) == pytest.approx(best, abs=0.25)


def test_known_names_come_to_read_like_never_seen_ones(model: ServedModel, domain: Domain) -> None:
    def known(name: str) -> Sequence[tuple[str, str, str]]:
        return [(fact.language, fact.attribute, fact.spoken) for fact in elicit(model, domain, (name,)).facts]

    mimicry = Mimicry(model, domain, {name: known(name) for name in domain.retain_names[5:8]})
    met: dict[float, float] = {}

    def distance(strength: float) -> float:
        return met.setdefault(strength, mimicry.distance(Corruption(strength=strength)))

    found = search(distance)
    assert found > 1.0
    assert distance(found) < 0.4 * distance(0.0)
