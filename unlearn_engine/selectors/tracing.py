"""Causal tracing: the blocks whose MLPs bring a fact back after its subject was blurred.

After ROME (arXiv 2202.05262, section 2.1) as used by KUDA (arXiv 2602.19275): Gaussian noise of three times the
embeddings' standard deviation is added to the subject's tokens, the MLP outputs of a window of blocks are put back to
what they were without noise, and the effect of the window is what this returns of the answer's probability::

    effect = p(answer | noise, window restored) - p(answer | noise)

p is the geometric mean over the answer's tokens (our choice: answers differ in length), MLP outputs are restored at all
positions, and the noise is the same with and without the window.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from unlearn_engine.model import ServedModel
from unlearn_engine.objectives.reading import places
from unlearn_engine.selectors import DOWN_PROJ, Calibration, Selection, Told, modules_in

NOISE = 3.0  # standard deviations of the embeddings' entries


@dataclass(frozen=True)
class CausalTrace:
    """The window of `width` blocks with the largest mean effect."""

    width: int = 3
    samples: int = 4  # of the noise
    noise: float = NOISE
    seed: int = 0
    linears: tuple[str, ...] = DOWN_PROJ

    def __call__(self, calibration: Calibration) -> Selection:
        """Trace the told facts; the scores are the effect of the window that begins at each block."""
        generator = torch.Generator().manual_seed(self.seed)
        effects = trace(calibration.model, calibration.told, self.width, self.samples, self.noise, generator)
        first = max(range(len(effects)), key=effects.__getitem__)
        padded = (*effects, *[0.0] * (calibration.model.blocks - len(effects)))
        return modules_in(calibration.model, range(first, first + self.width), self.linears, {"effect": padded})


@torch.no_grad()
def trace(
    model: ServedModel, told: Sequence[Told], width: int, samples: int, noise: float, generator: torch.Generator
) -> tuple[float, ...]:
    """Mean effect by window, the window from block 0 first; blocks - width + 1 of them. Forward passes only."""
    mlps = [model.submodule(f"model.layers.{block}.mlp") for block in range(model.blocks)]
    with _recording(mlps) as clean:
        probability(model, told)
    effects = [0.0] * (model.blocks - width + 1)
    for _ in range(samples):
        with _blurred(model, told, noise, generator):
            corrupted = probability(model, told)
            for first in range(len(effects)):
                with _restoring(mlps[first : first + width], clean[first : first + width]):
                    effects[first] += (probability(model, told) - corrupted) / samples
    return tuple(effects)


def subject_span(prompt: Sequence[int], twin: Sequence[int]) -> range:
    """Which tokens of a prompt are the subject's name: those that differ from the same prompt about somebody else.

    A token that both names begin or end with is left out; the whole of a short name may be such tokens.
    """
    pairs = list(zip(prompt, twin, strict=False))
    before = next((place for place, (one, other) in enumerate(pairs) if one != other), len(pairs))
    pairs = list(zip(reversed(prompt), reversed(twin), strict=False))
    after = next((place for place, (one, other) in enumerate(pairs) if one != other), len(pairs))
    return range(before, max(before, len(prompt) - after))


@torch.no_grad()
def probability(model: ServedModel, told: Sequence[Told]) -> float:
    """Mean over the facts of the geometric mean of the answer tokens' probabilities, as the model stands."""
    rows = [entry.row for entry in told]
    whole = [row.prompt + row.answer for row in rows]
    at = places(whole, [len(row.answer) for row in rows], before=1)
    said = torch.tensor([token for row in rows for token in row.answer], device=model.device)
    scores = model.logits(model.hidden(whole)[-1][at]).log_softmax(-1).gather(1, said[:, None])[:, 0]
    lengths = torch.tensor([len(row.answer) for row in rows], device=model.device)
    return float((scores.new_zeros(len(rows)).index_add(0, at[0].to(model.device), scores) / lengths).exp().mean())


@contextmanager
def _recording(mlps: Sequence[nn.Module]) -> Iterator[list[Tensor]]:
    found: list[Tensor] = []
    with ExitStack() as hooks:
        for mlp in mlps:
            hooks.callback(mlp.register_forward_hook(lambda _, __, output: found.append(output)).remove)
        yield found


@contextmanager
def _restoring(mlps: Sequence[nn.Module], outputs: Sequence[Tensor]) -> Iterator[None]:
    with ExitStack() as hooks:
        for mlp, before in zip(mlps, outputs, strict=True):
            hooks.callback(mlp.register_forward_hook(lambda _, __, ___, before=before: before).remove)
        yield


@contextmanager
def _blurred(model: ServedModel, told: Sequence[Told], noise: float, generator: torch.Generator) -> Iterator[None]:
    embedding: nn.Embedding = model.network.get_input_embeddings()
    longest = max(len(entry.row.prompt) + len(entry.row.answer) for entry in told)
    added = torch.zeros(len(told), longest, embedding.embedding_dim)
    for blur, entry in zip(added, told, strict=True):
        blur[list(entry.subject)] = torch.randn(len(entry.subject), embedding.embedding_dim, generator=generator)
    added = (noise * float(embedding.weight.detach().std()) * added).to(embedding.weight)
    handle = embedding.register_forward_hook(lambda _, __, output: output + added)
    try:
        yield
    finally:
        handle.remove()
