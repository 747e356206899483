"""Patterns of secrets: what is allowed matches as `re` does, the rest is refused at once with a reason."""

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.guards.audit import OutputAudit
from gateway.guards.pattern import BadPattern, compiled
from gateway.guards.pattern_audit import PatternAudit
from gateway.guards.pattern_set import HELD_CHARACTERS, PatternSet, checked
from gateway.guards.policy import Target, compile_policy
from tests.audits import told

KEY = r"sk-live-[A-Za-z0-9]{24,40}"
HOST = r"[a-z0-9-]{1,40}\.corp\.example"
IBAN = r"[A-Z]{2}\d{2}( ?[A-Z0-9]{4}){3,7}( ?[A-Z0-9]{1,3})?"
A_KEY = "sk-live-" + "aB3" * 8

atoms = st.sampled_from(["a", "b", "-", r"\.", "[ab]", "[^a]", "[a-c1]", r"\d", r"\w", r"\S", ".", r"\s"])
expressions = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda two: f"(?:{two[0]}|{two[1]})"),
        st.tuples(inner, st.sampled_from(["?", "*", "+", "{2}", "{0,3}", "{1,}", "{2,3}"])).map(
            lambda two: f"({two[0]}){two[1]}"
        ),
    ),
    max_leaves=8,
)
texts = st.text(alphabet="abcAB1-. é\n", max_size=30)


def patterns(*expressions: str, lenient: bool = False) -> PatternSet:
    return PatternSet(tuple(map(checked, expressions)), (lenient,) * len(expressions))


def audited(read: PatternSet, chunks: list[str], prompt: str = "") -> tuple[str, bool]:
    return told(PatternAudit(OutputAudit([]), read, prompt), chunks)


def cut(text: str, sizes: list[int]) -> list[str]:
    chunks, at, turn = [], 0, 0
    while at < len(text):
        chunks.append(text[at : at + sizes[turn % len(sizes)]])
        at, turn = at + sizes[turn % len(sizes)], turn + 1
    return chunks or [""]


@given(expressions, texts)
def test_matches_what_re_matches(expression: str, text: str) -> None:
    ours = compiled(expression)
    found = re.compile(expression, re.ASCII | re.IGNORECASE)
    if ours.accepts[0]:
        assert found.fullmatch("")
    else:
        assert PatternSet((ours,)).matches(text) == bool(found.search(text))


@given(expressions, texts, st.lists(st.integers(1, 5), min_size=1, max_size=3))
def test_cut_where_a_match_begins_however_it_comes_in_chunks(expression: str, text: str, sizes: list[int]) -> None:
    ours = compiled(expression)
    if ours.accepts[0]:
        return
    found = re.compile(expression, re.ASCII | re.IGNORECASE)
    whole, blocked = audited(PatternSet((ours,)), [text])
    assert audited(PatternSet((ours,)), cut(text, sizes)) == (whole, blocked)
    assert blocked == bool(found.search(text))
    assert not found.search(whole)
    assert text.startswith(whole) and (blocked or whole == text)
    assert not blocked or any(found.fullmatch(text, len(whole), end) for end in range(len(text) + 1))


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        (KEY, A_KEY),
        (KEY, A_KEY.upper()),
        (KEY, A_KEY.replace("-", "\u2011")),
        (KEY, A_KEY.replace("live", "li\u200bve")),
        (KEY, A_KEY.replace("s", "\\u0073")),
        (HOST, "payments-db.corp.example"),
        (HOST, "ｐａｙｍｅｎｔｓ.corp.example"),
        (IBAN, "DE89 3704 0044 0532 0130 00"),
        (IBAN, "DE89370400440532013000"),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_nothing_of_a_secret_is_told(expression: str, said: str, size: int) -> None:
    text = f"Well, it is {said}, they say."
    before, blocked = audited(patterns(expression), cut(text, [size]))
    assert (before, blocked) == ("Well, it is ", True)


def test_what_does_not_match_comes_whole() -> None:
    text = "The prefix sk-live- alone, corp.example, DE89 3704, \\u00e9 and C:\\new stay; payments.corp.exempt, too."
    assert audited(patterns(KEY, HOST, IBAN), cut(text, [4])) == (text, False)


def test_a_growing_match_holds_back_a_bounded_part() -> None:
    audit = PatternAudit(OutputAudit([]), patterns(r"[a-z0-9-]+\.corp\.example"))
    text = "a" * 5000
    assert len(audit.feed(text).text) == len(text) - HELD_CHARACTERS
    assert audit.feed(".corp.example").blocked
    assert audit.feed("more", final=True).text == ""


def test_what_the_prompt_states_may_be_repeated_where_that_is_allowed() -> None:
    lenient, strict = patterns(KEY, lenient=True), patterns(KEY)
    prompt, other = f"Is {A_KEY} well-formed?", A_KEY[:-1] + "X" * 5
    answer = f"Yes, {A_KEY} is."
    assert audited(lenient, cut(answer, [3]), prompt) == (answer, False)
    assert audited(strict, cut(answer, [3]), prompt) == ("Yes, ", True)
    assert audited(lenient, cut(f"Take {other}.", [3]), prompt) == ("Take ", True)


@pytest.mark.parametrize(
    "expression",
    [
        "", "a", "abc|def12", "(secret)?", "[a-z]{6,}", ".{20}", ".*secret?", r"\w{6,12}", "[^0-9]{9}",
        "^secret1", "secret1$", r"\bsecret1", "(?i)secret1", "(?=secret1)secret1", r"(secret)1\1", "(?i:secret1)",
        "secret1(", "[z-a]secret", "secret{3,1}", "sécret1", r"C:\\secret", "x" * 501, r"secret1[^\s\S]",
        "(a{0,200}){0,200}", "((((a{9}){99}){99}){99}){99}", "((((){200}){200}){200}){200}",
        "secret1{99999999999}",
        "(a|b)*a(a|b){20}", "(" * 240 + "secret1" + ")" * 240, "(a*)*" * 90, "(.?){90}secret",
    ],
)  # fmt: skip
def test_hostile_and_careless_patterns_are_refused_without_being_quoted(expression: str) -> None:
    with pytest.raises(BadPattern) as refused:
        checked(expression)
    assert len(expression) < 2 or expression not in str(refused.value)


@given(st.text(alphabet="ab01[](){}?*+|\\^$.,-&dwsSPx:=!<", max_size=40))
def test_any_expression_is_compiled_or_refused(expression: str) -> None:
    with contextlib.suppress(BadPattern):
        PatternSet((compiled(expression),)).matches("ab01 abab")


def test_patterns_are_withheld_from_their_audiences() -> None:
    everyone = Target("e", (), patterns=(KEY,))
    public = Target("p", (), patterns=(HOST,), audiences=frozenset({"public"}))
    policy = compile_policy(1, {"e": everyone, "p": public})
    found = {
        caller: [policy.patterns.withheld(frozenset(caller)).matches(text) for text in (A_KEY, "db1.corp.example")]
        for caller in ((), ("public",), ("staff",))
    }
    assert found == {(): [True, True], ("public",): [True, True], ("staff",): [True, False]}


def test_patterns_stay_compiled_until_they_change() -> None:
    before = compile_policy(1, {"e": Target("e", (), patterns=(KEY,))})
    after = before.with_changes(2, [Target("o", ("Otto Kral",))])
    assert after.patterns.withheld(frozenset()) is before.patterns.withheld(frozenset())
    assert not after.with_changes(3, removed=["e"]).patterns.withheld(frozenset())
    changed = after.with_changes(3, [Target("e", (), patterns=(HOST,))]).patterns.withheld(frozenset())
    assert changed.matches("db1.corp.example") and not changed.matches(A_KEY)
    assert KEY not in repr(before) + repr(before.targets["e"])
