"""Distil a sentence encoder into one vector for each word of its vocabulary, read without the model from then on.

    python -m gateway.guards.distil FOLDER OUT.safetensors

The manner of Model2Vec (github.com/MinishLab/model2vec): each word passes alone through the model, principal
components keep what tells words apart, and frequent words count less (smooth inverse frequency, Arora et al. 2017),
frequency after Zipf's law from the place in the vocabulary. Only whole words are kept: a piece of a word means nothing
by itself.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file
from transformers import AutoModel, AutoTokenizer

from gateway.guards.encoder import whole_words

DIMENSIONS = 256
SMOOTHING = 1e-4  # of the inverse frequency
_BATCH = 512
_WORDS_PER_RANK = 10.0  # Zipf: the word of rank r has a share of about 1 / (10 r)


def distilled(folder: Path, dimensions: int = DIMENSIONS) -> tuple[list[str], NDArray[np.float32]]:
    """Words, and their vectors [words, dimensions]. Raises OSError or ValueError where `folder` holds no model."""
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModel.from_pretrained(folder, local_files_only=True, dtype=torch.float32).eval()
    words = whole_words(tokenizer.get_vocab())
    passed = []
    with torch.inference_mode():
        for start in range(0, len(words), _BATCH):
            read = tokenizer(words[start : start + _BATCH], padding=True, return_tensors="pt")
            mask = read["attention_mask"].unsqueeze(-1)
            passed.append((model(**read).last_hidden_state * mask).sum(dim=1) / mask.sum(dim=1))
    vectors = torch.cat(passed).numpy().astype(np.float64)
    vectors -= vectors.mean(axis=0)
    _, _, components = np.linalg.svd(vectors, full_matrices=False)
    shares = 1 / (_WORDS_PER_RANK * np.arange(1, len(vectors) + 1))
    weights = SMOOTHING / (SMOOTHING + shares)
    return words, (vectors @ components[:dimensions].T * weights[:, None]).astype(np.float32)


def save(words: list[str], vectors: NDArray[np.float32], path: Path) -> None:
    """In eight bits each, with a scale for each word."""
    scales = np.abs(vectors).max(axis=1, keepdims=True) / 127
    table = np.rint(vectors / np.maximum(scales, 1e-12)).astype(np.int8)
    spelt = np.frombuffer("\n".join(words).encode(), dtype=np.uint8)
    save_file({"vectors": table, "scales": scales.astype(np.float16), "words": spelt}, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--dimensions", type=int, default=DIMENSIONS)
    given = parser.parse_args()
    words, vectors = distilled(given.folder, given.dimensions)
    save(words, vectors, given.out)
    print(json.dumps({"words": len(words), "dimensions": vectors.shape[1], "bytes": given.out.stat().st_size}))


if __name__ == "__main__":
    main()
