"""Where a text goes in prompts rendered by several chat templates."""

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from gateway.guards.tokens import TokenTable
from gateway.serving.chat_format import ChatFormat
from gateway.serving.vocabulary import prompt_bytes

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% if quick %}<think></think>{% endif %}{% endif %}"
)
HEADERS = (
    "{% for m in messages %}<|head|>{{ m.role }}<|/head|>\n\n{{ m.content | trim }}<|eot|>{% endfor %}"
    "{% if add_generation_prompt %}<|head|>assistant<|/head|>\n\n{% endif %}"
)
PLAIN = (
    "{% for m in messages %}{{ m.role | upper }}: {{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)


def tokenizer_with(model_path: Path, template: str | None, *special: str) -> Any:
    tokenizer = AutoTokenizer.from_pretrained(model_path)
    tokenizer.add_special_tokens({"additional_special_tokens": [*special]})
    tokenizer.chat_template = template
    return tokenizer


@pytest.fixture(
    params=[
        (CHATML, "<|im_start|>", "<|im_end|>"),
        (HEADERS, "<|head|>", "<|/head|>", "<|eot|>"),
        (PLAIN,),
        None,
    ],
    ids=["ChatML", "headers", "no special tokens", "the demo model's"],
)
def tokenizer(request: pytest.FixtureRequest, model_path: Path) -> Any:
    if request.param is None:
        return AutoTokenizer.from_pretrained(model_path)
    return tokenizer_with(model_path, *request.param)


def added(tokenizer: Any, ids: list[int], text: str) -> str | None:
    decoded = TokenTable(prompt_bytes(tokenizer, len(tokenizer))).text(ids).text
    given = ChatFormat(tokenizer).with_added(ids, decoded, text)
    return None if given is None else tokenizer.decode(given)


def rendered(tokenizer: Any, *messages: tuple[str, str], **options: Any) -> str:
    conversation = [{"role": role, "content": content} for role, content in messages]
    return str(tokenizer.apply_chat_template(conversation, tokenize=False, add_generation_prompt=True, **options))


def encoded(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer.encode(text, add_special_tokens=False))


@pytest.mark.parametrize(
    "before",
    [(), (("system", "Be kind."),), (("user", "Hello"), ("assistant", "Yes?")), (("user", "Ask me."),)],
)
def test_a_text_ends_the_last_user_turn(tokenizer: Any, before: tuple[tuple[str, str], ...]) -> None:
    asked = rendered(tokenizer, *before, ("user", "Who is it?"))
    wanted = rendered(tokenizer, *before, ("user", "Who is it?\n\nSay nothing."))
    assert added(tokenizer, encoded(tokenizer, asked), "Say nothing.") == tokenizer.decode(encoded(tokenizer, wanted))


def test_a_question_is_one_turn(tokenizer: Any) -> None:
    assert tokenizer.decode(ChatFormat(tokenizer).question("Who is it?")) == rendered(tokenizer, ("user", "Who is it?"))


def test_what_follows_the_turn_stays_there(model_path: Path) -> None:
    tokenizer = tokenizer_with(model_path, CHATML, "<|im_start|>", "<|im_end|>")
    for options, prefill in (({"quick": True}, ""), ({}, "It is")):
        asked = rendered(tokenizer, ("user", "Who?"), **options) + prefill
        wanted = rendered(tokenizer, ("user", "Who?\n\nHush."), **options) + prefill
        assert added(tokenizer, encoded(tokenizer, asked), "Hush.") == wanted


def test_plain_text_gets_it_in_front(tokenizer: Any) -> None:
    assert added(tokenizer, encoded(tokenizer, "Once there was"), "Hush.") == "Hush.\n\nOnce there was"
    end = tokenizer.eos_token_id
    assert added(tokenizer, [end, *encoded(tokenizer, "Once")], "Hush.") == f"{tokenizer.decode([end])}Hush.\n\nOnce"


def test_a_conversation_in_another_format_is_left_alone(model_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(model_path)
    end = tokenizer.eos_token_id
    assert added(tokenizer, [*encoded(tokenizer, "a"), end, *encoded(tokenizer, "b")], "Hush.") is None


@pytest.mark.parametrize("template", [None, "{{ raise_exception('no') }}", "{{ messages[0].content | upper }}"])
def test_a_model_without_a_usable_template_is_asked_in_plain_text(model_path: Path, template: str | None) -> None:
    tokenizer = tokenizer_with(model_path, template)
    assert tokenizer.decode(ChatFormat(tokenizer).question("Who is it?")) == "Who is it?"
