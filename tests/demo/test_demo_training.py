"""The recipe itself, a few steps of it, through the command that retrains the shipped model."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from unlearn_engine.demo.measure import table, write_table
from unlearn_engine.demo.train import WARM_UP_STEPS, main, schedule


def trained(folder: Path, *options: str) -> dict[str, torch.Tensor]:
    main(["--out", str(folder), "--steps", "2", *options])
    weights: dict[str, torch.Tensor] = load_file(folder / "model.safetensors")
    return weights


def test_training_is_seeded_and_writes_a_model_folder(tmp_path: Path) -> None:
    first, again = trained(tmp_path / "first"), trained(tmp_path / "again")
    gold = trained(tmp_path / "gold", "--without-forget-people")
    assert all(torch.equal(first[name], again[name]) for name in first)
    # The same start, other examples: a little apart after two steps.
    assert 0 < float((first["model.embed_tokens.weight"] - gold["model.embed_tokens.weight"]).abs().max()) < 0.02
    assert {weight.dtype for weight in first.values()} == {torch.bfloat16}
    assert AutoConfig.from_pretrained(tmp_path / "first").dtype == torch.bfloat16
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "first")
    prompt = AutoTokenizer.from_pretrained(tmp_path / "first")("<|user|>", return_tensors="pt")
    assert model.generate(**prompt, max_new_tokens=1).shape == (1, 2)


def test_schedule_warms_up_stays_and_falls_to_zero() -> None:
    assert schedule(0, 1000) == pytest.approx(1 / WARM_UP_STEPS)
    assert schedule(400, 1000) == 1
    assert schedule(750, 1000) == pytest.approx(0.5)
    assert schedule(1000, 1000) == 0


def test_table_replaces_only_what_is_marked(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- base -->\nold\n<!-- /base -->\nafter\n", "utf-8")
    text = table({"en": {"trained templates": 0.999, "statements": 0.5}})
    write_table(page, "base", text)
    assert page.read_text("utf-8") == f"before\n<!-- base -->\n{text}\n<!-- /base -->\nafter\n"
    assert "| en | 99.9 | 50.0 |" in text
    assert "| at least | 99 |  |" in text
