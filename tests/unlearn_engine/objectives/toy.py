"""A causal model of a few hundred numbers in fp64, items about it, and one of every objective."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from unlearn_engine.lowrank import Factors, LowRank, LowRankLinear
from unlearn_engine.model import Row, right_padded
from unlearn_engine.objectives import Item, Objective, Retention
from unlearn_engine.objectives.adaptive_rmu import AdaptiveRMU
from unlearn_engine.objectives.altpo import AltPO
from unlearn_engine.objectives.answers import falsehoods, inserted
from unlearn_engine.objectives.catnip import CATNIP
from unlearn_engine.objectives.ceu import CEU
from unlearn_engine.objectives.dpo import DPO
from unlearn_engine.objectives.dto import DTO
from unlearn_engine.objectives.duet import DUET
from unlearn_engine.objectives.ga import GradientAscent
from unlearn_engine.objectives.harmonizing import Harmonizing
from unlearn_engine.objectives.idk import IDK
from unlearn_engine.objectives.ihl import IHL
from unlearn_engine.objectives.kuda import KUDA
from unlearn_engine.objectives.llmu import LLMU
from unlearn_engine.objectives.meow import MEOW
from unlearn_engine.objectives.npo import NPO
from unlearn_engine.objectives.reading import Reading, View, places
from unlearn_engine.objectives.remember import Remember
from unlearn_engine.objectives.retention import CrossEntropy, Divergence, HiddenStates, TopLogits, Uniform
from unlearn_engine.objectives.rmu import RMU
from unlearn_engine.objectives.sae import Encoder, SAEGuided, features
from unlearn_engine.objectives.satimp import SatImp
from unlearn_engine.objectives.simnpo import SimNPO
from unlearn_engine.objectives.swap import Swap
from unlearn_engine.objectives.switch import Switch, SwitchRetention
from unlearn_engine.objectives.twin_states import TwinStates
from unlearn_engine.objectives.uld import ULD
from unlearn_engine.objectives.undial import UNDIAL
from unlearn_engine.objectives.wga import WGA
from unlearn_engine.objectives.whp import WHP

VOCABULARY, HIDDEN, BLOCKS = 20, 12, 3
NAMES = tuple(f"blocks.{block}" for block in range(BLOCKS))


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class ToyModel:
    """What `ServedModel` promises to objectives: each block adds a bend of what it has read so far."""

    def __init__(self, seed: int = 0) -> None:
        self.blocks = BLOCKS
        self.embedding = nn.Embedding(VOCABULARY, HIDDEN, dtype=torch.float64).requires_grad_(False)
        self.embedding.weight.copy_(normal(VOCABULARY, HIDDEN, seed=seed))
        self.unembedding = 0.3 * normal(HIDDEN, VOCABULARY, seed=seed + 1)
        self.network = SimpleNamespace(get_input_embeddings=lambda: self.embedding)
        self._wrapped = {name: self._block(seed + 2 + index) for index, name in enumerate(NAMES)}

    @staticmethod
    def _block(seed: int) -> LowRankLinear:
        frozen = nn.Linear(HIDDEN, HIDDEN, bias=False, dtype=torch.float64).requires_grad_(False)
        frozen.weight.copy_(normal(HIDDEN, HIDDEN, seed=seed) / HIDDEN**0.5)
        return LowRankLinear(frozen)

    @property
    def wrapped(self) -> dict[str, nn.Linear]:
        return {name: module.frozen for name, module in self._wrapped.items()}

    @contextmanager
    def wearing(self, change: LowRank | None) -> Iterator[None]:
        before = {name: module.worn for name, module in self._wrapped.items()}
        for name, module in self._wrapped.items():
            module.worn = change.get(name) if change else None
        try:
            yield
        finally:
            for name, module in self._wrapped.items():
                module.worn = before[name]

    def hidden(
        self, rows: Sequence[Sequence[int]], *, depth: int | None = None, first: int = 0, inputs: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        states = [self.embedding(right_padded(rows)) if inputs is None else inputs]
        for name in NAMES[first : BLOCKS if depth is None else depth]:
            state = states[-1]
            order = torch.arange(1, state.shape[1] + 1, dtype=state.dtype)[:, None]
            read = state + (state * order).cumsum(1) / order.square()
            states.append(state + torch.tanh(self._wrapped[name](read)))
        return tuple(states)

    def logits(self, hidden: Tensor) -> Tensor:
        return hidden @ self.unembedding


class Given:
    """A view that finds exactly these logits [answer tokens, size], or these states, whatever the rows are."""

    def __init__(self, logits: Tensor | None = None, states: Tensor | None = None) -> None:
        self.given, self.states, self.model = logits, states, self

    def logits(self, hidden: Tensor) -> Tensor:
        return hidden

    def __call__(self, rows: Sequence[Row], depth: int | None = None) -> Reading:
        if self.given is None:
            return Reading(self, rows, (self.states,), first=depth or 0)  # type: ignore[arg-type]
        whole = [row.prompt + row.answer for row in rows]
        at = places(whole, [len(row.answer) for row in rows], before=1)
        state = self.given.new_zeros(len(rows), max(map(len, whole)), self.given.shape[-1])
        return Reading(self, rows, (state.index_put(at, self.given),))  # type: ignore[arg-type]


def change(size: float, seed: int = 50, rank: int = 2) -> dict[str, Factors]:
    """A change whose `up` has that size; both factors want gradients."""
    return {
        name: Factors(
            (normal(rank, HIDDEN, seed=seed + index) / HIDDEN**0.5).requires_grad_(),
            (size * normal(HIDDEN, rank, seed=seed + 10 + index)).requires_grad_(),
        )
        for index, name in enumerate(NAMES)
    }


def items(count: int = 4, seed: int = 90) -> list[Item]:
    """Prompts of different lengths around a two-token name, with answers of two to five tokens."""
    found = []
    for index in range(count):
        generator = torch.Generator().manual_seed(seed + index)

        def some(length: int, generator: torch.Generator = generator) -> tuple[int, ...]:
            return tuple(torch.randint(VOCABULARY, (length,), generator=generator).tolist())

        before, after = some(1 + index % 2), some(2 + index % 3)
        answers = [some(2 + (index + kind) % 4) for kind in range(4)]
        found.append(
            Item(
                prompt=before + some(2) + after,
                twin=before + some(1 + index % 3) + after,
                shared=len(after),
                true=answers[0],
                wrong=answers[1],
                refusal=answers[2],
                unseen=answers[3],
                drawn=answers[index % 3],
            )
        )
    return found


def answering(*lengths: int, seed: int = 3) -> list[Item]:
    """Items of which only the lengths of the true answers matter."""
    drawn = torch.randint(VOCABULARY, (sum(lengths),), generator=torch.Generator().manual_seed(seed))
    return [
        Item((1, 2, 3), (1, 4, 3), 1, tuple(part.tolist()), (5, 6), (7, 8), (9, 9), (5, 6))
        for part in drawn.split(list(lengths))
    ]


def rows(count: int = 3) -> list[Row]:
    return [Row(item.prompt, item.true) for item in items(count, seed=190)]


def viewed(model: Any, worn: LowRank | None) -> View:
    return View(model, worn, 0, {})


def gradient(loss: Tensor, worn: LowRank) -> Tensor:
    """The gradient on all factors as one vector; zero where the loss does not depend on one."""
    factors = [factor for name in sorted(worn) for factor in worn[name]]
    found = torch.autograd.grad(loss, factors, allow_unused=True)
    return torch.cat(
        [
            torch.zeros_like(factor).flatten() if part is None else part.flatten()
            for factor, part in zip(factors, found, strict=True)
        ]
    )


def objectives(model: Any, remembering: LowRank, batch: Sequence[Item]) -> dict[str, Objective]:
    """One of each with settings in which all its terms count; `remembering` is the reinforced or assistant's change."""
    frozen = {name: Factors(*(factor.detach() for factor in factors)) for name, factors in remembering.items()}
    base, other = viewed(model, None), viewed(model, frozen)
    told = features(base, batch, 2)
    hidden = told.shape[-1]
    encoder = Encoder(normal(2 * hidden, hidden, seed=7).to(told), normal(2 * hidden, seed=8).to(told))
    unknown = told.mean(0) + normal(hidden, seed=9).to(told)
    return {
        "GA": GradientAscent(),
        "LLMU": LLMU(),
        "NPO": NPO(),
        "SimNPO": SimNPO(0.5),
        "SimNPO+": SimNPO(0.5, refusal=1.0),
        "AltPO": AltPO(),
        "WGA": WGA(),
        "SatImp": SatImp(),
        "CATNIP": CATNIP(),
        "DTO": DTO(),
        "IHL": IHL(),
        "UNDIAL": UNDIAL(),
        "CE-U": CEU(),
        "IDK": IDK(),
        "DPO": DPO(),
        "WHP": WHP(other),
        "MEOW": MEOW(falsehoods),
        "DUET": DUET(top=5),
        "DUET, instructed": DUET(inserted((1, 2), after=1), top=5),
        "Harmonizing": Harmonizing(top=5),
        "ULD": ULD(other),
        "RMU": RMU(2),
        "Adaptive RMU": AdaptiveRMU(2),
        "KUDA": KUDA(2),
        "SAE-guided, raw": SAEGuided(2, told.mean(0), unknown, margin=2.0),
        "SAE-guided": SAEGuided(2, encoder(told.mean(0)), encoder(unknown), encoder, margin=2.0),
        "SWAP": Swap(),
        "twin states": TwinStates(2),
        "switch": Switch((3, 4), after=1),
        "remember": Remember(),
    }


RETENTIONS: dict[str, Retention] = {
    "cross-entropy": CrossEntropy(),
    "divergence": Divergence(),
    "hidden states": HiddenStates(2),
    "top logits": TopLogits(5),
    "uniform": Uniform(),
    "switch": SwitchRetention((3, 4)),
}

Step = Callable[[], Tensor]


def descend(loss: Step, worn: LowRank, steps: int, rate: float) -> None:
    """Adam on the factors."""
    optimizer = torch.optim.Adam([factor for factors in worn.values() for factor in factors], lr=rate)
    for _ in range(steps):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
