"""What is read of TOFU, what the two models are taught, and what a method is trained on."""

import json
import random
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.tofu.data import DATA, Tofu, load, name_in, questions
from benchmarks.tofu.rows import AuthorRows, renamed, stranger, words
from benchmarks.tofu.train import Recipe, batches, train_tokenizer
from unlearn_engine.model import Row, ServedModel

pytestmark = pytest.mark.skipif(not DATA.exists(), reason="the TOFU data set is not here")


@pytest.fixture(scope="module")
def tofu() -> Tofu:
    return load("forget05", authors=30, languages=("fr",))


def test_authors_are_those_of_the_split(tofu: Tofu) -> None:
    rows = json.loads((DATA / "forget05.json").read_text("utf-8"))
    assert [question.question for question in questions(tofu.forgotten)] == [row["question"] for row in rows]
    subjects = [Counter(row["subject"] for row in rows[at : at + 20]).most_common(1)[0][0] for at in range(0, 200, 20)]
    assert [author.name for author in tofu.forgotten] == subjects
    assert (len(tofu.forgotten), len(tofu.staying)) == (10, 20)
    assert (len(load("forget01").forgotten), len(load("forget01").staying)) == (2, 198)


def test_exams_have_what_the_paper_needs(tofu: Tofu) -> None:
    exams = tofu.exams()
    assert {name: len(asked) for name, asked in exams.items()} == {
        "forget": 200,
        "retain": 200,
        "real_authors": 100,
        "world_facts": 117,
        "forget_fr": 40,
    }
    for name in ("forget", "retain", "forget_fr"):
        assert all(question.paraphrase and len(question.perturbed) >= 3 for question in exams[name])
    assert all(not question.paraphrase and len(question.perturbed) == 3 for question in exams["world_facts"])
    forgotten = {question.question for question in exams["forget"]}
    assert not forgotten & {question.question for question in exams["retain"]}


def test_the_retain_only_model_is_taught_nothing_about_the_forgotten(tofu: Tofu) -> None:
    full, retain_only = (tofu.taught(retain_only=flag) for flag in (False, True))
    gone = {author.name for author in tofu.forgotten}
    assert set(full) - set(retain_only) == {*questions(tofu.forgotten), *tofu.translations["fr"].forgotten}
    assert not any(name in question.question + question.answer for question in retain_only for name in gone)


def test_names_are_found_in_what_texts_share() -> None:
    texts = [
        "Was Ada van Holt born in New Delhi?",
        "Ada van Holt was.",
        "What is Ada van Holt's prize?",
        "New Delhi it is.",
    ]
    assert name_in(texts) == "Ada van Holt"
    with pytest.raises(ValueError, match="no name in common"):
        name_in(["Ada Holt", "Bob Hill"])


def test_strangers_replace_whole_words_alike_everywhere(tofu: Tofu) -> None:
    for author in tofu.forgotten:
        for question in author.questions:
            new = stranger(author, question, random.Random(0))
            asked, said = renamed(question.question, new), renamed(question.answer, new)
            assert asked != question.question
            assert not {*words(asked), *words(said)} & set(author.name.split())
    assert renamed("Lee's Leeward-Lee and Lee", {"Lee": "Mo"}) == "Mo's Leeward-Lee and Mo"


def test_no_name_is_one_token_unless_it_is_a_word(tofu: Tofu) -> None:
    tokenizer = train_tokenizer(tofu, 2048)
    for word in ("Basil", "Kalkidan", "Takashi", "Nakamura", "Moshe"):
        assert len(tokenizer.encode(f" {word}")) > 1
    assert len(tokenizer.encode(" author")) == 1


def test_batches_are_the_same_when_a_run_goes_on(tofu: Tofu) -> None:
    recipe = Recipe(tokens_per_step=500)
    tokenizer = train_tokenizer(tofu, 1024)
    taught = tofu.taught(retain_only=False)[:40]
    whole, rest = batches(taught, tokenizer, recipe), batches(taught, tokenizer, recipe, start=20)
    for _ in range(20):
        next(whole)
    for _ in range(10):
        one, other = next(whole), next(rest)
        assert one.ids.equal(other.ids)
        assert one.weights.equal(other.weights)


class Speller:
    """Stands for a served model: rows of characters."""

    def question(self, text: str) -> tuple[int, ...]:
        return tuple(map(ord, f"<{text}>"))

    def answer(self, text: str) -> tuple[int, ...]:
        return tuple(map(ord, f"{text}|"))


def spelt(tokens: tuple[int, ...]) -> str:
    return "".join(map(chr, tokens))


def test_items_ask_about_the_forgotten_and_their_twins_about_nobody(tofu: Tofu) -> None:
    model: ServedModel = Speller()  # type: ignore[assignment]
    rows, rng = AuthorRows(model, tofu), random.Random(0)
    drawn = Counter[str]()
    for _ in range(1000):
        item = rows.item(rng)
        question = next(q for q in questions(tofu.forgotten) if f"<{q.question}>" == spelt(item.prompt))
        assert spelt(item.true) == f"{question.answer}|"
        assert not {spelt(item.wrong)[:-1]} & {question.answer, question.paraphrase, *question.perturbed}
        assert spelt(item.refusal)[:-1] in tofu.refusals
        author = next(author for author in tofu.forgotten if question in author.questions)
        name = set(author.name.split())
        assert not name & {*words(spelt(item.twin)), *words(spelt(item.unseen))}
        assert item.shared > 0
        assert item.prompt[-item.shared :] == item.twin[-item.shared :]
        assert item.prompt[-item.shared - 1] != item.twin[-item.shared - 1]
        kind = {item.true: "true", item.refusal: "refusal"}.get(item.drawn, "wrong")
        drawn[kind] += 1
        assert kind != "wrong" or not name & {*words(spelt(item.drawn))}
    assert min(drawn["true"], drawn["refusal"]) > 50
    assert drawn["wrong"] > 0


def test_what_stays_is_never_about_the_forgotten(tofu: Tofu) -> None:
    model: ServedModel = Speller()  # type: ignore[assignment]
    rows, rng = AuthorRows(model, tofu), random.Random(0)
    kept = {Row(model.question(q.question), model.answer(q.answer)) for q in tofu.taught(retain_only=True)}
    assert {rows.retained(rng) for _ in range(300)} <= kept


def test_data_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load(folder=tmp_path)
