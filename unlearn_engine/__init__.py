"""Changes the weights: data, layers, edits, training, verification of an erasure."""
