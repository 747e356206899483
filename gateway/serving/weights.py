"""The base weights in the running engine: replaced by those of another folder of the same model, while nobody runs.

A consolidated erasure is baked into a folder (`python -m unlearn_engine.bake`) and loaded in place, without a restart
and without the cost of an adapter. No route leads here: whoever replaces weights has the process in hand.
"""

from pathlib import Path

from safetensors import SafetensorError, safe_open
from vllm.v1.engine.async_llm import AsyncLLM

from gateway.guards.policy import AdapterRef
from gateway.serving.errors import SwapFailed
from unlearn_engine.adapter import load
from unlearn_engine.bake import baked
from unlearn_engine.errors import EraseError, UnknownAdapter

Layout = dict[str, tuple[str, tuple[int, ...]]]  # tensor -> type and shape


class Weights:
    """Which folder's weights the engine holds.

    Args:
        folder: the model that the engine was started with.
    """

    def __init__(self, engine: AsyncLLM, folder: Path) -> None:
        self._engine = engine
        self.folder = folder
        self._baked = baked(folder)

    def check(self, folder: Path) -> None:
        """Whether the engine could load the weights of `folder`.

        Raises:
            SwapFailed: they are not those of the same model.
        """
        try:
            fits = _layout(folder) == _layout(self.folder)
            baked(folder)
        except (OSError, ValueError, SafetensorError, EraseError) as error:
            raise SwapFailed(f"the weights in {folder} cannot be read: {error}") from None
        if not fits:
            raise SwapFailed(f"the tensors in {folder} are not those of the model that is served")

    def lack(self, adapter: AdapterRef, folder: Path | None = None) -> bool:
        """Whether the adapter has to be loaded on these weights, or on those of `folder`; if not, it is inside them.

        Raises:
            SwapFailed: the weights hold other erasures, and the adapter was not made for them.
        """
        record = self._baked if folder is None else baked(folder)
        if record is None:
            return True
        if adapter.digest in record.adapters:
            return False
        try:
            made_for = load(Path(adapter.path)).base_digest
        except UnknownAdapter as error:
            raise SwapFailed(str(error)) from None
        if made_for != record.digest:
            raise SwapFailed(
                f"adapter {adapter.digest[:16]} was not made for the baked weights that are served; "
                "reload the weights it was made for, or bake it"
            )
        return True

    async def replace(self, folder: Path) -> None:
        """Load the weights of `folder`; every adapter leaves the engine. Nothing may be generated meanwhile.

        Whatever this raises, the engine's weights are unknown until a later call succeeds.
        """
        await self._engine.pause_generation(mode="wait")  # also empties the caches, which hold the old weights' work
        try:
            await self._engine.collective_rpc("reload_weights", kwargs={"weights_path": str(folder)})
        finally:
            await self._engine.resume_generation()
        self.folder, self._baked = folder, baked(folder)


def _layout(folder: Path) -> Layout:
    found: Layout = {}
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, "numpy") as tensors:
            for name in tensors.keys():  # noqa: SIM118 - safe_open is no mapping
                part = tensors.get_slice(name)
                found[name] = (part.get_dtype(), tuple(part.get_shape()))
    if not found:
        raise OSError(f"no safetensors in {folder}")
    return found
