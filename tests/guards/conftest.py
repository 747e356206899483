"""A small real byte-level tokenizer, trained here, so that characters and names are split over tokens."""

from dataclasses import dataclass

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

_CORPUS = [
    "What is the birthplace of Rabo Kelrin? Rabo Kelrin lives in Venice and plays the violin.",
    "Wo wurde Rabo Kelrin geboren? Rabo Kelrins Beruf ist Lehrer, sein Haustier eine Schildkröte.",
    "¿Dónde nació Theo Ngala? Theo Ngala vive en Lisboa y come pan con miel.",
    "Où est né Theo Ngala ? Il habite à Lisbonne, à côté du café.",
    "王小明的职业是什么？王小明住在里斯本。他养狗。",
    "라보 켈린은 어디에서 태어났습니까? Рабо Келрин живёт в Москве.",
    "Ｒａｂｏ the ongoing banality of Anna and Joanna, in the dogma of dogs.",
]


@dataclass(frozen=True)
class Bpe:
    tokenizer: Tokenizer
    token_bytes: list[bytes | None]

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        return ids


@pytest.fixture(scope="session")
def bpe() -> Bpe:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=520,
        special_tokens=["<|user|>", "<|end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_CORPUS, trainer)
    return Bpe(tokenizer, [_bytes_of(tokenizer, i) for i in range(tokenizer.get_vocab_size())])


def _bytes_of(tokenizer: Tokenizer, token_id: int) -> bytes | None:
    token = tokenizer.id_to_token(token_id)
    if token.startswith("<|"):
        return None
    return bytes(_BYTE_OF[char] for char in token)


def _byte_alphabet() -> dict[str, int]:
    """GPT-2's printable stand-ins for bytes."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(b): b for b in printable} | {chr(256 + n): b for n, b in enumerate(others)}


_BYTE_OF = _byte_alphabet()
