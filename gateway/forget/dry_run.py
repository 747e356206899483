"""What a forget request would guard if it were sent: counts over sampled traffic, never a prompt, never the subject."""

import asyncio
import logging
import random
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Literal, TypeVar

from gateway.forget.forecast import (
    COMMON_RATE,
    DETAILS,
    ActiveTargets,
    Benign,
    Code,
    DryRun,
    DryRunWarning,
    InLanguage,
    Outcome,
    Traffic,
)
from gateway.forget.model import ForgetRequestIn
from gateway.forget.problems import Problem
from gateway.forget.snapshot import given_phrases
from gateway.guards.normalise import BARRIER, fold
from gateway.guards.policy import Policy, Target, compile_policy
from gateway.guards.response import language
from gateway.guards.sample import SampledPrompt
from gateway.guards.withholding import EVERYONE
from unlearn_engine.data.domain import PERSON_DOMAIN, load_domain
from unlearn_engine.evaluate.metrics import upper_bound

logger = logging.getLogger(__name__)

SHORT_LETTERS = 5  # a shorter name is inside many others, and only a letter away from more
SHORT_IDEOGRAPHS = 3
TRAFFIC_S, BENIGN_S, TARGETS_S = 2.0, 1.0, 1.0  # of computing; what is not read by then is left out, and not counted
_CHUNK_CHARS = 8192
_DRY_RUN = "dry-run"

Found = Literal["exact", "respelt", "encoded", "described"]
Item = TypeVar("Item")


class DryRuns:
    """Does dry runs, one at a time, on a thread that leaves the interpreter to others half of the time.

    Args:
        active: the policy enforced now.
        prompts: the sampled prompts; called on the event loop, read on the thread.
    """

    def __init__(
        self,
        active: Callable[[], Policy | None] = lambda: None,
        prompts: Callable[[], Sequence[SampledPrompt]] = tuple,
    ) -> None:
        self._active = active
        self._prompts = prompts
        self._running: asyncio.Task[DryRun | None] | None = None

    async def run(self, request: ForgetRequestIn) -> DryRun:
        """Measure `request` against what is there now; nothing is stored.

        Raises:
            Problem: another dry run is under way (503), or this one failed (500).
        """
        if self._running is not None and not self._running.done():
            detail = "One dry run at a time, so that chat is not slowed down. Send it again in a moment."
            raise Problem(503, "dry_run_busy", "Another dry run is under way", detail)
        self._running = asyncio.create_task(self._measured(request))
        # Shielded: a client that goes away must not make room for the next before the thread has ended.
        if (result := await asyncio.shield(self._running)) is None:
            raise Problem(500, "dry_run_failed", "The dry run failed", "Nothing was stored. The log says where.")
        return result

    async def _measured(self, request: ForgetRequestIn) -> DryRun | None:
        try:
            return await asyncio.to_thread(measure, request, self._active(), self._prompts())
        except Exception as error:  # its own words may quote a prompt
            where = traceback.extract_tb(error.__traceback__)[-1]
            logger.error("a dry run failed: %s at %s:%s", type(error).__name__, where.filename, where.lineno)
            return None


def measure(request: ForgetRequestIn, active: Policy | None, prompts: Sequence[SampledPrompt]) -> DryRun:
    """The dry run of a request. Blocks for a few seconds at most."""
    names = request.subject.names
    target = Target(
        _DRY_RUN,
        names,
        tuple(request.exclusions),
        request.response,
        given_phrases(request),
        description=request.subject.description or "",
        patterns=(request.subject.pattern,) if request.subject.pattern is not None else (),
    )
    guard = compile_policy(0, {_DRY_RUN: target})
    traffic = _traffic(guard, active, names, prompts)
    benign = _benign(guard)
    active_targets, same = _meet(guard, active, names)
    erasable = not request.model_copy(update={"erase": "auto"}).guard_only
    holds: dict[Code, bool] = {
        "very_common": traffic.matched > COMMON_RATE * traffic.examined,
        "matches_benign_text": benign.matched > 0,
        "short_name": any(map(_is_short, names)),
        "single_word": request.kind != "secret" and any(map(_is_single_word, names)),
        "collides": active_targets.colliding > 0,
        "already_active": same,
        "guard_only_kind": not erasable,
        "no_sample": traffic.examined == 0,
    }
    return DryRun(
        kind=request.kind,
        outcome=Outcome(
            response=request.response,
            erasure="guard_only" if request.guard_only else "counterfactual_name_distillation",
            weights_erasable=erasable,
        ),
        traffic=traffic,
        benign=benign,
        active_targets=active_targets,
        warnings=[DryRunWarning(code=code, detail=DETAILS[code]) for code, applies in holds.items() if applies],
    )


def _traffic(guard: Policy, active: Policy | None, names: Sequence[str], prompts: Sequence[SampledPrompt]) -> Traffic:
    given = {_plain(name) for name in names}
    found: Counter[Found] = Counter()
    examined = cut = already = 0
    for prompt in _paced(prompts, TRAFFIC_S):
        examined += 1
        text, whole = prompt.read()
        cut += not whole
        if kind := _kind(guard, text, given):
            found[kind] += 1
            already += active is not None and _guards(active, text)
    return Traffic(
        **_rates(examined, found.total()),
        sampled=len(prompts),
        cut=cut,
        exact=found["exact"],
        respelt=found["respelt"],
        encoded=found["encoded"],
        described=found["described"],
        already_guarded=already,
    )


def _guards(policy: Policy, text: str) -> bool:
    return bool(policy.examine(text) or policy.described(text) or _matches_pattern(policy, text))


def _matches_pattern(policy: Policy, text: str) -> bool:
    """Whether an answer that repeats a text would be cut."""
    return policy.patterns.withheld(EVERYONE).matches(text)


def _kind(guard: Policy, text: str, given: set[str]) -> Found | None:
    matches = guard.examine(text)
    plain = [match for match in matches if not match.decoded]
    if any(_plain(text[match.start : match.end]) in given for match in plain):
        return "exact"
    if _matches_pattern(guard, text):
        return "exact"
    if matches:
        return "respelt" if plain else "encoded"
    return "described" if guard.described(text) else None


def _plain(name: str) -> str:
    return " ".join(name.casefold().split())


def _benign(guard: Policy) -> Benign:
    languages = {code: InLanguage(examined=0, matched=0) for code in benign_texts()}
    for code, text in _paced([(code, text) for code, texts in benign_texts().items() for text in texts], BENIGN_S):
        languages[code].examined += 1
        languages[code].matched += _guards(guard, text)
    examined = sum(counts.examined for counts in languages.values())
    return Benign(**_rates(examined, sum(counts.matched for counts in languages.values())), languages=languages)


@cache
def benign_texts() -> Mapping[str, Sequence[str]]:
    """Text that names nobody, by language: the generic domain's questions with names that nobody has, its sentences."""
    domain, rng = load_domain(PERSON_DOMAIN), random.Random(0)
    asked = (domain.questions, domain.held_out_questions, domain.statements)
    texts: dict[str, list[str]] = {}
    for code in domain.languages:
        templates = [template for kind in asked for attribute in kind[code].values() for template in attribute]
        texts[code] = [template.format(name=domain.unseen_name(rng)) for template in templates]
        texts[code] += domain.general_prompts[code]
    for sentence in domain.general_texts:
        texts.setdefault(language(sentence), []).append(sentence)
    return texts


def _meet(guard: Policy, active: Policy | None, names: Sequence[str]) -> tuple[ActiveTargets, bool]:
    """Counts of active targets, and whether one of them has the new main name."""
    if active is None:
        return ActiveTargets(active=0, compared=0, colliding=0), False
    colliding = {match.target for name in names for match in active.examine(name)}
    compared = 0
    for chunk in _paced(_chunks(active.targets.values()), TARGETS_S):
        compared += len(chunk)
        if guard.examine(BARRIER.join(name for target in chunk for name in target.names)):
            colliding |= {target.id for target in chunk if guard.examine(BARRIER.join(target.names))}
    main = {fold(name).text for name in names[:1]}
    same = any(fold(name).text in main for id_ in colliding for name in active.targets[id_].names)
    return ActiveTargets(active=len(active.targets), compared=compared, colliding=len(colliding)), same


def _chunks(targets: Iterable[Target]) -> Iterator[list[Target]]:
    """Targets in groups: one long text is read faster than many short ones."""
    chunk: list[Target] = []
    chars = 0
    for target in targets:
        chunk.append(target)
        chars += sum(map(len, target.names))
        if chars > _CHUNK_CHARS:
            yield chunk
            chunk, chars = [], 0
    if chunk:
        yield chunk


def _paced(items: Iterable[Item], budget_s: float) -> Iterator[Item]:
    """The items, until what is done with them has computed for `budget_s`; a pause as long after each.

    The pauses are for the event loop, which waits for the interpreter while this thread has it.
    """
    left = budget_s
    began = time.thread_time()
    for item in items:
        yield item
        took = time.thread_time() - began
        if (left := left - took) < 0:
            return
        time.sleep(took)
        began = time.thread_time()


def _rates(examined: int, matched: int) -> dict[str, Any]:
    return {
        "examined": examined,
        "matched": matched,
        "rate": round(matched / examined, 4) if examined else None,
        "rate_upper_bound": round(upper_bound(matched, examined), 4),
    }


def _is_short(name: str) -> bool:
    letters = [letter for letter in name if letter.isalnum()]
    return len(letters) < (SHORT_IDEOGRAPHS if _is_ideographic(letters) else SHORT_LETTERS)


def _is_single_word(name: str) -> bool:
    return len(name.split()) == 1 and not _is_ideographic(name)


def _is_ideographic(letters: Iterable[str]) -> bool:
    """Whether words are written without spaces between them, a character standing for a syllable or a word."""
    return any("\u3040" <= letter <= "\u9fff" or "\uac00" <= letter <= "\ud7a3" for letter in letters)
