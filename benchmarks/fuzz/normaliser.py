"""Fuzz the folding: total, the same twice, and every letter leads back to where it was written."""

import atheris

with atheris.instrument_imports(include=["gateway.guards"]):
    from benchmarks.fuzz.running import run, text_of
    from gateway.guards.lookalike import fold_lookalike
    from gateway.guards.normalise import SYMBOLS, fold, respellings


def check(data: atheris.FuzzedDataProvider) -> None:
    text = text_of(data)
    folded = fold(text)
    assert len(folded.text) == len(folded.starts) == len(folded.ends) == len(folded.edges) - 1
    assert fold(folded.text).text == folded.text
    for letter, start, end in zip(folded.text, folded.starts.tolist(), folded.ends.tolist(), strict=True):
        assert 0 <= start < end <= len(text)
        assert letter in SYMBOLS[text[start]].letters
    looked = fold_lookalike(text)
    if looked is not None:
        assert ((looked.starts >= 0) & (looked.starts < looked.ends) & (looked.ends <= len(text))).all()
    assert respellings(text)[0] == text


if __name__ == "__main__":
    run(check)
