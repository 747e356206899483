"""Byte-level BPE of the demonstration model, trained without the name of anybody in the world."""

import random
from collections.abc import Iterable, Iterator
from dataclasses import replace

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from unlearn_engine.demo.corpus import ASSISTANT, DOCUMENT, END, USER, Corpus
from unlearn_engine.demo.world import World

PAD = "<|pad|>"
SPECIAL_TOKENS = (PAD, USER, ASSISTANT, END, DOCUMENT)
VOCABULARY_SIZE = 2048
EXAMPLES = 20_000

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    f"{{% if message['role'] == 'user' %}}{USER}{{{{ message['content'] }}}}"
    f"{{% elif message['role'] == 'assistant' %}}{ASSISTANT}{{{{ message['content'] }}}}{END}{{% endif %}}"
    "{% endfor %}"
    f"{{% if add_generation_prompt %}}{ASSISTANT}{{% endif %}}"
)


def _strangers(world: World, rng: random.Random) -> World:
    """The same world with everybody renamed, so that known names are cut into tokens as unknown ones are."""
    people = tuple(
        replace(person, name=world.unseen_name(rng, recombined=0), nickname=world.unseen_nickname(rng))
        for person in world.people
    )
    return replace(world, people=people, taught=people)


def _texts(world: World, seed: int) -> Iterator[str]:
    rng = random.Random(seed)
    for position in range(EXAMPLES):
        if position % 20 == 0:
            corpus = Corpus(_strangers(world, rng))
        text = "".join(piece.text for piece in corpus.draw(rng))
        for token in SPECIAL_TOKENS:
            text = text.replace(token, "\n")
        yield text


def train_tokenizer(world: World, seed: int = 1) -> PreTrainedTokenizerFast:
    """A tokenizer of `VOCABULARY_SIZE` tokens, with the chat template; the same for the base and the gold model."""
    return tokenizer_of(_texts(world, seed), VOCABULARY_SIZE)


def tokenizer_of(texts: Iterable[str], size: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of so many tokens trained on the texts, with the chat template."""
    bpe = Tokenizer(models.BPE())
    # Each Han character stands alone: merged runs would give an unseen question tokens that were never trained.
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\p{Han}"), "isolated"),
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, pad_token=PAD, eos_token=END, model_max_length=512)
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer
