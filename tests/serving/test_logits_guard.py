"""The logits processor without an engine: batches are put together by hand."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer
from vllm import SamplingParams
from vllm.sampling_params import StructuredOutputsParams
from vllm.v1.sample.logits_processor import BatchUpdate, MoveDirectionality

from gateway.guards.phrases import VocabularyIndex
from gateway.serving import logits_guard
from gateway.serving.logits_guard import TABLES_KEY, LogitsGuard, Tables
from gateway.serving.vocabulary import special_ids, token_bytes
from gateway.serving.worker_extension import GuardWorkerExtension

NAME = "Peja Bunzar"


@pytest.fixture(scope="module")
def tokenizer(model_path: Path) -> Any:
    return AutoTokenizer.from_pretrained(model_path)


@pytest.fixture(scope="module")
def vocab_size(model_config: dict[str, Any]) -> int:
    return int(model_config["vocab_size"])


@pytest.fixture
def guard(tokenizer: Any, vocab_size: int, monkeypatch: pytest.MonkeyPatch) -> LogitsGuard:
    tables = Tables(VocabularyIndex(token_bytes(tokenizer, vocab_size)))
    monkeypatch.setattr(logits_guard, "_tables", tables)
    tables.load({"names": [NAME]})
    guard = LogitsGuard.__new__(LogitsGuard)
    guard._tables = tables
    guard._special = special_ids(tokenizer)
    guard._eos = tokenizer.eos_token_id
    guard._device = torch.device("cpu")
    guard._rows = {}
    return guard


def added(guard: LogitsGuard, *rows: tuple[Any, list[int], list[int]]) -> None:
    """Put requests into the batch: (extra arguments, prompt ids, output ids)."""
    entries = [
        (index, SamplingParams(extra_args=extra), prompt, output) for index, (extra, prompt, output) in enumerate(rows)
    ]
    guard.update_state(BatchUpdate(len(rows), removed=[], added=entries, moved=[]))


def allowed(guard: LogitsGuard, rows: int, vocab_size: int) -> list[set[int]]:
    """Token ids left in each row of flat logits."""
    logits = guard.apply(torch.zeros(rows, vocab_size))
    return [set(torch.nonzero(row > float("-inf")).flatten().tolist()) for row in logits]


def test_a_name_cannot_be_spelt_by_any_path_of_tokens(guard: LogitsGuard, tokenizer: Any, vocab_size: int) -> None:
    for spelt in (NAME, NAME.upper(), " ".join(NAME), NAME.replace(" ", "-"), "Ｐｅｊａ Ｂｕｎｚａｒ", "Péja Bùnzar"):
        for pieces in (tokenizer.encode(spelt), [i for char in spelt for i in tokenizer.encode(char)]):
            output: list[int] = []
            added(guard, ({TABLES_KEY: ["names"]}, [], output))
            stopped = False
            for token in pieces:
                if token not in allowed(guard, 1, vocab_size)[0]:
                    stopped = True
                    break
                output.append(token)
            assert stopped, spelt


def test_other_text_is_free(guard: LogitsGuard, tokenizer: Any, vocab_size: int) -> None:
    output: list[int] = []
    added(guard, ({TABLES_KEY: ["names"]}, [], output))
    for token in tokenizer.encode("Peja Bunzel and Otto Bunzar met in Lisbon."):
        assert token in allowed(guard, 1, vocab_size)[0]
        output.append(token)


@pytest.mark.parametrize(
    "extra", [None, {}, {TABLES_KEY: None}, {TABLES_KEY: ["other"]}, {TABLES_KEY: ["names", "other"]}, {TABLES_KEY: 7},
              {TABLES_KEY: [["names"]]}, {"unlearn": []}]
)  # fmt: skip
def test_without_known_tables_only_the_end_is_possible(guard: LogitsGuard, vocab_size: int, extra: Any) -> None:
    added(guard, (extra, [5, 6], []), ({TABLES_KEY: []}, [5, 6], []))
    blocked, free = allowed(guard, 2, vocab_size)
    assert blocked == {guard._eos}
    assert len(free) == vocab_size


def test_an_error_blocks_its_row_and_no_other(guard: LogitsGuard, vocab_size: int) -> None:
    class Broken(list):  # type: ignore[type-arg]
        def __len__(self) -> int:
            raise RuntimeError("broken")

    added(guard, ({TABLES_KEY: ["names"]}, [], []), ({TABLES_KEY: []}, [], []))
    guard._rows[0].output = Broken()
    assert [len(row) for row in allowed(guard, 2, vocab_size)] == [1, vocab_size]
    assert guard._tables.errors == 1
    assert allowed(guard, 2, vocab_size)[0] == {guard._eos}


def test_rows_are_followed_when_the_batch_changes(guard: LogitsGuard, tokenizer: Any, vocab_size: int) -> None:
    last = tokenizer.encode(NAME)[-1]
    begun = tokenizer.encode(NAME)[:-1]
    added(guard, ({TABLES_KEY: ["names"]}, [], begun), ({TABLES_KEY: []}, [], []), (None, [], []))

    def state() -> list[str]:
        rows = allowed(guard, len(guard._rows), vocab_size)
        return ["blocked" if len(row) == 1 else "free" if last in row else "guarded" for row in rows]

    assert state() == ["guarded", "free", "blocked"]
    swap = [(0, 2, MoveDirectionality.SWAP)]
    guard.update_state(BatchUpdate(3, removed=[], added=[], moved=swap))
    assert state() == ["blocked", "free", "guarded"]
    guard.update_state(BatchUpdate(2, removed=[0], added=[], moved=[(2, 0, MoveDirectionality.UNIDIRECTIONAL)]))
    assert state() == ["guarded", "free"]


def test_a_name_begun_in_the_prompt_is_not_completed(guard: LogitsGuard, tokenizer: Any, vocab_size: int) -> None:
    *begun, last = tokenizer.encode(NAME)
    turn = next(iter(guard._special))
    added(guard, ({TABLES_KEY: ["names"]}, [9, *begun], []), ({TABLES_KEY: ["names"]}, [*begun, turn], []))
    completing, other_turn = allowed(guard, 2, vocab_size)
    assert last not in completing
    assert last in other_turn


def test_when_a_choice_leaves_nothing_the_answer_ends(guard: LogitsGuard, tokenizer: Any, vocab_size: int) -> None:
    *begun, last = tokenizer.encode(NAME)
    params = SamplingParams(
        extra_args={TABLES_KEY: ["names"]}, structured_outputs=StructuredOutputsParams(choice=[NAME])
    )
    guard.update_state(BatchUpdate(1, removed=[], added=[(0, params, [], begun)], moved=[]))
    logits = torch.full((1, vocab_size), float("-inf"))
    logits[0, last] = 1.0
    assert int(guard.apply(logits).argmax()) == guard._eos


def test_empty_phrases_and_strange_ids_do_no_harm(guard: LogitsGuard, vocab_size: int) -> None:
    assert GuardWorkerExtension().unlearn_load_tables({"odd": ["", " ", "\u200b", "…", NAME]}) == ""
    added(guard, ({TABLES_KEY: ["odd"]}, [-1, vocab_size + 5], [-1, vocab_size + 5]))
    assert len(allowed(guard, 1, vocab_size)[0]) > vocab_size // 2


def test_the_worker_extension_tells_an_error_without_its_text(guard: LogitsGuard) -> None:
    extension = GuardWorkerExtension()
    assert extension.unlearn_load_tables({"bad": [None]}) in {"AttributeError", "TypeError"}  # type: ignore[list-item]
    assert extension.unlearn_count_tables() == 1
    extension.unlearn_drop_tables(["names", "unknown"])
    assert extension.unlearn_count_tables() == 0
    assert json.dumps(extension.unlearn_guard_state())
