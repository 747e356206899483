"""The served model as the erasure sees it: rows of token ids in, hidden states and greedy answers out."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers import AutoTokenizer

from unlearn_engine import memory
from unlearn_engine.errors import UnsupportedModel
from unlearn_engine.lowrank import LowRank, LowRankLinear
from unlearn_engine.placement import ON_CPU, Placement
from unlearn_engine.recomputed import Recomputed

ANSWER_TOKENS = 24  # the longest short answer we elicit; a refusal in any of the languages fits
BATCH = 256


class Row(NamedTuple):
    """A prompt and the answer that follows it, as token ids."""

    prompt: tuple[int, ...]
    answer: tuple[int, ...]


def base_digest(model_path: Path) -> str:
    """Hex sha256 over the model's safetensors files in name order."""
    digest = hashlib.sha256()
    for file in sorted(model_path.glob("*.safetensors")):
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


class ServedModel:
    """A causal language model whose wrapped modules can wear a low-rank change.

    Stored in whatever type the folder has, held and computed in what the placement says. What comes out lies on
    `device`, wherever the blocks are. Raises ModelTooLarge, before any weight is read, when there is not the memory
    to work with it (to train it where `modules` are given), and UnsupportedPlacement.
    """

    def __init__(self, path: Path, modules: Sequence[str] = (), placement: Placement = ON_CPU) -> None:
        memory.require(path, placement, memory.ERASURE if modules else memory.READING)
        self._checkpointing = placement.checkpointing
        self._computed_in_bf16 = placement.autocast
        self.network = placement.load(path)
        self.network.eval().requires_grad_(False)
        self.tokenizer = AutoTokenizer.from_pretrained(path)
        self.decoder: Callable[..., Any] = self.network.get_decoder()
        self.unembed: Callable[[Tensor], Tensor] = self.network.get_output_embeddings()
        self.blocks = int(self.network.config.num_hidden_layers)
        end = self.network.generation_config.eos_token_id or self.tokenizer.eos_token_id
        self.end_ids = tuple(end) if isinstance(end, list) else (end,)
        self._wrapped: dict[str, LowRankLinear] = {}
        for name in modules:
            parent, _, child = name.rpartition(".")
            frozen = getattr(self.submodule(parent), child, None)
            if not isinstance(frozen, nn.Linear):
                raise UnsupportedModel(f"{name} is not a linear layer of this model")
            self._wrapped[name] = LowRankLinear(frozen)
            setattr(self.submodule(parent), child, self._wrapped[name])
        for part in (part for block in self.decoder.layers for part in (block.self_attn, block.mlp)):
            part.register_forward_pre_hook(_in_bf16, with_kwargs=True)
        self.encode = lru_cache(maxsize=1 << 17)(self._encode)
        with torch.no_grad():
            self.hidden([[0]])  # the first reading decides which blocks report their outputs: it has to be of all

    @property
    def device(self) -> torch.device:
        """Where rows go in, and where hidden states and logits come out."""
        device: torch.device = self.network.get_input_embeddings().weight.device
        return device

    def submodule(self, name: str) -> nn.Module:
        """The module of that full name; raises UnsupportedModel when there is none."""
        try:
            found: nn.Module = self.network.get_submodule(name)
        except AttributeError:
            raise UnsupportedModel(f"the model has no {name}") from None
        return found

    @property
    def wrapped(self) -> dict[str, nn.Linear]:
        """The frozen linear layers that can wear a change, by full name."""
        return {name: module.frozen for name, module in self._wrapped.items()}

    @contextmanager
    def wearing(self, change: LowRank | None) -> Iterator[None]:
        """Inside the block the model computes with the change, wherever it lies; None is the untouched base."""
        before = {name: module.worn for name, module in self._wrapped.items()}
        for name, module in self._wrapped.items():
            module.wear(change.get(name) if change else None)
        try:
            yield
        finally:
            for name, module in self._wrapped.items():
                module.worn = before[name]

    def _encode(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer.encode(text, add_special_tokens=False))

    def question(self, text: str) -> tuple[int, ...]:
        """Token ids of a one-turn conversation, ready for the answer."""
        if self.tokenizer.chat_template is None:
            return self.encode(text + "\n")
        rendered = self.tokenizer.apply_chat_template(
            [{"role": "user", "content": text}], add_generation_prompt=True, tokenize=False
        )
        return self.encode(rendered)

    def answer(self, text: str) -> tuple[int, ...]:
        """Token ids of an answer and the end of its turn."""
        return (*self.encode(text), self.end_ids[0])

    def hidden(
        self, rows: Sequence[Sequence[int]], *, depth: int | None = None, first: int = 0, inputs: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """Hidden states of right-padded rows: the embeddings, each block's output, the last one after the final norm.

        Each [batch, tokens, hidden]. Padding needs no mask because attention is causal. With `depth` only that many
        blocks are computed, and no norm. With `first`, the blocks below it are not computed either: `inputs` are their
        output for these rows, and the tuple starts with them.
        """
        depth = self.blocks if depth is None else depth
        fed = {"input_ids": right_padded(rows).to(self.device)} if inputs is None else {"inputs_embeds": inputs}
        with self._only_blocks(first, depth), self._autocast():
            states: tuple[Tensor, ...] = self.decoder(**fed, output_hidden_states=True, use_cache=False).hidden_states
        return tuple(state.to(self.device) for state in states)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self._computed_in_bf16)

    @contextmanager
    def _only_blocks(self, first: int, depth: int) -> Iterator[None]:
        decoder: Any = self.decoder
        layers, norm = decoder.layers, decoder.norm
        if self._checkpointing and torch.is_grad_enabled():
            worn = {name: module.worn for name, module in self._wrapped.items() if module.worn}
            decoder.layers = nn.ModuleList(Recomputed(block, self.wearing, worn) for block in layers[first:depth])
        elif (first, depth) != (0, self.blocks):
            decoder.layers = layers[first:depth]
        if depth < self.blocks:
            decoder.norm = nn.Identity()
        try:
            yield
        finally:
            decoder.layers, decoder.norm = layers, norm

    @torch.no_grad()
    def inputs_of(self, module: str, rows: Sequence[Sequence[int]]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """What a wrapped module is fed [batch, tokens, in_features] for right-padded rows, and the hidden states."""
        fed: list[Tensor] = []
        handle = self._wrapped[module].register_forward_pre_hook(lambda _, inputs: fed.append(inputs[0].float()))
        try:
            states = self.hidden(rows)
        finally:
            handle.remove()
        return fed[0], states

    def logits(self, hidden: Tensor) -> Tensor:
        """Unembed final hidden states [..., hidden] to fp32 logits [..., vocabulary]."""
        with self._autocast():
            return self.unembed(hidden).float().to(self.device)

    def logit_lens(self, hidden: Tensor) -> Tensor:
        """Logits of a block's output [..., hidden] (not the last one's), unembedded at once after the final norm."""
        decoder: Any = self.decoder
        return self.logits(decoder.norm(hidden))

    @torch.no_grad()
    def mean_log_likelihoods(self, rows: Sequence[Row]) -> list[float]:
        """Mean log-probability per answer token of each row, in nats."""
        found = [0.0] * len(rows)
        for batch in batches([len(row.prompt) + len(row.answer) for row in rows]):
            part = [rows[index] for index in batch]
            last = self.hidden([row.prompt + row.answer for row in part])[-1]
            owner = [place for place, row in enumerate(part) for _ in row.answer]
            before = [len(row.prompt) - 1 + step for row in part for step in range(len(row.answer))]
            said = torch.tensor([token for row in part for token in row.answer], device=self.device)
            scores = self.logits(last[owner, before]).log_softmax(-1).gather(1, said[:, None])[:, 0]
            sums = scores.new_zeros(len(part)).index_add(0, torch.tensor(owner, device=self.device), scores)
            for place, index in enumerate(batch):
                found[index] = float(sums[place]) / len(part[place].answer)
        return found

    @torch.no_grad()
    def answers(self, prompts: Sequence[Sequence[int]], limit: int = ANSWER_TOKENS) -> list[str]:
        """Greedy completions as text without special tokens, each of at most `limit` tokens."""
        found = [""] * len(prompts)
        for batch in batches([len(prompt) for prompt in prompts]):
            for index, ids in zip(batch, self._greedy([prompts[index] for index in batch], limit), strict=True):
                found[index] = self.tokenizer.decode(ids, skip_special_tokens=True).strip()
        return found

    def _greedy(self, prompts: Sequence[Sequence[int]], limit: int) -> list[list[int]]:
        width = max(map(len, prompts))
        device = self.device
        ids = torch.tensor([[0] * (width - len(prompt)) + list(prompt) for prompt in prompts], device=device)
        mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=device)
        ends = torch.tensor(self.end_ids, device=device)
        chosen: list[Tensor] = []
        finished = torch.zeros(len(prompts), dtype=torch.bool, device=device)
        cache: Any = None
        while len(chosen) < limit and not bool(finished.all()):
            positions = (mask.cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :]
            with self._autocast():
                output = self.decoder(
                    input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True
                )
            cache = output.past_key_values
            token = self.logits(output.last_hidden_state[:, -1]).argmax(-1)
            token = torch.where(finished, ends[0], token)
            finished |= torch.isin(token, ends)
            chosen.append(token)
            ids = token[:, None]
            mask = torch.cat([mask, torch.ones_like(ids)], dim=1)
        return torch.stack(chosen, dim=1).tolist()


def _in_bf16(
    part: nn.Module, inputs: tuple[Any, ...], options: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    """Cast once, under autocast, what it would cast anew for each linear layer, and the rotation as vLLM has it."""
    given = (*inputs, options.get("hidden_states"))
    if not torch.is_autocast_enabled(next(one for one in given if one is not None).device.type):
        return None
    options = dict(options)
    if "hidden_states" in options:
        options["hidden_states"] = options["hidden_states"].bfloat16()
    if "position_embeddings" in options:
        options["position_embeddings"] = tuple(half.bfloat16() for half in options["position_embeddings"])
    return tuple(one.bfloat16() for one in inputs), options


def right_padded(rows: Sequence[Sequence[int]]) -> Tensor:
    """Stack rows of different lengths to [batch, longest], filled up with 0 on the right."""
    width = max(map(len, rows))
    return torch.tensor([[*row, *[0] * (width - len(row))] for row in rows])


def batches(lengths: Sequence[int]) -> list[list[int]]:
    """Indexes grouped by similar length, at most BATCH together, so that little is padding."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    return [order[start : start + BATCH] for start in range(0, len(order), BATCH)]
