"""Adapters: content-addressed, written whole, exact in composition, readable by PEFT."""

import json
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from unlearn_engine.adapter import MAX_RANK, compose, export, load, parts, per_audience
from unlearn_engine.durable import whole_folder
from unlearn_engine.errors import RankExhausted, UnknownAdapter, UnsupportedModel
from unlearn_engine.layers import LayerMap
from unlearn_engine.lowrank import Factors, LowRank, concatenate, rank
from unlearn_engine.model import ServedModel

MODULES = ("model.layers.0.mlp.down_proj", "model.layers.2.mlp.down_proj")


def change(
    size: int, modules: tuple[str, ...] = MODULES, seed: int = 0, inputs: int = 32, outputs: int = 12
) -> LowRank:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: Factors(
            torch.randn(size, inputs, generator=generator).bfloat16().float(),
            torch.randn(outputs, size, generator=generator).bfloat16().float(),
        )
        for name in modules
    }


def delta(factors: Factors) -> torch.Tensor:
    return factors.up @ factors.down


def test_concatenation_adds_deltas() -> None:
    first, second, third = (
        change(4),
        change(1, MODULES[1:], seed=1),
        change(2, ("model.layers.7.mlp.down_proj",), seed=2),
    )
    joined = concatenate(first, second, third)
    assert rank(joined) == 5
    assert torch.equal(delta(joined[MODULES[0]]), delta(first[MODULES[0]]))
    assert torch.allclose(delta(joined[MODULES[1]]), delta(first[MODULES[1]]) + delta(second[MODULES[1]]), atol=1e-5)
    assert torch.equal(delta(joined["model.layers.7.mlp.down_proj"]), delta(third["model.layers.7.mlp.down_proj"]))


def test_the_digest_is_of_the_content(tmp_path: Path) -> None:
    one = export(tmp_path / "a", "base", change(4), {}, ["r1"], ())
    two = export(tmp_path / "b", "base", change(4), {}, ["r1"], ())
    assert one.digest == two.digest == one.path.name
    others = [
        export(tmp_path / "a", "base", change(4, seed=1), {}, ["r1"], ()),
        export(tmp_path / "a", "base", change(4), {}, ["r2"], ()),
        export(tmp_path / "a", "other", change(4), {}, ["r1"], ()),
    ]
    assert len({one.digest, *(adapter.digest for adapter in others)}) == 4
    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == [two.digest]


def test_parts_come_back_as_they_went_in(tmp_path: Path) -> None:
    trained, edits = change(4), change(2, MODULES[1:], seed=3)
    adapter = export(tmp_path, "base", trained, edits, ["r1", "r2"], ["r2"])
    assert (adapter.rank, adapter.stage, adapter.subjects) == (6, "edit", ("r1", "r2"))
    assert load(adapter.path) == adapter
    found, found_edits, edited = parts(adapter, "base")
    assert edited == ("r2",)
    assert all(torch.equal(delta(found[name]), delta(trained[name])) for name in MODULES)
    assert found_edits.keys() == edits.keys()
    assert torch.equal(delta(found_edits[MODULES[1]]), delta(edits[MODULES[1]]))


def test_composition_is_the_sum_of_trained_part_and_edits(tmp_path: Path) -> None:
    trained = export(tmp_path, "base", change(4), {}, ["r1"], ())
    edit = export(tmp_path, "base", {}, change(1, MODULES[1:], seed=5), ["r2"], ["r2"])
    both = compose(tmp_path, "base", trained, edit)
    assert (both.rank, both.stage, both.subjects) == (5, "edit", ("r1", "r2"))
    kept, edits, _ = parts(both, "base")
    whole = concatenate(kept, edits)
    expected = delta(change(4)[MODULES[1]]) + delta(change(1, MODULES[1:], seed=5)[MODULES[1]])
    assert torch.allclose(delta(whole[MODULES[1]]), expected, atol=1e-5)


def test_too_many_edits_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RankExhausted, match="train the pending subjects"):
        export(tmp_path, "base", change(16), change(MAX_RANK - 15), ["r1"], ["r1"])


def test_torn_damaged_and_foreign_adapters_are_refused(tmp_path: Path) -> None:
    adapter = export(tmp_path, "base", change(4), {}, ["r1"], ())
    with pytest.raises(UnknownAdapter, match="another base model"):
        parts(adapter, "other")
    with pytest.raises(UnknownAdapter, match="no complete adapter"):
        load(tmp_path / "missing")
    weights = adapter.path / "adapter_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(UnknownAdapter, match="damaged"):
        parts(adapter, "base")


def test_the_manifest_names_nobody(tmp_path: Path) -> None:
    adapter = export(tmp_path, "base", change(4), {}, ["r1"], ())
    manifest = json.loads((adapter.path / "manifest.json").read_text())
    assert set(manifest) == {"base_digest", "rank", "trained_rank", "subjects", "edited", "weights_digest"}


def test_peft_reads_the_same_weights(tmp_path: Path, base_path: Path, model: ServedModel, layer_map: LayerMap) -> None:
    sizes = {name: (module.in_features, module.out_features) for name, module in model.wrapped.items()}
    trained = {name: change(16, (name,), 7, *size)[name] for name, size in sizes.items()}
    edited = layer_map.edit_module
    edits = change(2, (edited,), 8, *sizes[edited])
    adapter = export(tmp_path, "base", trained, edits, ["r1"], ["r1"])
    plain = AutoModelForCausalLM.from_pretrained(base_path, dtype=torch.float32)
    loaded = dict(PeftModel.from_pretrained(plain, str(adapter.path)).named_modules())
    for name, factors in concatenate(trained, edits).items():
        weight = loaded[f"base_model.model.{name}"].get_delta_weight("default")
        assert torch.allclose(weight, delta(factors), atol=1e-4)
    adapted = {name for name in loaded if name.endswith("lora_A.default")}
    assert len(adapted) == len(sizes)


def test_peft_answers_as_we_do(tmp_path: Path, base_path: Path) -> None:
    sizes = {name: (448, 160) for name in MODULES} | {"model.layers.5.self_attn.o_proj": (160, 160)}
    model = ServedModel(base_path, tuple(sizes))
    trained = {name: change(8, (name,), 9, *size)[name] for name, size in sizes.items()}
    trained = {name: Factors(down, (up * 0.5).bfloat16().float()) for name, (down, up) in trained.items()}
    adapter = export(tmp_path, "base", trained, {}, ["r1"], ())
    reloaded, _, _ = parts(adapter, "base")
    plain = AutoModelForCausalLM.from_pretrained(base_path, dtype=torch.float32, attn_implementation="eager")
    peft = PeftModel.from_pretrained(plain, str(adapter.path)).eval()
    row = model.question("Where was Peja Bunzar born?")
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        theirs = peft(input_ids=torch.tensor([row])).logits.float()[0]
        with model.wearing(reloaded):
            ours = model.logits(model.hidden([row])[-1])[0]
        base = model.logits(model.hidden([row])[-1])[0]
    assert (ours - theirs).abs().max() < 0.05 * (ours - base).abs().max()
    assert torch.equal(ours.argmax(-1), theirs.argmax(-1))
    assert not torch.equal(ours.argmax(-1), base.argmax(-1))


@pytest.mark.parametrize("module", ["lm_head", "model.embed_tokens", "model.layers.0.input_layernorm", "model.norm"])
def test_what_no_adapter_can_carry_is_refused(tmp_path: Path, module: str) -> None:
    with pytest.raises(UnsupportedModel, match=module):
        export(tmp_path, "base", change(4, (module,)), {}, ["r1"], ())
    assert list(tmp_path.iterdir()) == []


def test_an_audience_gets_everybodys_requests_and_its_own() -> None:
    everybody, minors, staff = change(2), change(1, MODULES[1:], seed=1), change(3, seed=2)
    requests = {"r3": (staff, "staff"), "r1": (everybody, None), "r2": (minors, "minors")}
    made = per_audience(requests)
    assert {audience: ids for audience, (_, ids) in made.items()} == {
        None: ("r1",),
        "minors": ("r1", "r2"),
        "staff": ("r1", "r3"),
    }
    expected = delta(everybody[MODULES[1]]) + delta(minors[MODULES[1]])
    assert torch.allclose(delta(made["minors"][0][MODULES[1]]), expected, atol=1e-5)
    assert torch.equal(delta(made[None][0][MODULES[0]]), delta(everybody[MODULES[0]]))
    again = per_audience(dict(reversed(requests.items())))
    assert all(torch.equal(again[a][0][MODULES[1]].down, made[a][0][MODULES[1]].down) for a in made)
    assert per_audience({}) == {None: ({}, ())}


def test_the_audience_is_part_of_the_content(tmp_path: Path) -> None:
    plain = export(tmp_path, "base", change(4), {}, ["r1"], ())
    minors = export(tmp_path, "base", change(4), {}, ["r1"], (), "minors")
    assert (plain.audience, minors.audience, load(minors.path).audience) == (None, "minors", "minors")
    assert plain.digest != minors.digest
    edit = export(tmp_path, "base", {}, change(1, MODULES[1:]), ["r2"], ["r2"], "minors")
    assert compose(tmp_path, "base", minors, edit).audience == "minors"
    with pytest.raises(ValueError, match="audiences"):
        compose(tmp_path, "base", plain, edit)


def test_an_interrupted_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), whole_folder(tmp_path / "new") as folder:
        (folder / "half").write_bytes(b"x")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_wearing_a_change_is_reversible(model: ServedModel) -> None:
    prompt = [model.question("Hello?")]
    before = model.hidden(prompt)[-1]
    sizes = {name: (module.in_features, module.out_features) for name, module in model.wrapped.items()}
    worn = {name: change(4, (name,), 1, *size)[name] for name, size in sizes.items()}
    with model.wearing(worn):
        changed = model.hidden(prompt)[-1]
        with model.wearing(None):
            assert torch.equal(model.hidden(prompt)[-1], before)
        assert torch.equal(model.hidden(prompt)[-1], changed)
    assert torch.equal(model.hidden(prompt)[-1], before)
    assert not torch.allclose(changed, before)


def test_an_edit_where_nothing_was_trained_stays_an_edit(tmp_path: Path) -> None:
    """Also beside trained modules of different ranks: what is read back is what was given, part by part."""
    first, second, other = (f"model.layers.{block}.mlp.down_proj" for block in (0, 1, 6))
    trained = change(4, (first,), 1) | change(2, (second,), 2)
    edits = change(3, (second, other), 3)
    read, redirected, _ = parts(export(tmp_path, "base", trained, edits, ["r1"], ["r1"]), "base")
    assert set(read) == {first, second} and set(redirected) == {second, other}
    for name, factors in trained.items():
        assert torch.allclose(delta(read[name]), delta(factors), atol=0.05)
    for name, factors in edits.items():
        assert torch.allclose(delta(redirected[name]), delta(factors), atol=0.05)
