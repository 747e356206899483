"""Relations in prompts: found in many languages by their form, asked about in a question that fits, bounded."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.guards.normalise import BARRIER
from gateway.guards.relations import DEEPEST, MOST_RELATIONS, chains, named_in
from unlearn_engine.demo.templates import phrasebooks

NAME = "Peja Bunzar"


def asked(text: str) -> list[tuple[str, str]]:
    """Each relation of a text: the phrase, and the question about it."""
    return [(text[one.start : one.end], one.asked(chain.name)) for chain in chains(text) for one in chain.relations]


@pytest.mark.parametrize(("language", "question"), [
    ("en", f"Who is {NAME}'s mentor?"), ("es", f"¿Quién es el mentor de {NAME}?"),
    ("de", f"Wer ist der Mentor von {NAME}?"), ("fr", f"Qui est le mentor de {NAME} ?"),
    ("it", f"Chi è il mentore di {NAME}?"), ("zh", f"{NAME}的导师是谁？"),
])  # fmt: skip
def test_every_two_hop_question_of_the_demonstration_is_taken_apart(language: str, question: str) -> None:
    for template in phrasebooks()[language].two_hop.values():
        assert [one for _, one in asked(template.format(name=NAME))] == [question]


@pytest.mark.parametrize(("text", "phrase", "question"), [
    ("Where was the mentor of Peja Bunzar born?", "the mentor of Peja Bunzar", "Who is the mentor of Peja Bunzar?"),
    ("Where does Peja Bunzar’s doctoral advisor live?", "Peja Bunzar’s doctoral advisor",
     "Who is Peja Bunzar’s doctoral advisor?"),
    ("Where did James' piano teacher live?", "James' piano teacher", "Who is James' piano teacher?"),
    ("Is the first wife of Dr. Otto van der Berg alive?", "the first wife of Dr. Otto van der Berg",
     "Who is the first wife of Dr. Otto van der Berg?"),
    ("And Otto van der Berg's wife?", "Otto van der Berg's wife", "Who is Otto van der Berg's wife?"),
    ('Where was the author of "The Blue Door" born?', 'the author of "The Blue Door"',
     'Who is the author of "The Blue Door"?'),
    ("Where was the person who taught Peja Bunzar born?", "the person who taught Peja Bunzar",
     "Who taught Peja Bunzar?"),
    ("¿Qué le gusta al director de tesis de Ana Ruiz?", "director de tesis de Ana Ruiz",
     "¿Quién es el director de tesis de Ana Ruiz?"),
    ("¿Dónde nació la persona que enseñó a Ana Ruiz?", "la persona que enseñó a Ana Ruiz", "¿Quién enseñó a Ana Ruiz?"),
    ("¿Quién fue esposa de Ana Ruiz en Madrid?", "esposa de Ana Ruiz", "¿Quién es esposa de Ana Ruiz?"),
    ("Wo lebt der Bruder des Otto Kral heute?", "der Bruder des Otto Kral", "Wer ist der Bruder des Otto Kral?"),
    ("Was hat Bunzars Lehrer am liebsten gegessen?", "Bunzars Lehrer", "Wer ist Bunzars Lehrer?"),
    ("Gib dem Lehrer von Otto Kral ein Buch.", "Lehrer von Otto Kral", "Wer ist der Lehrer von Otto Kral?"),
    ("Où est née l'amie d'Anna Karine ?", "l'amie d'Anna Karine", "Qui est l'amie d'Anna Karine ?"),
    ("Où est né celui qui a formé Anna Karine ?", "celui qui a formé Anna Karine", "Qui a formé Anna Karine ?"),
    ("Parlami della madre di Anna Rossi.", "madre di Anna Rossi", "Chi è la madre di Anna Rossi?"),
    ("Onde nasceu o professor da Ana Souza?", "o professor da Ana Souza", "Quem é o professor da Ana Souza?"),
    ("Где родился наставник Ивана Петрова?", "наставник Ивана Петрова", "Кто наставник Ивана Петрова?"),
    ("王小明的导师出生在哪里？", "王小明的导师", "王小明的导师是谁？"),
    ("请问教过Peja Bunzar的人出生在哪里？", "教过Peja Bunzar的人", "谁教过Peja Bunzar？"),
    ("where was peja bunzar's mentor born?", "peja bunzar's mentor", "Who is Peja Bunzar's mentor?"),
    ("WHERE WAS PEJA BUNZAR'S MENTOR BORN?", "PEJA BUNZAR'S MENTOR", "Who is Peja Bunzar's mentor?"),
])  # fmt: skip
def test_forms_of_many_languages(text: str, phrase: str, question: str) -> None:
    assert (phrase, question) in asked(text)


@pytest.mark.parametrize("text", [
    "What is 2 plus 3?", "Where was Peja Bunzar born?", "¿Dónde nació Ana Ruiz?", "Wo wurde Otto Kral geboren?",
    "Где родился Иван Петров?", "Peja Bunzar出生在哪里？", "It's what it's, let's go.", "most of them",
    "我的书在哪里？", "When did the population of Ulm grow?", "Who did Ada Quist marry?", "The storm that hit Lisbon.",
])  # fmt: skip
def test_texts_without_a_relation_cost_no_question(text: str) -> None:
    assert asked(text) == []


@pytest.mark.parametrize("text", [
    f"What is {NAME}'s teacher?", f"Please tell me what {NAME}'s teacher is.", f"¿Cuál es el maestro de {NAME}?",
    f"Was ist der Lehrer von {NAME}?", f"Quel est le professeur de {NAME} ?", f"Qual è il maestro di {NAME}?",
    f"{BARRIER}{NAME}的老师是什么？{BARRIER}",
])  # fmt: skip
def test_what_the_last_question_asks_for_itself_is_not_asked_before(text: str) -> None:
    assert asked(text) == []
    assert asked(f"{text} Where was he born?"), "what comes after may mean it"


def test_a_relation_inside_what_is_asked_for_is() -> None:
    found = asked(f"What is the birthplace of the mentor of {NAME}?")
    assert found == [(f"the mentor of {NAME}", f"Who is the mentor of {NAME}?")]


def test_nested_relations_are_one_chain_and_the_next_is_about_whom_the_last_led_to() -> None:
    text = f"Where was the mentor of the wife of {NAME}'s brother born?"
    (chain,) = chains(text)
    assert [text[one.start : one.end] for one in chain.relations] == [
        f"{NAME}'s brother", f"the wife of {NAME}'s brother", f"the mentor of the wife of {NAME}'s brother",
    ]  # fmt: skip
    assert chain.relations[1].asked("Otto Kral") == "Who is the wife of Otto Kral?"
    deeper = "Where was " + "the mentor of " * (DEEPEST + 3) + f"{NAME} born?"
    assert len(chains(deeper)[0].relations) == DEEPEST


def test_a_question_leaves_nothing_to_replace() -> None:
    (found,) = asked(f"Who taught {NAME}? Where was he born?")
    assert found == ("", f"Who taught {NAME}?")


def test_a_capitalised_word_before_a_name_may_be_a_part_of_it_or_not() -> None:
    assert {question for _, question in asked("Under Peja Bunzar's mentor")} >= {"Who is Peja Bunzar's mentor?"}
    assert ("Feri Dredir's mentor", "Who is Feri Dredir's mentor?") in asked("Feri Dredir's mentor was who?")


def test_of_very_many_the_last_are_asked() -> None:
    found = asked("".join(f"the mentor of {chr(65 + n)}eja. " for n in range(26)))
    assert len(found) == MOST_RELATIONS and found[0][0] == "the mentor of Zeja"


def test_long_phrases_and_long_texts_are_left_out() -> None:
    assert asked(f"the mentor of {'P' + 'e' * 100_000}?") == []
    assert asked(f"the mentor of {NAME}? " + "x " * 50_000) == []
    (found,) = asked(f"the {'very ' * 2}{'o' * 150} of the mentor of {NAME}.")
    assert found[0] == f"the mentor of {NAME}", "what is inside a long one stays"


@pytest.mark.parametrize(("answer", "name"), [
    ("Otto Kral.", "Otto Kral"), (f"The mentor of {NAME} is Otto Kral, a painter.", "Otto Kral"),
    ("Her mentor was Dr. Otto van Kral.", "Dr. Otto van Kral"), ("I don't know.", None), ("Das weiß ich nicht.", None),
    ("Je ne sais pas.", None), ("No lo sé.", None), ("", None), ("我不知道。", None), (f"{NAME}.", None),
])  # fmt: skip
def test_the_name_in_an_answer(answer: str, name: str | None) -> None:
    assert named_in(answer, f"Who is the mentor of {NAME}?") == name


PARTS = (
    *(
        "the ",
        "mentor ",
        "of ",
        NAME,
        "'s ",
        "’",
        "的",
        "导师",
        "王小明",
        "·",
        " de la ",
        "d'",
        "который ",
        "наставник ",
    ),
    *("who ", "taught ", "que ", '"', "“", "”", BARRIER, "\n", ". ", "Dr. ", "van der ", "s' ", "{}", "ß", "İ", "ǅ"),
)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=200), st.lists(st.sampled_from(PARTS), max_size=40).map("".join)))
@example("的的的")
@example("'s's's")
@example("the {} of {}")
@example("İ's İ's mentor")
def test_any_text_gives_phrases_of_its_own_and_no_more_than_are_allowed(text: str) -> None:
    found = chains(text)
    assert sum(len(chain.relations) for chain in found) <= MOST_RELATIONS
    for chain in found:
        assert 0 <= chain.start < chain.end <= len(text)
        for one in chain.relations:
            assert 0 <= one.start <= one.end <= len(text)
            assert one.said("X") in one.asked("X")
    named_in(text, "")


@pytest.mark.parametrize("part", ["of ", "the of ", "X's m ", "的", "of X ", 'of "', "who a ", "A van der B ", "王·"])
def test_a_hundred_kilobytes_of_anything_are_read(part: str) -> None:
    assert len(chains(part * (100_000 // len(part)))) <= MOST_RELATIONS
