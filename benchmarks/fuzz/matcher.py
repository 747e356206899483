"""Fuzz the search for names, decoding and other scripts included: any names, any text, spans inside the text."""

import atheris

with atheris.instrument_imports(include=["gateway.guards"]):
    from benchmarks.fuzz.running import run, text_of
    from gateway.guards.encodings import decoded_views
    from gateway.guards.matcher import NameMatcher
    from gateway.guards.sounds import spoken

KNOWN = NameMatcher(
    {"a": ["Rabo Kelrin", "Рабо Келрин"], "b": ["拉博·凯尔林"], "c": ["رابو كيلرين"], "d": ["Al-Hamad Li"]}
)


def check(data: atheris.FuzzedDataProvider) -> None:
    matcher = KNOWN
    if data.ConsumeBool():
        names = [text_of(data) for _ in range(data.ConsumeIntInRange(0, 3))]
        matcher = KNOWN.with_changes({"e": names}, {"e": names[:1]}, ["b"])
    text = text_of(data)
    for match in matcher.find(text):
        assert 0 <= match.start < match.end <= len(text)
    for view in decoded_views(text):
        assert ((view.starts >= 0) & (view.starts < view.ends) & (view.ends <= len(text))).all()
    read = spoken(text)
    for found in [read[index] for index in range(len(read.hashes))] if read is not None else ():
        assert 0 <= found.start < found.end <= len(text) and all(found.words)
    assert matcher.find(f"{text}\udcff Rabo Kelrin") != []


if __name__ == "__main__":
    run(check)
