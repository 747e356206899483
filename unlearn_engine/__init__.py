"""Changes the weights: data, layers, edits, training, verification of an erasure."""

import os

# Training frees large tensors and asks for them again in every step: as huge pages they take 6 % less time.
# PyTorch reads this at its first allocation.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
