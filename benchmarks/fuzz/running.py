"""What the fuzzers share: running one under atheris, and text that is often near what the guards look for."""

import sys
from collections.abc import Callable

import atheris

PIECES = (
    *("Rabo Kelrin", "Rabo", "Kelrin", "R4b0", "rabo", " ", ".", "-", "\n", ",", "s", "\u0301", "\u200b", "\ud800"),
    *("\udcff", "UmFibyBLZWxyaW4=", "5261626f", "%52%61", "&#82;", "\\u0052", "\\", "\\u", "<b>", "KJQWE3Y=", "U+0052"),
    *(
        "Рабо Келрин",
        "Ράμπο Κέλριν",
        "拉博·凯尔林",
        "请问",
        "ラボ・ケルリン",
        "라보 켈린은",
        "रैबो",
        "رابو كيلرين",
        "аль-",
        "ом",
    ),
    *("painter", "Lisbon", "violin", "Venice", "0170-123 45", "\ufdfa", "ß", "İ", "ﬁ", "한", "\u1112"),
)


def text_of(data: atheris.FuzzedDataProvider) -> str:
    """Any text of up to some thousand characters, lone surrogates included, strewn with telling pieces."""
    text = ""
    for _ in range(data.ConsumeIntInRange(0, 12)):
        if data.ConsumeBool():
            text += PIECES[data.ConsumeIntInRange(0, len(PIECES) - 1)]
        else:
            text += str(data.ConsumeUnicode(data.ConsumeIntInRange(0, 24)))
    return text * int(data.ConsumeIntInRange(1, 8))


def run(check: Callable[[atheris.FuzzedDataProvider], None]) -> None:
    """Call `check` with generated input until it raises or libFuzzer's flags on the command line end it."""
    atheris.Setup(sys.argv, lambda data: check(atheris.FuzzedDataProvider(data)))
    atheris.Fuzz()
