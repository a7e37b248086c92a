"""One query in, one answer out: the rules applied, servers asked, identical questions shared, numbers bounded."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import dns.rcode

from kttun.names import rewrite
from kttun.names.plan import Decision, Question, Rules, Verdict
from kttun.names.upstreams import Patience, ask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kttun.names.plan import ForwarderPlan, Nameserver

MAX_WAITING: Final = 512
"""Queries in work at once. Each distinct one holds a socket; the usual limit of open files is 1024."""


@dataclass(slots=True)
class NameCounters:
    """What the forwarder did since its start. Written by its thread only; reading them elsewhere is safe."""

    queries: int = 0
    to_cluster: int = 0
    to_upstream: int = 0
    answered_here: int = 0
    """REFUSED and NXDOMAIN by the rules, without asking anybody."""
    shared: int = 0
    """Queries that waited for the answer to an identical one under way."""
    unanswered: int = 0
    """No server answered in time, or not readably: SERVFAIL."""
    overload: int = 0
    """Turned away with SERVFAIL because too many were in work."""
    malformed: int = 0


class Answerer:
    """Answers queries by a plan. Lives in one event loop; `plan` may be replaced between two queries."""

    def __init__(self, plan: ForwarderPlan, patience: Patience) -> None:
        self.counters = NameCounters()
        self._patience = patience
        self._waiting = 0
        self._under_way: dict[tuple[bytes, bool], asyncio.Task[bytes | None]] = {}
        self.adopt(plan)

    def adopt(self, plan: ForwarderPlan) -> None:
        """Follow `plan` from the next query on."""
        self._plan, self._rules = plan, Rules(plan)

    def snapshot(self) -> NameCounters:
        """Give the counters as they stand now."""
        return replace(self.counters)

    async def answer(self, query: bytes, *, stream: bool) -> bytes | None:
        """Return the answer to `query`, which came by TCP if `stream`; None for bytes that deserve none."""
        self.counters.queries += 1
        try:
            question = rewrite.question_of(query)
        except rewrite.NotAQueryError:
            self.counters.malformed += 1
            return None
        except rewrite.BadQueryError as error:
            self.counters.malformed += 1
            return rewrite.refusal(query, error.rcode)
        if self._waiting >= MAX_WAITING:
            self.counters.overload += 1
            return rewrite.refusal(query, dns.rcode.SERVFAIL)
        self._waiting += 1
        try:
            return await self._by_rules(query, question, stream=stream)
        except rewrite.BadQueryError as error:
            self.counters.unanswered += 1
            return rewrite.refusal(query, error.rcode)
        finally:
            self._waiting -= 1

    async def _by_rules(self, query: bytes, question: Question, *, stream: bool) -> bytes:
        decision = self._rules.decide(question)
        match decision.verdict:
            case Verdict.REFUSED | Verdict.NO_SUCH_NAME as verdict:
                self.counters.answered_here += 1
                refused = verdict is Verdict.REFUSED
                return rewrite.refusal(query, dns.rcode.REFUSED if refused else dns.rcode.NXDOMAIN)
            case Verdict.UPSTREAM:
                return await self._upstream(query, stream=stream)
            case Verdict.CLUSTER:
                return await self._cluster(query, question, decision, stream=stream)
            case Verdict.CLUSTER_THEN_UPSTREAM:
                answer = await self._cluster(query, question, decision, stream=stream)
                if rewrite.rcode_of(answer) == dns.rcode.NXDOMAIN:
                    answer = await self._upstream(query, stream=stream)
                return answer

    async def _upstream(self, query: bytes, *, stream: bool) -> bytes:
        self.counters.to_upstream += 1
        return await self._ask(self._plan.upstream, query, stream=stream)

    async def _cluster(self, query: bytes, question: Question, decision: Decision, *, stream: bool) -> bytes:
        self.counters.to_cluster += 1
        if decision.name is question.name:
            return await self._ask(self._plan.cluster_dns, query, stream=stream)
        expanded = rewrite.requalified(query, decision.name)
        answer = await self._ask(self._plan.cluster_dns, expanded, stream=stream)
        limit = rewrite.MAX_MESSAGE if stream else max(len(answer), rewrite.MIN_UDP)  # what fitted before fits again
        return rewrite.restored(answer, decision.name, question.name, limit)

    async def _ask(self, servers: Sequence[Nameserver], query: bytes, *, stream: bool) -> bytes:
        """Ask `servers`, or wait for an identical query that has asked them; raises `BadQueryError` (SERVFAIL)."""
        key = query[2:], stream
        task = self._under_way.get(key)
        if task is None:
            task = asyncio.create_task(ask(servers, query, stream=stream, patience=self._patience))
            self._under_way[key] = task
            task.add_done_callback(lambda _: self._under_way.pop(key))
        else:
            self.counters.shared += 1
        answer = await asyncio.shield(task)  # a client that goes away leaves the others their answer
        if answer is None:
            raise rewrite.BadQueryError(dns.rcode.SERVFAIL)
        return rewrite.with_id(answer, rewrite.id_of(query))
