"""Phrase tables in the engine process, filled and emptied from here."""

from collections.abc import Collection, Mapping, Sequence

from vllm.v1.engine.async_llm import AsyncLLM

from gateway.serving.errors import SwapFailed


async def load_tables(engine: AsyncLLM, phrases: Mapping[str, Sequence[str]]) -> None:
    """Compile phrase tables in every worker, one call for all of them.

    Raises:
        SwapFailed: a worker could not compile them. The message carries the error's type only, never a phrase.
    """
    if not phrases:
        return
    # Half a surrogate pair cannot be sent, and must not keep the other phrases from being enforced.
    plain = {name: [text.encode("utf-8", "ignore").decode() for text in texts] for name, texts in phrases.items()}
    errors = [answer for answer in await engine.collective_rpc("unlearn_load_tables", args=(plain,)) if answer]
    if errors:
        raise SwapFailed(f"the engine could not compile guard tables: {', '.join(sorted(set(errors)))}")


async def drop_tables(engine: AsyncLLM, ids: Collection[str]) -> None:
    """Forget tables that no running request uses."""
    if ids:
        await engine.collective_rpc("unlearn_drop_tables", args=(sorted(ids),))
