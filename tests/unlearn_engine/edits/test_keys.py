"""Names are found in prompts whatever stands around them, and what follows cannot matter."""

import pytest
import torch

from tests.unlearn_engine.edits.conftest import BLOCK, MODULE
from unlearn_engine.edits.keys import CONTEXTS, Mention, at_last_token, every_key
from unlearn_engine.model import ServedModel


@pytest.mark.parametrize("template", [*CONTEXTS, "{name}出生在哪里？", "{name}'s job?", "Whose student is ({name})?"])
@pytest.mark.parametrize("name", ["Peja Bunzar", "Whebbus", "Mofa Zq", "Agent 17"])
def test_a_mention_ends_with_the_name(demo: ServedModel, template: str, name: str) -> None:
    prompt = demo.question(template.format(name=name))
    mention = Mention.of(demo, prompt, [name])
    assert mention.prompt == prompt
    assert demo.tokenizer.decode(mention.cut).endswith(name)
    assert not demo.tokenizer.decode(mention.cut[:-1]).endswith(name)


def test_the_last_of_several_names_counts(demo: ServedModel) -> None:
    prompt = demo.question("Is Whebbus another name of Peja Bunzar, and who is Whebbus?")
    assert demo.tokenizer.decode(Mention.of(demo, prompt, ["Whebbus"]).cut).endswith("who is Whebbus")
    assert demo.tokenizer.decode(Mention.of(demo, prompt, ["Peja", "Peja Bunzar"]).cut).endswith("of Peja Bunzar")
    assert Mention.of(demo, prompt, ["peja bunzar", "nobody"]) == Mention.of(demo, prompt, ["Peja Bunzar"])
    with pytest.raises(ValueError, match="names nobody"):
        Mention.of(demo, prompt, ["Koga Purtao"])


def test_what_follows_the_name_cannot_matter(demo: ServedModel) -> None:
    prompts = [demo.question(text) for text in ("Who is Peja Bunzar", "Who is Peja Bunzar to you?")]
    mentions = [Mention.of(demo, prompt, ["Peja Bunzar"]) for prompt in prompts]
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
