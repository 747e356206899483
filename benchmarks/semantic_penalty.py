"""Would a soft penalty by semantic match (GUARD, arXiv 2505.13312) hit facts and spare other words?

`python -m benchmarks.semantic_penalty`. The penalty falls on words whose embedding is nearer to a forbidden word than a
threshold. Here the words are the demonstration's values, the embeddings the served model's own rows (centred, mean over
a word's tokens); hit should be the same value in another language, spared every other value of the attribute.
"""

import argparse
from pathlib import Path

import torch
from safetensors import safe_open

from unlearn_engine.demo import BASE_PATH
from unlearn_engine.demo.vocabulary import LANGUAGES, VALUES
from unlearn_engine.model import ServedModel

THRESHOLDS = (0.3, 0.5, 0.7, 0.8)


def rows(model_path: Path) -> torch.Tensor:
    """The embedding rows, centred, of unit length; [vocabulary, hidden]."""
    for file in sorted(model_path.glob("*.safetensors")):
        with safe_open(file, "pt") as tensors:
            for name in ("lm_head.weight", "model.embed_tokens.weight"):
                if name in tensors.keys():  # noqa: SIM118 it is no mapping
                    found = tensors.get_tensor(name).float()
                    return torch.nn.functional.normalize(found - found.mean(0), dim=1)
    raise FileNotFoundError(f"no embedding in {model_path}")


def measure(model_path: Path = BASE_PATH) -> dict[float, tuple[float, float]]:
    """Threshold -> share of translations reached, share of other values hit."""
    model, embedding = ServedModel(model_path), rows(model_path)

    def vectors(words: tuple[str, ...]) -> torch.Tensor:
        means = [embedding[list(model.encode(f" {word}"))].mean(0) for word in words]
        return torch.nn.functional.normalize(torch.stack(means), dim=1)

    same, other = [], []
    for by_language in VALUES.values():
        spelt = {language: vectors(tuple(by_language[language])) for language in LANGUAGES}
        for one in LANGUAGES:
            for another in LANGUAGES:
                if one != another:
                    alike = spelt[one] @ spelt[another].T
                    same.append(alike.diagonal())
                    other.append(alike[~torch.eye(len(alike), dtype=torch.bool)])
    reached, hit = torch.cat(same), torch.cat(other)
    return {at: ((reached >= at).float().mean().item(), (hit >= at).float().mean().item()) for at in THRESHOLDS}


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    for threshold, (reached, hit) in measure().items():
        print(f"threshold {threshold}: translations reached {reached:.1%}, other values hit {hit:.1%}")


if __name__ == "__main__":
    main()
