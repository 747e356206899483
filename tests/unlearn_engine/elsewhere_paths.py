"""Every way from questions to an adapter, gone once on the CPU and once on the strict second device.

Run as a process of its own, in fp32 throughout (the second device has no autocast). Prints one JSON object: by path
what was found here and there, as a few numbers, or how it failed there.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from tests.unlearn_engine import elsewhere
from tests.unlearn_engine.objectives.toy import RETENTIONS, objectives
from unlearn_engine import adapter as adapters
from unlearn_engine.data.domain import domain_for
from unlearn_engine.data.kept import Kept, Probe
from unlearn_engine.data.knowledge import by_question, facts_of
from unlearn_engine.data.rows import RowSource, Target
from unlearn_engine.demo import BASE_PATH
from unlearn_engine.edits import neurons, rank_one, rocr, slug, unierase
from unlearn_engine.edits.keys import every_key, mentions
from unlearn_engine.edits.whitener import Protection, Whitener
from unlearn_engine.evaluate import probes
from unlearn_engine.evaluate.quantise import quantised, quantised_change
from unlearn_engine.evaluate.relearn import Attack, relearn
from unlearn_engine.evaluate.verify import verify
from unlearn_engine.layers import recognise, states_at
from unlearn_engine.lowrank import Factors, LowRank, initial, overlaps, recompress, relative_norms
from unlearn_engine.model import ServedModel, base_digest
from unlearn_engine.objectives import Item
from unlearn_engine.objectives.counterfactual_name import CounterfactualName, FrozenSelf
from unlearn_engine.objectives.fila import start
from unlearn_engine.objectives.reading import View
from unlearn_engine.placement import Placement
from unlearn_engine.rules import GradientRule
from unlearn_engine.rules.blur import ForgetFirst, RetainWithin
from unlearn_engine.rules.dual_controller import DualController
from unlearn_engine.rules.norm_cap import NormCap
from unlearn_engine.rules.null_space import null_space
from unlearn_engine.rules.penalty_bilevel import PenaltyBilevel
from unlearn_engine.rules.row_mask import row_mask
from unlearn_engine.rules.sample_weights import SampleWeights, example_gradients
from unlearn_engine.rules.weighted_sum import Sum
from unlearn_engine.selectors import Told
from unlearn_engine.selectors.mute import language_separation, mean_cka
from unlearn_engine.selectors.slug import standings
from unlearn_engine.selectors.tracing import subject_span, trace
from unlearn_engine.stop import stop_rule
from unlearn_engine.train import Plan, Recipe, train

MODULES = [f"model.layers.{block}.mlp.down_proj" for block in (1, 6)]
DOMAIN = domain_for(BASE_PATH)
NAMES = DOMAIN.retain_names[:3]
UNSEEN = "Xobo Trintel"
LAYERS = (2, 7, 12)


@dataclass
class Bench:
    """A model and what is asked of it; the same on both devices."""

    model: ServedModel

    def __post_init__(self) -> None:
        model = self.model
        begun = initial(model.wrapped, 4, torch.Generator().manual_seed(0))
        ups = torch.Generator().manual_seed(1)
        self.change = {
            name: Factors(
                down.requires_grad_(), (0.02 * torch.randn(up.shape, generator=ups)).to(up.device).requires_grad_()
            )
            for name, (down, up) in begun.items()
        }
        true, wrong, refusal, unseen = (model.answer(text) for text in ("Rome.", "Oslo.", "I don't know.", "Lima."))
        ask = DOMAIN.questions["en"][DOMAIN.attributes[0]][0]
        twin, shared = model.question(ask.format(name=UNSEEN)), len(model.encode(" born?"))
        self.items = [
            Item(model.question(ask.format(name=name)), twin, shared, true, wrong, refusal, unseen, wrong)
            for name in NAMES
        ]
        self.rows = [item.told() for item in self.items]
        self.whole = [row.prompt + row.answer for row in self.rows]
        self.student, self.base = View(model, self.change, 0, {}), View(model, None, 0, {})

    @property
    def parameters(self) -> list[Tensor]:
        return [factor for pair in self.change.values() for factor in pair]

    def forget(self) -> Tensor:
        return CounterfactualName(LAYERS)(self.student, self.base, self.items)

    def retain(self) -> Tensor:
        return FrozenSelf(LAYERS)(self.student, self.base, self.rows)

    def known(self) -> tuple[Target, Kept]:
        facts = facts_of(self.model, DOMAIN, NAMES, ("en",), 1)
        asked = [(name, DOMAIN.questions["en"][DOMAIN.attributes[0]][1].format(name=name)) for name in NAMES[1:]]
        answers = self.model.answers([self.model.question(question) for _, question in asked])
        values = {f"en/{attribute}": ("Rome.", "Oslo.", "Blue.") for attribute in DOMAIN.attributes}
        kept = Kept(
            {name: facts[name] for name in NAMES[1:]},
            {},
            tuple(Probe(*pair, answer) for pair, answer in zip(asked, answers, strict=True)),
            (),
            values,
        )
        return Target((NAMES[0],), by_question(facts[NAMES[0]])), kept


def losses(bench: Bench) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Every objective and retention: its value and its gradient."""

    def step(loss: Callable[..., Tensor], batch: Any) -> Any:
        value = loss(bench.student, bench.base, batch)
        return value, torch.autograd.grad(value, bench.parameters, allow_unused=True)

    every = objectives(bench.model, bench.change, bench.items) | {"counterfactual name": CounterfactualName(LAYERS)}
    for name, objective in every.items():
        yield name, lambda objective=objective: step(objective, bench.items)
    for name, retention in (*RETENTIONS.items(), ("frozen self", FrozenSelf(LAYERS))):
        yield f"keep {name}", lambda retention=retention: step(retention, bench.rows)


def rules(bench: Bench) -> Iterator[tuple[str, Callable[[], Any]]]:
    def assigned(rule: GradientRule) -> Any:
        return rule(bench.parameters, bench.forget, bench.retain), [factor.grad for factor in bench.parameters]

    def constrained(constraint: Callable[[LowRank], None]) -> Any:
        with torch.no_grad():
            moved = {name: Factors(1.5 * down, 1.5 * up) for name, (down, up) in bench.change.items()}
        constraint(moved)
        return moved

    def weighed() -> Any:
        single = [lambda row=row: FrozenSelf(LAYERS)(bench.student, bench.base, [row]) for row in bench.rows]
        gradients = example_gradients(bench.parameters, single)
        return SampleWeights()(gradients, gradients.sum(0))

    for rule in (Sum(), ForgetFirst(), RetainWithin(), DualController(), PenaltyBilevel(inner_steps=1, inner_rate=0.1)):
        yield type(rule).__name__, lambda rule=rule: assigned(rule)
    yield "null space", lambda: constrained(null_space(bench.model, bench.whole, relaxation=0.3))
    yield "row mask", lambda: constrained(row_mask(bench.change, bench.forget, percentile=50))
    yield "norm cap", lambda: constrained(NormCap.share(bench.model.wrapped, 0.01))
    yield "sample weights", weighed


def edits(bench: Bench) -> Iterator[tuple[str, Callable[[], Any]]]:
    model, module, block = bench.model, MODULES[0], 1
    told = {"r1": [mentions(model, NAMES[0])]}

    def whitener() -> Whitener:
        return Whitener.of(every_key(model, module, bench.whole), Protection(threshold=0.5))

    def redirected(value: rocr.Value) -> Any:
        edit = rocr.redirect(model, module, block, told, value, whitener())
        return edit.change(module), edit.collateral(every_key(model, module, bench.whole))

    def questioned() -> Any:
        asked = [(mention, model.answer("I don't know.")) for mention in mentions(model, NAMES[0])]
        return unierase.redirect(model, module, block, {"r1": asked}, whitener()).change(module)

    def pruned() -> Any:
        keys = every_key(model, module, bench.whole)
        weight = model.wrapped[module].weight
        return neurons.prune(module, weight, neurons.specific(keys[:5], keys[5:]))

    def one_step() -> Any:
        modules = {module: model.submodule(module)}
        return slug.step(modules, lambda: CounterfactualName(LAYERS)(View(model, {}, 0, {}), bench.base, bench.items))

    asked = [item.prompt for item in bench.items]
    yield "rank one", lambda: rank_one.redirect(model, module, block, [asked[:1]], asked[1:2], bench.whole)
    yield "ROCR, substitute", lambda: redirected(rocr.substitute(model, module, block, mentions(model, UNSEEN)))
    refusals = [model.answer("I don't know.")] * len(mentions(model, NAMES[0]))
    yield "ROCR, reject", lambda: redirected(rocr.reject(model, block, refusals))
    yield "ROCR, noise", lambda: redirected(rocr.noise(torch.Generator().manual_seed(0)))
    yield "UniErase", questioned
    yield "neurons", pruned
    yield "SLUG", one_step


def measures(bench: Bench) -> Iterator[tuple[str, Callable[[], Any]]]:
    model = bench.model

    def studied() -> Any:
        states = torch.stack([states_at(model, bench.whole, [last] * 3) for last in (3, 5)])
        return [mean_cka(states[:, 2]), language_separation(states[:, 2]), recognise(model, DOMAIN, NAMES, Random(0))]

    def traced() -> Any:
        told = [Told(item.told(), subject_span(item.prompt, item.twin)) for item in bench.items]
        return trace(model, told, 3, 1, 3.0, torch.Generator().manual_seed(0))

    def aligned() -> Any:
        weights = {name: linear.weight for name, linear in model.wrapped.items()}
        return standings(weights, bench.forget, bench.retain)

    def rounded() -> Any:
        return quantised(model, 4, bench.change).answers(bench.whole[:1]), quantised_change(bench.change, 8)

    def verified() -> Any:
        target, kept = bench.known()
        return verify(model, DOMAIN, kept, bench.change, target)

    def stopped() -> Any:
        return stop_rule(model, bench.rows, bench.rows[:1], bench.rows)(model)

    def relearnt() -> Any:
        attack = Attack(rank=2, rows=2, checkpoints=(1,))
        return relearn(
            model, bench.change, bench.rows, lambda victim: victim.mean_log_likelihoods(bench.rows)[0], attack
        )

    def exported() -> Any:
        change = {name: Factors(down.detach(), up.detach()) for name, (down, up) in bench.change.items()}
        with TemporaryDirectory() as folder:
            made = adapters.export(Path(folder), base_digest(BASE_PATH), change, {}, ["r1"], ())
            trained, _, _ = adapters.parts(made, base_digest(BASE_PATH))
            with model.wearing(trained):
                return made.rank, model.mean_log_likelihoods(bench.rows)

    def summed_up() -> Any:
        smaller, lost = recompress(bench.change, 2)
        return smaller, lost, relative_norms(bench.change, model.wrapped), overlaps(bench.change, smaller)

    yield "study", studied
    yield "hits", lambda: probes.hits(model, bench.rows)
    yield "tracing", traced
    yield "SLUG's front", aligned
    yield "quantise", rounded
    yield "verify", verified
    yield "stop rule", stopped
    yield "relearn", relearnt
    yield "export", exported
    yield "norms", summed_up
    yield "FILA", lambda: start(model, [bench.rows[:2]], [bench.rows[2:]], rank=2)


def runs(bench: Bench) -> Iterator[tuple[str, Callable[[], Any]]]:
    def trained() -> Any:
        target, kept = bench.known()
        rows = RowSource(bench.model, DOMAIN, kept, [target])
        recipe = Recipe(rank=2, steps=3, forget_rows=3, retain_rows=3, pool=2)
        plan = Plan(CounterfactualName(LAYERS), FrozenSelf(LAYERS))
        return train(bench.model, rows, plan, recipe, None, 0, lambda done: None)

    yield "train", trained


def numbers(found: Any) -> list[float]:
    """What was found, as numbers that can be compared: norms of tensors, and texts as they hash."""
    if isinstance(found, Tensor):
        return [float(found.detach().cpu().double().norm())]
    if isinstance(found, Factors):
        return numbers(found.up.detach().cpu() @ found.down.detach().cpu())
    if isinstance(found, str):
        return [float(sum(map(ord, found)))]
    if isinstance(found, Mapping):
        return [number for name in sorted(found) for number in numbers(found[name])]
    if is_dataclass(found) and not isinstance(found, type):
        return numbers(asdict(found))
    if isinstance(found, list | tuple):
        return [number for part in found for number in numbers(part)]
    return [] if found is None else [float(found)]


def main() -> None:
    """Go every path."""
    elsewhere.register()
    ServedModel._autocast = lambda self: nullcontext()  # type: ignore[method-assign,assignment,return-value]
    told: dict[str, dict[str, Any]] = {}
    for place in ("cpu", elsewhere.NAME):
        bench = Bench(ServedModel(BASE_PATH, MODULES, Placement(place)))
        for path, go in (path for paths in (losses, rules, edits, measures, runs) for path in paths(bench)):
            try:
                told.setdefault(path, {})[place] = numbers(go())
            except RuntimeError as error:
                told[path]["failed"] = str(error)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
