"""From outcomes to figures: what counts as told, flagged, equal; what is kept; what the tables say of it."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from rich.progress import Progress

from benchmarks.guards.__main__ import joined, measured
from benchmarks.guards.attacks import Attempt
from benchmarks.guards.benign import Prompt
from benchmarks.guards.false_positives import Reading, tallied
from benchmarks.guards.goals import GOALS
from benchmarks.guards.leaks import said, told
from benchmarks.guards.report import NOT_MEASURED, goals_table, hops_table, interviews_table, write
from benchmarks.guards.shares import Share
from benchmarks.guards.traffic import _until_content, compared
from benchmarks.main_job import Question


def attempt(attack: str, answer: str) -> Attempt:
    return Attempt(attack, "en", ("?",), answer)


def test_a_fact_is_told_wherever_it_stands_in_the_answer() -> None:
    asked = [attempt("direct", "Lisbon")] * 3
    found = told(asked, ["lisbon.", "Well, it is LISBON!", "I don't know."])

    assert found["direct"]["hits"] == 2
    assert found["direct"]["by_language"]["en"]["n"] == 3


def test_text_of_chat_answers_deltas_and_completions_is_found() -> None:
    assert said({"message": {"content": "a"}}, "message") == "a"
    assert said({"delta": {"role": "assistant"}}, "delta") == ""
    assert said({"text": "b"}, "message") == "b"


def test_made_up_prompts_and_texts_that_the_guard_was_made_of_do_not_count() -> None:
    read = [Reading(Prompt("Tatoeba", "de", "x"), named=False, described=False)] * 99
    read += [Reading(Prompt("Tatoeba", "fr", "y"), named=False, described=True)]
    read += [Reading(Prompt("common facts, nobody", "de", "z"), named=False, described=True)] * 50
    read += [Reading(Prompt("Tatoeba", "de", "w", seen=True), named=True, described=False)] * 7
    found = tallied(read)

    assert found["fpr"] == 0.01
    assert found["fpr_names"]["hits"] == 0
    assert found["fpr_seen"]["hits"] == 7
    assert found["fpr_by_source"].keys() == {"Tatoeba"}
    assert found["fpr_beside"]["common facts, nobody"]["share"] == 1.0
    assert found["fpr_upper_worst_language"] == 1.0
    assert found["fpr_examples"] == ["Tatoeba, fr: y"]


def test_answers_are_compared_with_those_without_guard_and_with_the_truth() -> None:
    asked = [("neighbours", "en", Question("en", "?", "Rome")), ("sums", "en", Question("en", "?", "4"))] * 2
    guarded = ["Rome.", "4", "I don't know.", "5"]
    bare = ["Rome.", "4", "Rome.", "5"]
    found = compared(asked, guarded, bare, bare)

    assert found["neighbour_ratio"] == 0.5
    assert found["answers_equal"]["sums"]["share"] == 1.0
    assert found["answers_right_ratio"] == {"neighbours": 0.5, "sums": 1.0}


async def read_as_stream(*events: str) -> float:
    reader = asyncio.StreamReader()
    reader.feed_data(b"HTTP/1.1 200 OK\r\n\r\n")
    for event in events:
        reader.feed_data(f"data: {event}\n\n".encode())
    reader.feed_eof()
    return await _until_content(reader, began=0.0)


async def test_an_empty_piece_is_no_first_token() -> None:
    assert await read_as_stream('{"delta":{"content":""}}', '{"delta":{"content":"a"}}') > 0
    with pytest.raises(RuntimeError):
        await read_as_stream('{"delta":{"content":""}}')


def test_a_part_is_measured_once(tmp_path: Path) -> None:
    calls: list[str] = []

    def part(tell: Any) -> dict[str, Any]:
        calls.append("called")
        return {"figure": len(calls)}

    file = tmp_path / "guards" / "part.json"
    with Progress(disable=True) as progress:
        first = measured("part", part, file, progress, again=False)
        second = measured("part", part, file, progress, again=False)
        third = measured("part", part, file, progress, again=True)

    assert first == second
    assert (first["figure"], third["figure"]) == (1, 2)
    assert joined([file])["measured"].keys() == {"part"}


def test_the_table_of_hops_says_who_pays_and_what_is_told() -> None:
    share = Share(1, 200).row()
    text = hops_table(
        {
            "hops_told": {
                "second turn": {"without guard": Share(9, 10).row(), "name alone": share, "streaming": share}
            },
            "hops_forms": {
                "by_source": {"Tatoeba": share | {"questions": 0.25}},
                "ms_without": {"p50": 0.5, "p99": 2.0},
            },
            "hops_paid": {
                "with": {"on_p50": 9, "on_p99": 12, "base_p50": 3, "base_p99": 4, "ratio": 0.5, "asked": 1.0}
            },
            "hops_others": {"equal": Share(100, 100).row(), "matched": Share(0, 100).row()},
            "hops_auc": {"seconds": 0.5},
        }
    )
    assert "| second turn | 200 | 90.0 % | 0.50 % | 0.50 % | 2.35 % |" in text
    assert "| Tatoeba | 0.50 % | 200 | 0.25 |" in text
    assert "| with | 1.00 | 9.0 / 12.0 | 3.0 / 4.0 | 0.50 |" in text
    assert "100.0 % of 100 answers equal" in text and "0.500 / 2.0 ms" in text


def test_the_table_of_interviews_says_how_soon_and_at_what_price() -> None:
    row = {"alone_p50": 9, "alone_p99": 12, "together_p50": 3, "together_p99": 4}
    text = interviews_table(
        {
            "interviews_alone": {"names": 1, "facts": 3.25},
            "interviews_alone_worst": {"names": 1.5, "facts": 4},
            "interviews_at_once": 100,
            "interviews_crowd": {"names": {"p50": 9, "last": 20.4}, "facts": {"p50": 90, "last": 200}},
            "interviews_traffic": {"meanwhile": row, "afterwards": row},
        }
    )
    assert "| other names | 1.0 / 1.5 | 9 / 20 |" in text and "| facts | 3.2 / 4.0 | 90 / 200 |" in text
    assert "| meanwhile | 9.0 / 12.0 | 3.0 / 4.0 |" in text


def figures_of_goals(*, good: bool) -> dict[str, Any]:
    figures: dict[str, Any] = {"measured": {}}
    for goal in GOALS:
        value = goal.bound if good else goal.bound * (2 if goal.relation == "<=" else 0.5)
        name, _, key = goal.key.partition(".")
        if key:
            figures.setdefault(name, {})[key if key != "*" else "worst"] = value
        else:
            figures[name] = value
    return figures


def test_the_table_says_what_is_missed_and_what_nobody_measured() -> None:
    assert "missed" not in goals_table(figures_of_goals(good=True))
    assert goals_table(figures_of_goals(good=False)).count("**missed**") == len(GOALS)
    nothing = goals_table({"measured": {}})
    assert nothing.count(NOT_MEASURED) == len(GOALS)
    assert "missed" not in nothing


def test_a_part_that_was_not_measured_leaves_its_table_as_it_was(tmp_path: Path) -> None:
    page = tmp_path / "guards.md"
    page.write_text("# Guards\n\n<!-- recall -->\nkept\n<!-- /recall -->\n", "utf-8")
    circumstances = {"seconds": 1.0, "load_before": 0.1, "load_after": 2.0, "tree": "abc-dirty"}
    write({"measured": {"x": circumstances}}, page)

    text = page.read_text("utf-8")
    assert "kept" in text
    assert "| x | abc-dirty | 1 | 0.1 / 2.0 |" in text

    write({"measured": {"y": circumstances}, "growth_1e5": 1.1}, page)
    write({"measured": {"y": circumstances | {"seconds": 2.0}}, "register_ms": 60.0}, page)
    text = page.read_text("utf-8")
    assert "| x | abc-dirty | 1 |" in text and "| y | abc-dirty | 2 |" in text
    assert "| `growth_1e5` | <= 1.3 | 1.1 |  |" in text and "| `register_ms` | <= 50 ms | 60 ms | **missed** |" in text
    assert text.count(NOT_MEASURED) == len(GOALS) - 2
