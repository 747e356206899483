"""Names are found in prompts whatever stands around them, and what follows cannot matter."""

import pytest
import torch

from tests.unlearn_engine.edits.conftest import BLOCK, MODULE
from unlearn_engine.data.rows import shared_suffix
from unlearn_engine.edits.keys import CONTEXTS, Mention, at_last_token, every_key
from unlearn_engine.model import ServedModel
from unlearn_engine.objectives import Item


@pytest.mark.parametrize("template", [*CONTEXTS, "{name}出生在哪里？", "{name}'s job?", "Whose student is ({name})?"])
@pytest.mark.parametrize("name", ["Peja Bunzar", "Whebbus", "Mofa Zq", "Agent 17"])
def test_a_mention_ends_with_the_name(demo: ServedModel, template: str, name: str) -> None:
    mention = Mention.of(demo, template, name)
    assert mention.prompt == demo.question(template.format(name=name))
    assert demo.tokenizer.decode(mention.cut).rstrip("')").endswith(name)


def test_an_item_is_cut_at_the_same_place(demo: ServedModel) -> None:
    template = "Where was {name} born?"
    prompt, twin = (demo.question(template.format(name=name)) for name in ("Peja Bunzar", "Peja Dolnik"))
    item = Item._make([prompt, twin, shared_suffix(prompt, twin), *[()] * (len(Item._fields) - 4), True])
    assert Mention.at(item) == Mention.of(demo, template, "Peja Bunzar")


def test_what_follows_the_name_cannot_matter(demo: ServedModel) -> None:
    mentions = [Mention.of(demo, template, "Peja Bunzar") for template in ("Who is {name}", "Who is {name} to you?")]
    assert mentions[0].cut == mentions[1].cut
    keys, states = at_last_token(demo, MODULE, BLOCK, [mention.cut for mention in mentions])
    fed, hidden = demo.inputs_of(MODULE, [mention.prompt for mention in mentions])
    for row, mention in enumerate(mentions):
        assert torch.allclose(fed[row, mention.last], keys[row], rtol=0.02, atol=0.3)
        assert torch.allclose(hidden[BLOCK + 1][row, mention.last].float(), states[row], rtol=0.02, atol=1.0)
    assert keys.norm() > 10  # so that the tolerance above tells something


def test_every_key_leaves_padding_out(demo: ServedModel) -> None:
    rows = [demo.question("Hello?"), demo.question("Where was Peja Bunzar born?")]
    keys = every_key(demo, MODULE, rows)
    assert len(keys) == sum(map(len, rows))
    last, _ = at_last_token(demo, MODULE, BLOCK, rows)
    assert torch.allclose(keys[[len(rows[0]) - 1, -1]], last)
