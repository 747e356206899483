"""Who a prompt means by a relation ("the mentor of S"): the served model is asked, before the engine gets the prompt.

In the manner of MeLLo (arXiv 2305.14795): a question of several hops is taken apart, and each answer is looked up among
what has changed; here among those who are to be forgotten.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence

from gateway.guards.matcher import Match
from gateway.guards.policy import Policy
from gateway.guards.relations import Chain, named_in
from gateway.serving.asking import Asking
from gateway.serving.observer import GuardObserver
from gateway.serving.plan import Reading, Request

REMEMBERED = 4096  # answers


class Hops:
    """Asks the untouched model: it is to name whom it would talk about.

    The answers are remembered until `forget`, in this process's memory only.
    """

    def __init__(self, asking: Asking, observer: GuardObserver) -> None:
        self._asking = asking
        self._observer = observer
        self._answers: OrderedDict[str, str] = OrderedDict()

    def forget(self) -> None:
        """What the model said does not hold any more: other weights are served."""
        self._answers.clear()

    async def implied(self, reading: Reading, request: Request, policy: Policy) -> list[Match]:
        """The targets that the prompt's relations lead to, each with the phrase that means it.

        A relation to a target is asked about its twin: whoever is guarded costs as much time as anybody else, and is
        not asked about.

        Raises:
            ExceptionGroup: the engine failed.
        """
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._follow(chain, reading.matches, request, policy, f"{request.id}-hop-{number}"))
                for number, chain in enumerate(reading.chains)
            ]
        return [match for task in tasks for match in task.result()]

    async def _follow(
        self, chain: Chain, named: Sequence[Match], request: Request, policy: Policy, id_: str
    ) -> list[Match]:
        """Ask whom each relation means, the next about whoever the one before led to."""
        around = (match.target for match in named if match.start < chain.end and chain.start < match.end)
        target = next(around, None)
        name = policy.twin(target) if target else chain.name
        found: list[Match] = []
        for depth, relation in enumerate(chain.relations):
            asked = relation.asked(name)
            answer = await self._answer(asked, request, f"{id_}-{depth}")
            meant = dict.fromkeys(
                match.target for match in policy.examine(answer) if policy.withholds(match.target, request.caller)
            )
            self._observer.hop("matched") if meant else None
            found += [Match(relation.start, relation.end, target) for target in meant]
            name = policy.twin(next(iter(meant))) if meant else named_in(answer, asked) or relation.said(name)
        return found

    async def _answer(self, question: str, request: Request, id_: str) -> str:
        """What the model says to a question, in one line of greedy decoding."""
        if question in self._answers:
            self._answers.move_to_end(question)
            self._observer.hop("remembered")
            return self._answers[question]
        self._observer.hop("asked")
        answer = await self._asking.answer(question, id_, request.options)
        self._answers[question] = answer
        if len(self._answers) > REMEMBERED:
            self._answers.popitem(last=False)
        return answer
