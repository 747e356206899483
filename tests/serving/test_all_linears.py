"""An adapter over any of a block's linear layers, fused by vLLM or not, is served as the merged model would answer."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from tests.conftest import ADAPTABLE, LINEARS, Gateway
from tests.serving.test_swap import BASE, OFF
from unlearn_engine.adapter import export
from unlearn_engine.lowrank import Factors
from unlearn_engine.model import base_digest

PROMPTS = ("Where was Peja Bunzar born?", "What is the capital of France?", "1, 2, 3, 4,", "A long story about a dog")
STRENGTH = 1.0  # of the change to a weight, relative to its norm
SLACK = 0.35  # of log probabilities: bfloat16 against float32, whatever the processor makes of it
CHANGED_BY = 1.0

Logprobs = list[dict[str, float]]


@pytest.fixture(scope="module")
def model(model_path: Path) -> PreTrainedModel:
    loaded: PreTrainedModel = AutoModelForCausalLM.from_pretrained(model_path, dtype=torch.float32)
    return loaded.eval()


@pytest.fixture(scope="module")
def tokenizer(model_path: Path) -> Any:
    return AutoTokenizer.from_pretrained(model_path)


def random_change(model: PreTrainedModel, modules: Sequence[str], rank: int) -> dict[str, Factors]:
    generator = torch.Generator().manual_seed(0)
    change = {}
    for name in modules:
        weight = model.get_submodule(name).weight.detach()
        up, down = (torch.randn(size, rank, generator=generator).bfloat16().float() for size in weight.shape)
        strength = STRENGTH * float(weight.norm() / (up @ down.T).norm())
        change[name] = Factors(down.T, (strength * up).bfloat16().float())
    return change


def served(gateway: Gateway, headers: dict[str, str]) -> Logprobs:
    """What may come next, with its log probability, for each prompt."""
    fields = {"max_tokens": 1, "temperature": 0, "logprobs": 5}
    answer = gateway.post("/v1/completions", headers=headers, model="demo", prompt=list(PROMPTS), **fields)
    assert answer.status_code == 200, answer.text
    return [choice["logprobs"]["top_logprobs"][0] for choice in answer.json()["choices"]]


@torch.no_grad()
def error(served: Logprobs, model: PreTrainedModel, tokenizer: Any) -> float:
    """The largest difference of the served log probabilities to the model's."""
    texts = [tokenizer.decode([token]) for token in range(model.config.vocab_size)]
    ids = {text: token for token, text in enumerate(texts) if texts.count(text) == 1}
    worst = 0.0
    for prompt, tops in zip(PROMPTS, served, strict=True):
        logprobs = model(torch.tensor([tokenizer(prompt)["input_ids"]])).logits[0, -1].log_softmax(-1)
        worst = max(worst, *(abs(float(logprobs[ids[text]]) - value) for text, value in tops.items() if text in ids))
    return worst


CHANGED = {linear: (linear,) for linear in LINEARS} | {
    "all": LINEARS,
    "slices missing": ("self_attn.k_proj", "mlp.up_proj"),
}


@pytest.mark.parametrize("changed", CHANGED)
def test_it_answers_as_the_merged_model(
    gateway: Gateway, model: PreTrainedModel, tokenizer: Any, model_path: Path, tmp_path: Path, changed: str
) -> None:
    gateway.apply()
    before = served(gateway, OFF)
    modules = [name for name in ADAPTABLE if name.split(".", 3)[3] in CHANGED[changed]]
    change = random_change(model, modules, rank=6)
    adapter = export(tmp_path, base_digest(model_path), change, {}, ["r1"], ())
    gateway.apply(adapter={"digest": adapter.digest, "path": str(adapter.path), "rank": adapter.rank})
    after = served(gateway, OFF)
    assert served(gateway, BASE) == before
    assert error(before, model, tokenizer) < SLACK
    assert error(after, model, tokenizer) > CHANGED_BY
    merged = copy.deepcopy(model)
    for name, factors in change.items():
        merged.get_submodule(name).weight.data += factors.up @ factors.down
    assert error(after, merged, tokenizer) < SLACK
