"""The bytes behind every token id, the same in the gateway and in the engine process."""

from typing import Any

from xgrammar import TokenizerInfo


def special_ids(tokenizer: Any) -> frozenset[int]:
    """Ids that stand for no text: end of answer, turn markers and the like."""
    added = {index for index, token in tokenizer.added_tokens_decoder.items() if token.special}
    return frozenset(added | set(tokenizer.all_special_ids))


def token_bytes(tokenizer: Any, vocab_size: int) -> list[bytes | None]:
    """Bytes of each of the `vocab_size` token ids; None for special tokens and ids without an entry.

    Args:
        tokenizer: a Hugging Face tokenizer (byte level, byte fallback or raw; xgrammar tells which).
        vocab_size: rows of the logits, which may exceed the tokenizer's own vocabulary.
    """
    info = TokenizerInfo.from_huggingface(tokenizer, vocab_size=vocab_size)
    special = special_ids(tokenizer) | set(info.special_token_ids)
    return [None if index in special else bytes(entry) for index, entry in enumerate(info.decoded_vocab)]


def silent_id(tokenizer: Any, vocab_size: int) -> int | None:
    """A special token that no conversation has, if there is one.

    The last: reserved ones stand there, while the first may be a second end of answers (Llama 3, Qwen).
    """
    return max((one for one in special_ids(tokenizer) - _structure(tokenizer) if one < vocab_size), default=None)


def prompt_bytes(tokenizer: Any, vocab_size: int) -> list[bytes | None]:
    """Like `token_bytes`, for reading prompts: special tokens that structure no conversation are invisible (b"").

    A client may type them (padding, reserved tokens) between the letters of a name, which would hide it.
    """
    entries = token_bytes(tokenizer, vocab_size)
    for index in special_ids(tokenizer) - _structure(tokenizer):
        if index < vocab_size:
            entries[index] = b""
    return entries


def _structure(tokenizer: Any) -> set[int]:
    """The special tokens that structure a conversation."""
    template = str(tokenizer.chat_template or "")
    named = {index for index in special_ids(tokenizer) if str(tokenizer.convert_ids_to_tokens(index)) in template}
    return named | {tokenizer.eos_token_id, tokenizer.bos_token_id}
