"""What can go wrong in the erasure plane: one small tree.

EraseError
├── UnsupportedModel   the model's blocks are not laid out as the engine expects
├── UnknownAdapter     an adapter folder is missing, torn, or belongs to another base model
├── RankExhausted      an adapter would need a higher rank than the server has slots for
├── UnsupportedPlacement   the device, or what quantising needs, is not there
└── ModelTooLarge      an erasure would need more memory than is free
"""


class EraseError(Exception):
    """Base of everything the erasure plane raises on purpose; messages never name a subject."""


class UnsupportedModel(EraseError):
    """The model has no `model.layers.N.mlp.down_proj`; only Llama-shaped decoders are supported."""


class UnknownAdapter(EraseError):
    """The adapter folder is missing, incomplete, or was made for another base model."""


class RankExhausted(EraseError):
    """Train the pending subjects first: closed-form edits have used up the adapter's rank."""


class UnsupportedPlacement(EraseError):
    """The device is not there, or a package is missing that holds the weights in so few bits."""


class ModelTooLarge(EraseError):
    """The message says what an erasure needs, what is free, and which options would make it fit."""
