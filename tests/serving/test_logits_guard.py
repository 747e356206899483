"""The logits processor without an engine: batches are put together by hand."""

import json
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer
from vllm import SamplingParams
from vllm.sampling_params import StructuredOutputsParams
from vllm.v1.sample.logits_processor import (
    BatchUpdate,
    LogitsProcessor,
    MoveDirectionality,
    _load_logitsprocs_by_fqcns,
)
from vllm.v1.worker.gpu.sample.logits_processor.interface import LogitsContext, LogitsProcRequestState
from vllm.v1.worker.gpu.sample.logits_processor.interface import LogitsProcessor as LogitsProcessorV2
from vllm.v1.worker.gpu.sample.logits_processor.loader import _load_v2_logitsprocs_by_fqcns

from gateway.guards.phrases import VocabularyIndex
from gateway.serving import logits_guard
from gateway.serving.arguments import LOGITS_PROCESSOR
from gateway.serving.logits_guard import END_KEY, TABLES_KEY, LogitsGuard, Tables
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
    guard._requests = None
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


def test_where_the_likeliest_token_ends_a_name_begun_the_answer_ends(
    guard: LogitsGuard, tokenizer: Any, vocab_size: int
) -> None:
    *begun, last = tokenizer.encode(NAME)
    end = tokenizer.pad_token_id
    added(guard, *(({TABLES_KEY: ["names"], **extra}, [], begun) for extra in ({END_KEY: end}, {END_KEY: end}, {})))
    logits = torch.zeros(3, vocab_size)
    logits[0, last] = logits[2, last] = logits[1, last - 1] = 1.0
    kept = [torch.nonzero(row > float("-inf")).flatten().tolist() for row in guard.apply(logits)]
    assert kept[0] == [end]
    for row in kept[1:]:  # something else is likelier; nobody is told
        assert last not in row and len(row) > 1


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


class _Buffers(SimpleNamespace):
    """The V2 runner's token history, which real ones keep in memory shared with a GPU."""

    @classmethod
    def of(cls, *requests: tuple[list[int], list[int]]) -> LogitsProcRequestState:
        """Slots by (prompt, output)."""
        ids = torch.zeros(len(requests), 64, dtype=torch.int32)
        for slot, (prompt, output) in enumerate(requests):
            ids[slot, : len(prompt) + len(output)] = torch.tensor(prompt + output, dtype=torch.int32)
        lengths = torch.tensor([len(prompt) for prompt, _ in requests])
        buffer = partial(cls, gpu=ids)
        sizes = cls(np=lengths.numpy())
        return LogitsProcRequestState(torch.device("cpu"), len(requests), 0, buffer(), sizes, sizes, sizes)  # type: ignore[arg-type]


def step(rows: list[tuple[int, int, int, int]]) -> LogitsContext:
    """A step's layout from rows of (slot, offset among the slot's rows, token fed, position)."""
    slots, offsets, tokens, positions = (torch.tensor(column) for column in zip(*rows, strict=True))
    return LogitsContext(slots, slots.unique(), slots.unique().numpy(), offsets, tokens, positions, positions.numpy())


def left(guard: LogitsGuard, rows: list[tuple[int, int, int, int]], vocab_size: int) -> list[set[int]]:
    logits = guard.apply(torch.zeros(len(rows), vocab_size), step(rows))
    return [set(torch.nonzero(row > float("-inf")).flatten().tolist()) for row in logits]


def test_both_model_runners_take_the_class() -> None:
    assert issubclass(LogitsGuard, LogitsProcessor) and issubclass(LogitsGuard, LogitsProcessorV2)
    assert _load_v2_logitsprocs_by_fqcns([LOGITS_PROCESSOR]) == [LogitsGuard]
    assert _load_logitsprocs_by_fqcns([LOGITS_PROCESSOR]) == [LogitsGuard]


def test_v2_rows_are_found_by_slot_and_read_to_their_position(
    guard: LogitsGuard, tokenizer: Any, vocab_size: int
) -> None:
    *begun, last = tokenizer.encode(NAME)
    (other,) = tokenizer.encode("x")
    guard._requests = _Buffers.of(([5], begun), ([9, *begun], []), ([5, 6], []), ([5], [*begun, other]))
    for slot, tables in enumerate(({TABLES_KEY: ["names"]}, {TABLES_KEY: ["names"]}, None, {TABLES_KEY: ["names"]})):
        assert guard.add_request(slot, SamplingParams(extra_args=tables))
    here = len(begun)  # where the last token of the name would follow
    rows = [(3, 0, other, here + 1), (1, 0, begun[-1], here), (2, 0, 6, 1), (0, 0, begun[-1], here)]
    gone_on, from_prompt, blocked, begun_in_answer = left(guard, rows, vocab_size)
    assert last in gone_on
    assert last not in from_prompt and last not in begun_in_answer
    assert blocked == {guard._eos}


def test_v2_drafts_are_read_on_trial(guard: LogitsGuard, tokenizer: Any, vocab_size: int) -> None:
    """One row for each draft token: only after the whole beginning of the name is its end forbidden."""
    *begun, last = tokenizer.encode(NAME)
    assert len(begun) > 1
    guard._requests = _Buffers.of(([5], [8]), ([5], []))
    for slot in (0, 1):
        guard.add_request(slot, SamplingParams(extra_args={TABLES_KEY: ["names"]}))
    drafted = [(0, 0, 8, 1), *((0, offset, token, 1 + offset) for offset, token in enumerate(begun, start=1))]
    found = left(guard, [*drafted, (1, 0, 5, 0)], vocab_size)
    assert [last in row for row in found] == [True] * len(begun) + [False, True]
    # The drafts were rejected: what was read on trial is forgotten.
    assert last in left(guard, [(0, 0, 8, 1)], vocab_size)[0]
    assert guard._tables.errors == 0


def test_v2_errors_block_their_row(guard: LogitsGuard, vocab_size: int) -> None:
    guard._requests = None
    guard.add_request(0, SamplingParams(extra_args={TABLES_KEY: ["names"]}))
    assert left(guard, [(0, 0, 5, 0), (7, 0, 5, 0)], vocab_size) == [{guard._eos}, {guard._eos}]
    assert guard._tables.errors == 1
