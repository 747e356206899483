"""What the guard reads of a prompt's tokens."""

from transformers import AutoTokenizer

from gateway.guards.tokens import TokenTable
from gateway.serving.vocabulary import prompt_bytes
from unlearn_engine.demo import BASE_PATH


def test_special_token_typed_inside_a_name_does_not_hide_it() -> None:
    tokenizer = AutoTokenizer.from_pretrained(BASE_PATH)
    ids = tokenizer.encode("Where was Li<|pad|>bo Stol<|doc|>man born?", add_special_tokens=False)
    assert tokenizer.pad_token_id in ids
    assert TokenTable(prompt_bytes(tokenizer, len(tokenizer))).text(ids).text == "Where was Libo Stolman born?"


def test_turns_of_a_conversation_stay_apart() -> None:
    tokenizer = AutoTokenizer.from_pretrained(BASE_PATH)
    table = TokenTable(prompt_bytes(tokenizer, len(tokenizer)))
    text = table.text(tokenizer.encode("Libo<|end|><|user|>Stolman", add_special_tokens=False)).text
    assert text.startswith("Libo")
    assert text.endswith("Stolman")
    assert len(text) > len("LiboStolman")
