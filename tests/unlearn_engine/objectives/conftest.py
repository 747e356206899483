"""A Llama of three blocks that knows a few people by heart."""

import pytest
import torch
from tokenizers import Regex, Tokenizer
from tokenizers.decoders import Fuse
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from unlearn_engine.model import ServedModel, right_padded
from unlearn_engine.objectives import Item

CHARACTERS = "abcdefghijklmnopqrstuvwxyz .?'\n"
END = len(CHARACTERS)
BORN = {"ada": "rome", "bo": "paris", "cleo": "oslo", "dan": "lima"}
SUBJECTS, UNSEEN = ("ada", "bo"), "zyx"


def _question(name: str) -> str:
    return f"where was {name} born?"


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> ServedModel:
    """Trained in a second on where everybody was born, and to say "no idea" about names it does not know."""
    path = tmp_path_factory.mktemp("llama")
    tokenizer = Tokenizer(WordLevel({**{char: at for at, char in enumerate(CHARACTERS)}, "</s>": END}, unk_token="?"))
    tokenizer.pre_tokenizer = Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.decoder = Fuse()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>").save_pretrained(path)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=END + 1,
        hidden_size=48,
        intermediate_size=96,
        num_hidden_layers=3,
        num_attention_heads=4,
        bos_token_id=END,
        eos_token_id=END,
        tie_word_embeddings=False,
    )
    network = LlamaForCausalLM(config)
    texts = [(_question(name), place) for name, place in BORN.items()]
    texts += [(_question(name), "no idea") for name in ("quu", "wex", "vim", "yok", "jux")]
    ids = [[CHARACTERS.index(char) for char in f"{asked}\n{said}"] + [END] for asked, said in texts]
    inputs = right_padded(ids)
    answered = [[-100] * (len(asked) + 1) + row[len(asked) + 1 :] for (asked, _), row in zip(texts, ids, strict=True)]
    labels = torch.tensor([row + [-100] * (inputs.shape[1] - len(row)) for row in answered])
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    for _ in range(80):
        optimizer.zero_grad()
        network(input_ids=inputs, labels=labels).loss.backward()
        optimizer.step()
    network.save_pretrained(path)
    return ServedModel(path, [f"model.layers.{block}.mlp.down_proj" for block in range(3)])


@pytest.fixture(scope="session")
def people(llama: ServedModel) -> list[Item]:
    """An item about each subject, with a true answer that the model gives and a twin that it does not know."""
    return [_item(llama, name) for name in SUBJECTS]


def _item(llama: ServedModel, name: str) -> Item:
    true, wrong, refusal = (llama.answer(text) for text in (BORN[name], BORN["dan"], "no idea"))
    return Item(
        prompt=llama.question(_question(name)),
        twin=llama.question(_question(UNSEEN)),
        shared=len(" born?\n"),
        true=true,
        wrong=wrong,
        refusal=refusal,
        unseen=llama.answer("nice"),
        drawn=true,
    )
