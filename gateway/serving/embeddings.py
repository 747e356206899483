"""ECO's way to guard a prompt: the tokens stay, and the embeddings of the matched ones are corrupted."""

# mypy: no-warn-return-any
# (vLLM is left out of type checking, so what it returns is Any)

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor
from vllm.inputs.engine import TokensInput, embeds_input

from gateway.guards.matcher import Match
from gateway.guards.tokens import TokenText
from gateway.serving.errors import ServingError
from unlearn_engine.corruption import Corruption

_MATRIX = "embed_tokens.weight"


class Embeddings:
    """Corrupts prompts of one model.

    Args:
        folder: with the safetensors of the model that is served.
        dtype: in which it is served.

    Raises:
        ServingError: the folder has no input embeddings under the usual name.
    """

    def __init__(self, folder: Path, dtype: torch.dtype, corruption: Corruption) -> None:
        self._rows = _matrix(folder).to(dtype)
        self._corruption = corruption

    def corrupted(self, prompt: TokensInput, text: TokenText, matches: Sequence[Match]) -> Any:
        """The prompt with the embeddings of the tokens that wrote the matches corrupted, all others as they are.

        The corruption depends on the target alone, so that a prefix that comes again is found in the engine's cache.
        """
        ids = prompt["prompt_token_ids"]
        rows = torch.zeros(len(ids), self._rows.shape[1], dtype=self._rows.dtype)
        kept = [True] * len(ids)
        for match in matches:
            first, last = text.tokens(match.start, match.end)
            rows[first:last] = self._corruption(self._rows[ids[first:last]], _seed(match.target))
            kept[first:last] = [False] * (last - first)
        return embeds_input(
            rows,
            prompt=prompt.get("prompt"),
            cache_salt=prompt.get("cache_salt"),
            prompt_token_ids=list(ids),
            is_token_ids=kept,
        )


def _seed(target: str) -> int:
    return int.from_bytes(hashlib.sha256(target.encode()).digest()[:7])


def _matrix(folder: Path) -> Tensor:
    """The input embeddings, [vocabulary, hidden]; mapped from the file, read as rows are used."""
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118 (not a mapping)
                if name.endswith(_MATRIX):
                    return tensors.get_tensor(name)
    raise ServingError(f"no {_MATRIX} in {folder}: this model needs guard_input = twin")
