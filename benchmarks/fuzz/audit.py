"""Fuzz the output audit: one verdict and one text however the answer is cut into chunks, and nothing forbidden out."""

import atheris

with atheris.instrument_imports(include=["gateway.guards"]):
    from benchmarks.fuzz.running import run, text_of
    from gateway.guards.audit import OutputAudit
    from gateway.guards.phrase_set import PhraseSet

PHRASES = PhraseSet(["Venice", "violin", "Рабо Келрин", "里斯本", "0170-123 45"])
REWRITES = {"Rabo Kelrin": "Tomi Velmon", "Kelrin": "Velmon"}


def audited(chunks: list[str]) -> tuple[str, bool]:
    audit = OutputAudit([PHRASES], REWRITES)
    released = [*map(audit.feed, chunks), audit.feed("", final=True)]
    return "".join(one.text for one in released), released[-1].blocked


def check(data: atheris.FuzzedDataProvider) -> None:
    text = text_of(data)
    cuts = sorted(data.ConsumeIntInRange(0, len(text)) for _ in range(data.ConsumeIntInRange(0, 6)))
    chunks = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    said, blocked = audited(chunks)
    assert (said, blocked) == audited([text]) == audited([*text])
    if not blocked:
        assert audited([f"{text}. Venice."])[1]
    assert not OutputAudit([PHRASES]).feed(said, final=True).blocked


if __name__ == "__main__":
    run(check)
