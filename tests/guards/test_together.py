"""What is found in a prompt is never missed where it is read together with others."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.guards.mentions import Mentions
from benchmarks.guards.subjects import demo_targets, rendered
from gateway.guards.inflected import BLOCK
from gateway.guards.matcher import Match
from gateway.guards.normalise import BARRIER
from gateway.guards.policy import Policy, compile_policy
from gateway.guards.together import MOST_CHARACTERS, grouped, together
from unlearn_engine.demo.world import build_world

EACH = 60
KINDS = Mentions(build_world()).kinds()
HONEST = [
    rendered(text)
    for text in (
        "What is 2 plus 3?",
        "Please write a *short* poem about rivers & mountains, 12 lines.",
        "Warum ist der Himmel blau?",
        "请问明天会下雨吗？",
        "Почему трава зелёная?",
        "def area(r):\n    return 3.14 * r ** 2",
        "Comment dit-on « merci » en japonais ?",
    )
]


@pytest.fixture(scope="module")
def policy() -> Policy:
    return compile_policy(1, demo_targets(build_world()))


def separately(policy: Policy, texts: Sequence[str]) -> list[tuple[list[Match], tuple[str, ...]]]:
    return [found for text in texts for found in policy.examine_all([text])]


def test_honest_prompts_are_read_at_once(policy: Policy) -> None:
    whole, _ = together(HONEST)
    assert policy.matcher.suspicious(whole) == [] and policy.descriptions.silent(whole)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_found_in_a_prompt_is_found_among_others(policy: Policy, kind: str) -> None:
    rng = random.Random(kind)
    for mention in KINDS[kind](EACH):
        texts = [*rng.sample(HONEST, rng.randrange(1, len(HONEST))), mention.text]
        rng.shuffle(texts)
        assert policy.examine_all(texts) == separately(policy, texts)


def test_two_who_are_meant_beside_each_other(policy: Policy) -> None:
    drawn = [mention.text for kind in KINDS.values() for mention in kind(10)]
    random.Random(3).shuffle(drawn)
    assert policy.examine_all(drawn) == separately(policy, drawn)


@given(st.lists(st.text(st.sampled_from(f"abé小 \n<%{BARRIER}"), max_size=2 * BLOCK), min_size=1, max_size=5))
def test_every_text_begins_a_block_and_stands_for_itself(texts: list[str]) -> None:
    whole, bounds = together(texts)
    assert len(whole) == bounds[-1]
    for text, start in zip(texts, bounds, strict=False):
        assert start % BLOCK == 0
        assert whole.startswith(f"{text}\n{BARRIER}\n", start)


def test_so_many_are_read_at_once_as_are_short_together() -> None:
    texts = ["a" * 300] * 9 + ["b" * 5000, "c"]
    groups = list(grouped(texts))
    assert [text for group in groups for text in group] == texts
    assert all(len(group) == 1 or len(together(group)[0]) <= MOST_CHARACTERS for group in groups)
    assert len(groups) < 6
