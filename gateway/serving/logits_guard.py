"""Runs inside the engine: forbids every token that would complete a forbidden phrase, in any spelling.

A request names the tables that apply to it in `extra_args[TABLES_KEY]`; the phrases themselves were loaded before by
`collective_rpc`. Whatever is not as expected (no key, an unknown table, an error) blocks the row: only the end of the
answer may be produced. An exception here would end the engine for everyone, so none leaves this module.

Who hears all of a name but its last token can guess it. So where the likeliest token would end a name begun before
(a phrase of a table of names), the answer ends by the token `extra_args[END_KEY]`, by which the gateway knows why.
"""

# mypy: allow-subclassing-any, no-warn-return-any
# (vLLM is left out of type checking, so its classes are Any)

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from vllm import SamplingParams
from vllm.config import VllmConfig
from vllm.tokenizers import cached_tokenizer_from_config
from vllm.v1.sample.logits_processor import BatchUpdate, LogitsProcessor, MoveDirectionality
from vllm.v1.worker.gpu.sample.logits_processor.interface import LogitsContext, LogitsProcRequestState
from vllm.v1.worker.gpu.sample.logits_processor.interface import LogitsProcessor as LogitsProcessorV2

from gateway.guards.names_tables import NAMES
from gateway.guards.phrases import PhraseTable, State, VocabularyIndex
from gateway.log_filter import SpokenOf, watch_lines
from gateway.serving.engine_process import prepare_engine_process
from gateway.serving.vocabulary import special_ids, token_bytes

TABLES_KEY = "unlearn_tables"
END_KEY = "unlearn_end"
PROMPT_TAIL = 32  # tokens


class Tables:
    """The phrase tables of this engine process, by id."""

    def __init__(self, index: VocabularyIndex) -> None:
        self._index = index
        self._tables: dict[str, PhraseTable] = {}
        self.blocked_rows = 0
        self.errors = 0
        self.spoken = SpokenOf()

    def load(self, phrases: Mapping[str, Sequence[str]]) -> None:
        """Compile and add tables; ids are content digests, so a known id needs no work."""
        for table_id, texts in phrases.items():
            if table_id not in self._tables:
                table = PhraseTable(self._index, texts)
                table.banned(table.START)  # compiled lazily: better here than in the first request's decoding step
                self._tables[table_id] = table
                self.spoken.hear(table_id, texts)

    def drop(self, ids: Iterable[str]) -> None:
        """Remove tables; unknown ids are ignored."""
        for table_id in ids:
            self._tables.pop(table_id, None)
            self.spoken.forget(table_id)

    def get(self, ids: Any) -> list[PhraseTable] | None:
        """The tables of a request, or None when it must be blocked."""
        if not isinstance(ids, list | tuple) or not all(isinstance(table_id, str) for table_id in ids):
            return None
        found = [self._tables.get(table_id) for table_id in ids]
        return None if any(table is None for table in found) else [table for table in found if table is not None]

    def counters(self) -> dict[str, int]:
        """Events that should not happen, as plain numbers."""
        return {"blocked_rows": self.blocked_rows, "errors": self.errors}

    def __len__(self) -> int:
        return len(self._tables)


_tables: Tables | None = None


def tables() -> Tables:
    """The tables of this process.

    Raises:
        RuntimeError: the engine has not created its logits guard yet.
    """
    if _tables is None:
        raise RuntimeError("the logits guard is not loaded in this process")
    return _tables


class _Row:
    """One request in the batch: its tables, how far each has read, and (V1) the tokens written so far.

    `position` counts the tokens read: on V1 those of the output, on V2 the prompt's as well; -1 on V2 before the first.
    """

    __slots__ = ("constrained", "end", "names", "output", "position", "states", "stop", "tables")

    def __init__(self, found: list[PhraseTable] | None, params: SamplingParams, output: list[int], eos: int) -> None:
        self.tables = found
        self.states = [table.START for table in found or ()]
        self.output = output
        self.position = 0
        self.stop = params.eos_token_id if params.eos_token_id is not None else eos
        extra = params.extra_args or {}
        self.end: int | None = extra.get(END_KEY)
        ids = enumerate(extra[TABLES_KEY] if found else ())
        self.names = [which for which, table_id in ids if table_id.startswith(NAMES)]
        self.constrained = params.structured_outputs is not None or bool(params.allowed_token_ids)

    def read(self, tokens: Sequence[int]) -> None:
        """Advance every table over `tokens`."""
        self.states = self.after(tokens)

    def after(self, tokens: Sequence[int]) -> list[State]:
        """Where the tables would stand after `tokens`."""
        states = []
        for table, state in zip(self.tables or (), self.states, strict=True):
            for token in tokens:
                state = table.step(state, token)
            states.append(state)
        return states

    def catch_up(self) -> None:
        """Read what has been written since the last step (V1)."""
        if self.position < len(self.output):
            self.read(self.output[self.position :])
            self.position = len(self.output)

    def banned(self, states: list[State]) -> list[np.ndarray]:
        """Token ids (int64) that may not come next, one array for each table that forbids any."""
        banned = (table.banned(state) for table, state in zip(self.tables or (), states, strict=True))
        return [ids for ids in banned if len(ids)]

    def ends_name(self, states: list[State], logits: torch.Tensor) -> bool:
        """Whether the likeliest token would end a name begun before; `banned` was asked for these states."""
        begun = [which for which in self.names if states[which].begun]
        if not begun:
            return False
        likeliest = int(logits.argmax())
        return any(likeliest in (self.tables or ())[which].banned(states[which]) for which in begun)


class LogitsGuard(LogitsProcessor, LogitsProcessorV2):
    """vLLM's interfaces of both model runners: V1 moves rows about, V2 has a slot for each request.

    V1 refuses it together with speculative decoding. V2 does not: a request owns one row for each draft token then.

    Args:
        place: the device (V1), or the request states on it (V2).
    """

    def __init__(
        self, vllm_config: VllmConfig, place: torch.device | LogitsProcRequestState, is_pin_memory: bool = False
    ) -> None:
        global _tables
        prepare_engine_process(vllm_config)
        model_config = vllm_config.model_config
        tokenizer: Any = cached_tokenizer_from_config(model_config)
        if _tables is None:
            _tables = Tables(VocabularyIndex(token_bytes(tokenizer, model_config.get_vocab_size())))
            watch_lines(_tables.spoken.named)
        self._tables = _tables
        self._special = special_ids(tokenizer)
        self._eos = tokenizer.eos_token_id or 0
        self._requests = place if isinstance(place, LogitsProcRequestState) else None
        self._device = place.device if isinstance(place, LogitsProcRequestState) else place
        self._rows: dict[int, _Row] = {}  # by place in the batch (V1) or slot (V2)

    @classmethod
    def validate_params(cls, sampling_params: SamplingParams) -> None:
        """Accept everything: a request that lacks its tables is blocked in `apply`, where it cannot be forgotten."""

    def is_argmax_invariant(self) -> bool:
        """False: greedy decoding must be guarded, too."""
        return False

    def update_state(self, batch_update: BatchUpdate | None) -> None:
        """Follow requests as they enter, leave and change places in the batch."""
        if batch_update is None:
            return
        for index in batch_update.removed:
            self._rows.pop(index, None)
        for index, params, prompt, output in batch_update.added:
            self._rows[index] = self._new_row(params, prompt, output)
        for source, target, direction in batch_update.moved:
            moved, displaced = self._rows.pop(source, None), self._rows.pop(target, None)
            if moved is not None:
                self._rows[target] = moved
            if displaced is not None and direction is MoveDirectionality.SWAP:
                self._rows[source] = displaced

    def add_request(self, req_idx: int, sampling_params: SamplingParams) -> bool:
        """V2: a request enters the batch; its tokens are read in `apply`, where they are on the device."""
        self._rows[req_idx] = row = self._new_row(sampling_params, None, [])
        row.position = -1
        return True

    def apply(self, logits: torch.Tensor, ctx: LogitsContext | None = None) -> torch.Tensor:
        """Mask forbidden tokens in place; `logits` is [batch, vocabulary], on V2 [rows, vocabulary] with `ctx`."""
        if ctx is not None:
            self._apply_to_drafts(logits, ctx)
            return logits
        for index in range(logits.shape[0]):
            self._guard(logits, index, self._rows.get(index), None)
        return logits

    def _apply_to_drafts(self, logits: torch.Tensor, ctx: LogitsContext) -> None:
        """V2: each row continues its request's tokens by the draft tokens fed to the rows before it."""
        columns = (ctx.expanded_idx_mapping, ctx.expanded_local_pos, ctx.input_ids, ctx.pos)
        drafts: list[int] = []
        for index, (slot, offset, token, position) in enumerate(zip(*(one.tolist() for one in columns), strict=True)):
            row = self._rows.get(slot)
            drafts = [*drafts, token] if offset else []
            if row is not None and row.tables is not None and not offset:
                try:
                    self._read_slot(row, slot, position + 1)
                except Exception:
                    self._tables.errors += 1
                    row.tables = None
            self._guard(logits, index, row, drafts)

    def _read_slot(self, row: _Row, slot: int, length: int) -> None:
        """Read a request's tokens up to `length`, of the prompt only its end."""
        requests = self._requests
        if requests is None:
            raise RuntimeError("made for the V1 runner, called by V2")
        if row.position < 0:
            prompt = min(int(requests.prompt_len.np[slot]), length)
            row.read(self._tail(requests.all_token_ids.gpu[slot, max(0, prompt - PROMPT_TAIL) : prompt].tolist()))
            row.position = prompt
        row.read(requests.all_token_ids.gpu[slot, row.position : length].tolist())
        row.position = max(row.position, length)

    def _guard(self, logits: torch.Tensor, index: int, row: _Row | None, drafts: list[int] | None) -> None:
        """Mask one row; `drafts` (V2) are read on trial. Most rows forbid nothing, so that no view of them is made."""
        if row is None or row.tables is None:
            self._block(logits[index], self._eos if row is None else row.stop)
            return
        try:
            if drafts is None:
                row.catch_up()
            states = row.after(drafts) if drafts else row.states
            if forbidden := row.banned(states):
                if row.end is not None and row.ends_name(states, logits[index]):
                    self._block(logits[index], row.end)
                else:
                    self._forbid(logits[index], forbidden, row)
        except Exception:
            self._tables.errors += 1
            row.tables = None
            self._block(logits[index], row.stop)

    def _new_row(self, params: SamplingParams, prompt: list[int] | None, output: list[int]) -> _Row:
        row = _Row(self._tables.get((params.extra_args or {}).get(TABLES_KEY)), params, output, self._eos)
        if row.tables is None:
            self._tables.blocked_rows += 1
            return row
        try:
            # A phrase may begin in the prompt: the client can put the first half of an answer into its mouth.
            row.read(self._tail(prompt or []))
        except Exception:
            self._tables.errors += 1
            row.tables = None
        return row

    def _tail(self, prompt: list[int]) -> list[int]:
        """The last tokens of the prompt, after its last special token: a phrase does not run over that."""
        tail = prompt[-PROMPT_TAIL:]
        special = next((at for at in range(len(tail) - 1, -1, -1) if tail[at] in self._special), -1)
        return tail[special + 1 :]

    def _forbid(self, logits: torch.Tensor, forbidden: list[np.ndarray], row: _Row) -> None:
        for ids in forbidden:
            logits.index_fill_(0, torch.from_numpy(ids).to(self._device), float("-inf"))
        # Grammars and allow-lists mask before us. When nothing is left the engine would emit token 0 for ever.
        if row.constrained and logits.max() == float("-inf"):
            self._block(logits, row.stop)

    @staticmethod
    def _block(logits: torch.Tensor, stop: int) -> None:
        logits.fill_(float("-inf"))
        logits[stop] = 0.0
