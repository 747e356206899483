"""A second device made of Python, as strict as a GPU: its tensors compute on the CPU but refuse to meet CPU tensors.

It stands in for a GPU where there is none. Registering it cannot be undone, so it is used in processes of their own.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._pytree import tree_map
from torch.utils.backend_registration import _DummyBackendModule, _setup_privateuseone_for_python_backend

NAME = "elsewhere"
_MOVES = ("aten::_to_copy", "aten::copy_", "aten::_copy_from")
_INDEXED_BY_ANY = ("aten::index.", "aten::index_put", "aten::_index_put_impl_", "aten::_unsafe_index")  # as on a GPU
_library: Any = None
_reshaping: Any = None
_inner: dict[int, tuple[StorageWeakRef, Tensor]] = {}  # by storage, which copies of a tensor object share
_sweep_at = 1 << 12


class _Backend(_DummyBackendModule):
    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]


def register() -> None:
    """Make `device="elsewhere"` known to torch in this process."""
    global _library, _reshaping
    _setup_privateuseone_for_python_backend(NAME, _Backend())
    _reshaping = torch.library.Library("aten", "IMPL")
    _library = torch.library.Library("_", "IMPL")
    _library.fallback(_fallback, "PrivateUse1")
    for reshaping in ("squeeze_.dim", "unsqueeze_", "as_strided_"):
        _reshaping.impl(reshaping, _in_place(reshaping), "PrivateUse1")
    copied = Tensor.__deepcopy__
    Tensor.__deepcopy__ = lambda self, memo: (  # type: ignore[method-assign]
        self.detach().clone() if self.device.type == NAME else copied(self, memo)  # storages hold nothing here
    )
    _library.fallback(torch.library.fallthrough_kernel, "AutocastPrivateUse1")  # everything stays in its own type


def _fallback(operation: Any, *args: Any, **kwargs: Any) -> Any:
    name = operation.name()
    if __import__("os").environ.get("DBG"):
        print(operation.name(), [tuple(a.shape) if isinstance(a, Tensor) else a for a in args])
    target = kwargs.get("device")
    given: list[Tensor] = []
    tree_map(lambda part: given.append(part) if isinstance(part, Tensor) else None, (args, kwargs))
    if not name.startswith(_MOVES):
        checked = given[:1] if name.startswith(_INDEXED_BY_ANY) else given
        if strangers := [part for part in checked if part.device.type != NAME and part.dim()]:
            raise RuntimeError(f"{name}: a CPU tensor {tuple(strangers[0].shape)} among tensors elsewhere")
    inside = {id(part): _inside(part) for part in given}
    ours = {id(inside[id(part)]): part for part in given if part.device.type == NAME}
    inner_args, inner_kwargs = tree_map(lambda part: inside.get(id(part), part), (args, kwargs))
    if target is not None:
        inner_kwargs["device"] = "cpu"
    if name in ("aten::view", "aten::_unsafe_view"):  # outside all strides are those of whole tensors
        operation = torch.ops.aten.reshape.default
    if name == "aten::_copy_from":
        source, target = inner_args[:2]
        target.copy_(source)
        return args[1]
    if name == "aten::as_strided":
        base, size, strides, *offset = inner_args
        base = base.contiguous()
        inner_args = base, size, strides, base.storage_offset() + (offset[0] or 0 if offset else 0)
    found = operation(*inner_args, **inner_kwargs)
    if target is not None and torch.device(target).type != NAME:
        return found
    return tree_map(lambda part: _outside(part, ours), found)


def _in_place(name: str) -> Callable[..., Tensor]:
    packet, _, overload = name.partition(".")
    operation = getattr(getattr(torch.ops.aten, packet.rstrip("_")), overload or "default")

    def reshape(given: Tensor, *args: Any) -> Tensor:
        given.data = _outside(operation(_inside(given), *args), {})
        return given

    return reshape


def _inside(part: Any) -> Any:
    if not isinstance(part, Tensor) or part.device.type != NAME:
        return part
    whole = _inner[part.untyped_storage()._cdata][1]
    if whole.shape == part.shape and part.is_contiguous() and not part.storage_offset():
        return whole
    if whole.numel() < part.numel():  # torch has made room in an `out` without asking
        return whole.resize_(part.shape)
    base = whole.contiguous()  # a view that torch has made of the storage without asking
    return base.as_strided(part.shape, part.stride(), base.storage_offset() + part.storage_offset())


def _outside(part: Any, ours: dict[int, Tensor]) -> Any:
    global _sweep_at
    if not isinstance(part, Tensor):
        return part
    if id(part) in ours:
        given = ours[id(part)]
        if given.shape != part.shape:  # an `out` of no size that the operation has filled
            given.data = _outside(part, {})
        return given
    made = torch._C._acc.create_empty_tensor(tuple(part.shape), part.dtype)
    reference = StorageWeakRef(made.untyped_storage())
    _inner[reference.cdata] = reference, part
    if len(_inner) > _sweep_at:
        for key in [key for key, (storage, _) in _inner.items() if storage.expired()]:
            del _inner[key]
        _sweep_at = max(1 << 12, 2 * len(_inner))
    return made
