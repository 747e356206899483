"""Every way to make a model forget, a row each: what is minimised, how, where and for how long, or which edit is made.

A row is made for one `Case`. Hyper-parameters are those of each objective's own file, published where they are known;
what differs is said beside the row. Rows other than the default train for a few steps only and end at the first check
that finds nothing left to extract, or too much lost of what stays (`stop.py`).
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from torch import Tensor, nn

from unlearn_engine.data.rows import RowSource
from unlearn_engine.edits import neurons, rank_one, rocr, slug, task_vector, unierase
from unlearn_engine.edits.keys import Mention, at_last_token, every_key
from unlearn_engine.edits.values import Optimisation, refusing
from unlearn_engine.edits.whitener import Protection, Whitener
from unlearn_engine.layers import LayerMap
from unlearn_engine.lowrank import Factors, LowRank, initial, recompress, relative_norms, scaled
from unlearn_engine.model import Row, ServedModel
from unlearn_engine.objectives import Item, Objective, Retention, fila
from unlearn_engine.objectives.adaptive_rmu import AdaptiveRMU
from unlearn_engine.objectives.altpo import AltPO
from unlearn_engine.objectives.catnip import CATNIP
from unlearn_engine.objectives.ceu import CEU
from unlearn_engine.objectives.counterfactual_name import CounterfactualName, FrozenSelf
from unlearn_engine.objectives.dpo import DPO
from unlearn_engine.objectives.dto import DTO
from unlearn_engine.objectives.duet import DUET
from unlearn_engine.objectives.ga import GradientAscent
from unlearn_engine.objectives.harmonizing import Harmonizing
from unlearn_engine.objectives.idk import IDK
from unlearn_engine.objectives.ihl import IHL
from unlearn_engine.objectives.kuda import KUDA, kick
from unlearn_engine.objectives.llmu import LLMU
from unlearn_engine.objectives.meow import MEOW
from unlearn_engine.objectives.npo import NPO
from unlearn_engine.objectives.reading import View
from unlearn_engine.objectives.redundant import Redundant
from unlearn_engine.objectives.remember import Remember
from unlearn_engine.objectives.retention import CrossEntropy, Divergence, HiddenStates, TopLogits, Uniform
from unlearn_engine.objectives.rmu import RMU
from unlearn_engine.objectives.sae import SAEGuided, features
from unlearn_engine.objectives.satimp import SatImp
from unlearn_engine.objectives.simnpo import SimNPO
from unlearn_engine.objectives.swap import Swap
from unlearn_engine.objectives.switch import Switch, SwitchRetention
from unlearn_engine.objectives.twin_states import TwinStates
from unlearn_engine.objectives.uld import ULD
from unlearn_engine.objectives.undial import UNDIAL
from unlearn_engine.objectives.weighed import Weighed
from unlearn_engine.objectives.wga import WGA
from unlearn_engine.objectives.whp import WHP
from unlearn_engine.placement import dense_weight
from unlearn_engine.rules import Constraint, GradientRule, Loss
from unlearn_engine.rules.blur import RetainWithin
from unlearn_engine.rules.dual_controller import DualController
from unlearn_engine.rules.norm_cap import NormCap
from unlearn_engine.rules.null_space import null_space
from unlearn_engine.rules.penalty_bilevel import PenaltyBilevel
from unlearn_engine.rules.row_mask import row_mask
from unlearn_engine.rules.weighted_sum import Sum
from unlearn_engine.stop import StopRule, mean_extraction, stop_rule
from unlearn_engine.train import Plan, Recipe, train

GAUGED_ITEMS = 48
KEPT_ROWS = 128
NAME_ITEMS = 160
LEARNING_STEPS = 24
SLACK = 0.2  # nats per token
EDIT_RANK = 32  # of an edit with a key for each question, and of FILA's two halves together


# What a method that grows gets for every new subject beyond the first.
STEPS_PER_SUBJECT = 33
FORGET_ROWS_PER_SUBJECT, MAX_FORGET_ROWS = 2, 40  # in a step
RETAIN_ROWS_PER_SUBJECT, MAX_RETAIN_ROWS = 6, 64
# For those that are rehearsed too; the rest of an adapter's rank is for edits that wait to be trained.
RANK_PER_SUBJECT, MAX_TRAINED_RANK = 2, 48


@dataclass(frozen=True)
class Case:
    """What a method may look at before it begins. The model wears nothing; what is drawn here is always the same."""

    model: ServedModel
    layers: LayerMap
    rows: RowSource
    names: Sequence[str]  # to be forgotten, aliases too
    modules: Sequence[str]  # that may change, of those that the model has wrapped

    def items(self, count: int) -> list[Item]:
        """So many of what is to be forgotten."""
        rng = random.Random(1)
        return [self.rows.item(rng) for _ in range(count)]

    def kept(self, count: int) -> list[Row]:
        """So many of what stays."""
        rng = random.Random(2)
        return [self.rows.retained(rng) for _ in range(count)]

    def stop_rule(self, every: int = 8) -> StopRule:
        """Stop when no more can be extracted than about never-seen names, or too much is lost of what stays.

        A retain loss may rise by three tenths, and by `SLACK`: the base is nearly certain of what stays, and what a
        step costs is partly won back by the next ones.
        """
        items = self.items(GAUGED_ITEMS)
        unseen = [Row(item.twin, item.true) for item in items]
        told, kept = [item.told() for item in items], self.kept(GAUGED_ITEMS)
        return stop_rule(self.model, told, unseen, kept, tolerance=0.3, slack=SLACK, every=every)

    @property
    def linears(self) -> dict[str, nn.Linear]:
        """The frozen layers of the modules that may change."""
        return {name: self.model.wrapped[name] for name in self.modules}

    @property
    def blocks(self) -> tuple[int, ...]:
        """The blocks that may change, ascending."""
        return tuple(sorted({int(name.split(".")[2]) for name in self.modules}))

    @property
    def depth(self) -> int:
        """Where a representation is compared: after the highest of these blocks."""
        return self.blocks[-1] + 1


@dataclass(frozen=True)
class Method:
    """A row: from a case a plan to train by, or at once the change, when nothing has to be trained."""

    start: Callable[[Case], Plan | dict[str, Factors]]
    recipe: Recipe = field(default_factory=Recipe)
    modules: Callable[[LayerMap], Sequence[str]] = lambda layers: layers.modules  # where it may change the model
    grows: bool = False  # whether more is trained, in one run, the more there is to forget
    marker: str = ""  # in front of every question of those who are not to know; without it all is known

    def recipe_for(self, subjects: int, new: int = 1) -> Recipe:
        """What a run trains by that covers so many subjects, `new` of which are not forgotten yet.

        On top of what is forgotten the higher rank takes steps as much smaller (LoRA's α / r): with the same ones, what
        stays is lost from about ten subjects on.
        """
        if not self.grows:
            return self.recipe
        more, own = new - 1, self.recipe
        rank = min(own.rank + RANK_PER_SUBJECT * (subjects - 1), MAX_TRAINED_RANK)
        return replace(
            own,
            rank=rank,
            steps=own.steps + STEPS_PER_SUBJECT * more,
            forget_rows=min(own.forget_rows + FORGET_ROWS_PER_SUBJECT * more, MAX_FORGET_ROWS),
            retain_rows=min(own.retain_rows + RETAIN_ROWS_PER_SUBJECT * more, MAX_RETAIN_ROWS),
            learning_rate=own.learning_rate * (1.0 if new == subjects else own.rank / rank),
        )


QUICK = Recipe(steps=60, forget_rows=16, retain_rows=28, learning_rate=3e-3)
ALONE = replace(QUICK, retain_rows=1)  # where nothing is retained, and the one row counts for nothing
SLOW = replace(QUICK, steps=12, forget_rows=8, retain_rows=8)  # where a step takes some thirty backward passes
HIDDEN = replace(QUICK, learning_rate=1e-2)  # the demo model's hidden states have norms of some hundred
NOTHING = partial(Sum, retain_weight=0.0)


def counterfactual_name(model: ServedModel) -> Plan:
    """The default method's plan."""
    changed = sorted({int(name.split(".")[2]) + 1 for name in model.wrapped})
    layers = tuple(sorted({*changed, model.blocks}))
    lens_layers = tuple(range(1, model.blocks * 2 // 3 + 1))
    return Plan(Redundant(CounterfactualName(layers, lens_layers)), FrozenSelf(layers))


def _loss(
    forget: Callable[[], Objective],
    retain: Callable[[], Retention] = CrossEntropy,
    rule: Callable[[], GradientRule] = Sum,
    recipe: Recipe = QUICK,
    constrain: Callable[[LowRank, Loss], Sequence[Constraint]] = lambda change, forget: (),
) -> Method:
    """A row whose losses need nothing but the batch; each run has its own objective and rule."""
    return Method(lambda case: Plan(forget(), retain(), rule(), constrain, stop=case.stop_rule()), recipe)


def _states(forget: Callable[[int], Objective], retain_weight: float) -> Method:
    """A row that moves hidden states after the highest block of three, and holds those of what stays."""

    def start(case: Case) -> Plan:
        rule = Sum(retain_weight=retain_weight)
        return Plan(forget(case.depth), HiddenStates(case.depth), rule, stop=case.stop_rule())

    return Method(start, HIDDEN, _three_blocks)


def _three_blocks(layers: LayerMap) -> tuple[str, ...]:
    """The two blocks before it and the one of MUTE's region where languages agree most, as RMU's 5, 6 and 7."""
    last = max(layers.region, key=lambda block: layers.cka[block])
    return tuple(f"model.layers.{block}.mlp.down_proj" for block in range(max(0, last - 2), last + 1))


def _first_of_region(layers: LayerMap) -> tuple[str, ...]:
    """Where edits at the name's last token act: below the region the name is not whole, above it is read already."""
    return (f"model.layers.{layers.region[0]}.mlp.down_proj",)


def _attention(layers: LayerMap) -> tuple[str, ...]:
    """As MUTE has SLUG's step: the attention of the deepest block of the region."""
    return tuple(f"model.layers.{layers.region[-1]}.self_attn.{part}_proj" for part in "qkvo")


def _fila(case: Case) -> Plan:
    batches = _pairs([item.told() for item in case.items(GAUGED_ITEMS)]), _pairs(case.kept(GAUGED_ITEMS))
    everywhere = fila.start(case.model, *batches, rank=EDIT_RANK // 2)
    begun = fila.Start(*({name: half[name] for name in case.modules} for half in everywhere))
    held = fila.Held(begun.frozen)
    return Plan(IHL(), CrossEntropy(), Sum(), lambda change, forget: (held,), begun.whole, case.stop_rule())


def _pairs(rows: Sequence[Row]) -> list[Sequence[Row]]:
    return [rows[at : at + 2] for at in range(0, len(rows), 2)]


def _learnt(case: Case, retain: Retention, retain_weight: float) -> dict[str, Factors]:
    """The change that has the forget text by heart."""
    plan = Plan(Remember(), retain, Sum(retain_weight=retain_weight))
    nothing = initial(case.linears, QUICK.rank, torch.Generator().manual_seed(0))
    return train(case.model, case.rows, plan, replace(QUICK, steps=LEARNING_STEPS), nothing, 0, lambda done: None)


def _whp(case: Case) -> Plan:
    reinforced = View(case.model, _learnt(case, CrossEntropy(), 0.0), 0, {})
    return Plan(WHP(reinforced), CrossEntropy(), stop=case.stop_rule())


def _uld(case: Case) -> Plan:
    assistant = View(case.model, _learnt(case, Uniform(), 5.0), 0, {})
    return Plan(ULD(assistant), Divergence(), stop=case.stop_rule())


def _kuda(case: Case) -> Plan:
    generator = torch.Generator().manual_seed(0)
    kicked = kick(initial(case.linears, QUICK.rank, generator), generator)
    kept = null_space(case.model, [row.prompt + row.answer for row in case.kept(KEPT_ROWS)], relaxation=0.2)
    objective = KUDA(case.depth, strength=100.0)  # at 1, a bounded cosine against squared distances, nothing moves
    return Plan(objective, HiddenStates(case.depth), Sum(), lambda *_: (kept,), kicked, case.stop_rule())


def _sae_guided(case: Case) -> Plan:
    base, items = View(case.model, None, 0, {}), case.items(KEPT_ROWS)
    unknown = features(base, [item._replace(prompt=item.twin) for item in items], case.depth).mean(0)
    objective = SAEGuided(case.depth, features(base, items, case.depth).mean(0), unknown)
    rule = Sum(retain_weight=0.01)  # a hinge of at most 2 against squared distances: at 1, nothing moves
    return Plan(objective, HiddenStates(case.depth), rule, stop=case.stop_rule())


def _swap(case: Case) -> Plan:
    layers = tuple(sorted({*(block + 1 for block in case.blocks), case.model.blocks}))
    return Plan(Swap(), FrozenSelf(layers), stop=case.stop_rule())


def _twin_states(case: Case) -> Plan:
    depth = case.model.blocks * 2 // 3
    return Plan(TwinStates(depth), HiddenStates(depth), stop=case.stop_rule())


def _switch(case: Case) -> Plan:
    marker = case.model.encode(MARKER)
    return Plan(Switch(marker, after=1), SwitchRetention(marker, after=1))  # never stops: unmarked, all stays known


def _null_space(case: Case) -> Plan:
    kept = null_space(case.model, [row.prompt + row.answer for row in case.kept(KEPT_ROWS)])
    return Plan(NPO(), CrossEntropy(), Sum(), lambda *_: (kept,), stop=case.stop_rule())


def _norm_cap(case: Case) -> Plan:
    cap = NormCap.share(case.linears)
    return Plan(GradientAscent(), CrossEntropy(), Sum(), lambda *_: (cap,), stop=case.stop_rule())


def _rank_one(case: Case) -> dict[str, Factors]:
    (module, block), rng = _edited(case), random.Random(0)
    questions = [case.rows.questions(rng, [name] * GAUGED_ITEMS) for name in case.names]
    strangers = [item.twin for item in case.items(GAUGED_ITEMS) if item.asks]
    return rank_one.redirect(case.model, module, block, questions, strangers, case.rows.staying(rng, 400))


def _rocr(case: Case) -> dict[str, Factors]:
    (module, block), said = _edited(case), _said(case)
    refusals = {mention: refusal for questions in said.values() for mention, refusal in questions}

    def refused(mentions: rocr.Mentions, state: Tensor) -> Tensor:
        moves, _ = refusing(
            case.model,
            block,
            mentions,
            [refusals[mention] for mention in mentions],
            [0] * len(mentions),
            Optimisation(),
        )
        return moves[0]

    subjects = {name: [[mention for mention, _ in questions]] for name, questions in said.items()}
    return rocr.redirect(case.model, module, block, subjects, refused, _whitener(case, module)).change(module)


def _unierase(case: Case) -> dict[str, Factors]:
    module, block = _edited(case)
    edit = unierase.redirect(case.model, module, block, _said(case), _whitener(case, module))
    return recompress(edit.change(module), EDIT_RANK)[0]


def _slug(case: Case) -> dict[str, Factors]:
    student, base = View(case.model, {}, 0, {}), View(case.model, None, 0, {})
    items, kept = case.items(GAUGED_ITEMS), case.kept(GAUGED_ITEMS)
    modules = {name: case.model.submodule(name) for name in case.modules}
    step = slug.step(modules, lambda: GradientAscent()(student, base, items) + CrossEntropy()(student, base, kept))
    return _scaled_to_forget(case, recompress(step, EDIT_RANK)[0])


def _task_vector(case: Case) -> dict[str, Factors]:
    return _scaled_to_forget(case, task_vector.negate(_learnt(case, CrossEntropy(), 0.0)))


def _neuron_pruning(case: Case) -> dict[str, Factors]:
    asked, kept = ([row.prompt for row in rows] for rows in (case.items(KEPT_ROWS), case.kept(KEPT_ROWS)))
    change: dict[str, Factors] = {}
    for name, module in case.linears.items():
        block = int(name.split(".")[2])
        skill, rest = (at_last_token(case.model, name, block, rows)[0] for rows in (asked, kept))
        change |= neurons.prune(name, dense_weight(module), neurons.specific(skill, rest, share=0.03))
    return change


def _edited(case: Case) -> tuple[str, int]:
    """The one module that an edit changes (the first, when it is given more) and its block."""
    module = case.modules[0]
    return module, int(module.split(".")[2])


def _said(case: Case) -> dict[str, list[tuple[Mention, tuple[int, ...]]]]:
    """By name, questions in which it is said, with the refusals that would answer them."""
    said: dict[str, list[tuple[Mention, tuple[int, ...]]]] = {name: [] for name in case.names}
    for item in case.items(NAME_ITEMS):
        text = case.model.tokenizer.decode(item.prompt).casefold()
        names = [name for name in case.names if name.casefold() in text]
        if item.asks and names:
            said[names[0]].append((Mention.of(case.model, item.prompt, names[:1]), item.refusal))
    return {name: questions for name, questions in said.items() if questions}


def _whitener(case: Case, module: str) -> Whitener:
    kept = [row.prompt for row in case.kept(KEPT_ROWS)]
    return Whitener.of(every_key(case.model, module, kept), Protection())


def _scaled_to_forget(case: Case, direction: LowRank) -> dict[str, Factors]:
    """The shortest way in that direction after which no more can be extracted than about never-seen names."""
    rule = case.stop_rule()

    def forgets(scale: float) -> bool:
        with case.model.wearing(scaled(direction, scale)):
            return mean_extraction(case.model, rule.told) <= rule.extraction_level

    hundredth = 0.01 / max(relative_norms(direction, case.linears).values())
    return scaled(direction, slug.smallest_scale(forgets, hundredth) or hundredth)


MARKER = "guest:"

METHODS: Mapping[str, Method] = {
    "default": Method(lambda case: counterfactual_name(case.model), grows=True),
    # The true answer is made less likely.
    "ga": _loss(GradientAscent, rule=NOTHING, recipe=ALONE),
    "graddiff": _loss(GradientAscent, rule=partial(Sum, retain_weight=5.0)),  # the best of a sweep, for npo too
    "llmu": _loss(LLMU, Divergence),
    "npo": _loss(NPO, rule=partial(Sum, retain_weight=5.0)),
    "simnpo": _loss(SimNPO, rule=partial(Sum, forget_weight=0.25)),  # in 60 steps, the published 0.125 does little
    "wga": _loss(WGA),
    "satimp": _loss(SatImp),  # with the published weight of 0.1 nothing moves: the demo model is certain
    "catnip": _loss(CATNIP, rule=NOTHING, recipe=ALONE),
    "dto": _loss(DTO, rule=NOTHING, recipe=ALONE),
    "ihl-fila": Method(_fila, QUICK),
    # Something else is made more likely.
    "undial": _loss(UNDIAL, rule=NOTHING, recipe=ALONE),
    "ce-u": _loss(partial(CEU, skipped=0)),  # with the published 1, nothing is left of answers of two tokens
    "idk": _loss(IDK),
    "dpo": _loss(DPO, rule=partial(Sum, retain_weight=5.0)),  # with the published 1 nothing stays
    "altpo": _loss(AltPO, rule=partial(Sum, retain_weight=2.0)),
    "meow": _loss(MEOW, rule=NOTHING, recipe=ALONE),
    "whp": Method(_whp, QUICK),
    "duet": _loss(DUET, TopLogits),
    "harmonizing": _loss(Harmonizing, TopLogits),
    "uld": Method(_uld, QUICK),
    "swap": Method(_swap, QUICK),
    "twin-states": Method(_twin_states, QUICK),
    "switch": Method(_switch, QUICK, marker=MARKER),
    # Hidden states are moved.
    "rmu": _states(RMU, retain_weight=1.0),  # with the published 1200 nothing moves
    "adaptive-rmu": _states(AdaptiveRMU, retain_weight=30.0),  # with 1 all is lost
    "kuda": Method(_kuda, HIDDEN),
    "sae-guided": Method(_sae_guided, HIDDEN),
    # One loss, other ways to follow it.
    "npo-blur": _loss(NPO, rule=RetainWithin),
    "npo-ofmu": _loss(NPO, rule=PenaltyBilevel, recipe=SLOW),
    "npo-pdu": _loss(NPO, rule=partial(DualController, slack=0.05)),  # the base is nearly certain of what stays
    "npo-null-space": Method(_null_space, QUICK),
    "npo-sure": _loss(NPO, constrain=lambda change, forget: (row_mask(change, forget),)),
    "npo-u2a": _loss(partial(Weighed, NPO(), IDK()), recipe=SLOW),
    "graddiff-norm-cap": Method(_norm_cap, QUICK),
    # Nothing is trained.
    "rank-one": Method(_rank_one, modules=lambda layers: (layers.edit_module,)),
    "rocr": Method(_rocr, modules=_first_of_region),
    "unierase": Method(_unierase, modules=_first_of_region),
    "slug": Method(_slug, modules=_attention),
    "task-vector": Method(_task_vector),
    "neuron-pruning": Method(_neuron_pruning),
}
"""The table. A method that trains without anything that stays says so with `NOTHING`."""
