"""DNS messages as bytes: the question out of a query, another name into it, and the answer's owner names back.

Nothing is decoded that need not be: a query or answer whose name stays the same crosses byte for byte but for its id,
so every record type, EDNS option and TTL survives (RFC 3597, RFC 6891). Bad bytes never raise anything but the two
errors of this file.

An expanded question (`web.orders.svc` asked as `web.orders.svc.cluster.local`) is answered with the *owner names* put
back, not with a CNAME in front. Resolvers take both, but with a plain answer nothing else can go wrong: NXDOMAIN and
"no such type" keep their meaning (RFC 2308 tells CNAME chains apart), a resolver told not to follow CNAMEs
(systemd-resolved's NO_CNAME, `getent`-like tools that read the first record) gets its address, and the answer does
not grow past the client's limit. The authority section keeps the cluster's zone; a resolver that wants a parent there
just does not cache the "no".
"""

from __future__ import annotations

import struct
from typing import Final

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode

from kttun.names.plan import Question

MAX_MESSAGE: Final = 65_535
"""The length field of DNS over TCP has two bytes (RFC 1035 section 4.2.2)."""
MIN_UDP: Final = 512
"""What every client takes by UDP (RFC 1035 section 4.2.1)."""

_HEADER = struct.Struct("!6H")
_TYPE_CLASS = struct.Struct("!2H")
_RESPONSE, _RECURSION_AVAILABLE = int(dns.flags.QR), int(dns.flags.RA)
_KEPT_OF_QUERY = 0x7800 | int(dns.flags.RD) | int(dns.flags.CD)  # opcode, and what a response copies
_WITHOUT_QUESTION = frozenset({dns.rcode.FORMERR, dns.rcode.NOTIMP, dns.rcode.REFUSED, dns.rcode.SERVFAIL})


class NotAQueryError(Exception):
    """The bytes are no query: too short, or a response. To answer them would invite loops; drop them."""


class BadQueryError(Exception):
    """The bytes have a query's header but cannot be served; `rcode` is the answer to give."""

    def __init__(self, rcode: dns.rcode.Rcode) -> None:
        super().__init__(dns.rcode.to_text(rcode))
        self.rcode = rcode


def question_of(query: bytes) -> Question:
    """Read the one question of a query.

    Raises `NotAQueryError`; raises `BadQueryError` with NOTIMP for another opcode than QUERY, FORMERR for anything but
    exactly one readable question.
    """
    if len(query) < _HEADER.size:
        raise NotAQueryError
    _, flags, questions, *_ = _HEADER.unpack_from(query)
    if flags & _RESPONSE:
        raise NotAQueryError
    if dns.opcode.from_flags(flags) != dns.opcode.QUERY:
        raise BadQueryError(dns.rcode.NOTIMP)
    found = _question_at_head(query) if questions == 1 else None
    if found is None:
        raise BadQueryError(dns.rcode.FORMERR)
    return found[0]


def refusal(query: bytes, rcode: dns.rcode.Rcode) -> bytes:
    """Build an empty answer to `query` (at least a header long) with `rcode`; the question stands in it if readable."""
    ident, flags, questions, *_ = _HEADER.unpack_from(query)
    found = _question_at_head(query) if questions == 1 else None
    question = query[_HEADER.size : found[1]] if found else b""
    flags = flags & _KEPT_OF_QUERY | _RESPONSE | _RECURSION_AVAILABLE | rcode
    return _HEADER.pack(ident, flags, 1 if found else 0, 0, 0, 0) + question


def requalified(query: bytes, name: dns.name.Name) -> bytes:
    """Put `name` into the place of the question's name of `query`, a query that `question_of` has read.

    What follows stays: a query's other records (OPT at the root, RFC 6891 section 6.1.2) point nowhere into the
    question.
    """
    _, used = dns.name.from_wire(query, _HEADER.size)
    return query[: _HEADER.size] + _wire(name) + query[_HEADER.size + used :]


def restored(answer: bytes, asked: dns.name.Name, client: dns.name.Name, limit: int) -> bytes:
    """Give records of `answer` owned by `asked` back the owner `client`, in the client's own spelling.

    The result is never longer than `limit` bytes (512 to 65535); what does not fit is left off with TC set.
    Raises `BadQueryError` (SERVFAIL) for an answer that cannot be read.
    """
    try:
        message = dns.message.from_wire(answer, ignore_trailing=True, one_rr_per_rrset=True)
        for section in message.sections:
            for rrset in section:
                if rrset.name == asked:
                    rrset.name = client
        message.index.clear()
        return message.to_wire(max_size=limit, prefer_truncation=True)
    except (dns.exception.DNSException, ValueError) as error:
        raise BadQueryError(dns.rcode.SERVFAIL) from error


def with_id(message: bytes, ident: int) -> bytes:
    """Return `message` (at least a header long) with another id."""
    return ident.to_bytes(2, "big") + message[2:]


def id_of(message: bytes) -> int:
    """Return the id of `message`, at least a header long."""
    return int.from_bytes(message[:2], "big")


def rcode_of(answer: bytes) -> dns.rcode.Rcode:
    """Return the low four bits of the answer's rcode (RFC 1035 section 4.1.1); EDNS extends none that matters here."""
    return dns.rcode.Rcode(answer[3] & 0xF)


def answers(answer: bytes, query: bytes) -> bool:
    """Tell whether `answer` is a response to `query`: same id, same question (RFC 5452 section 9.1).

    Old servers send FORMERR, NOTIMP, REFUSED or SERVFAIL without the question; the id has to do then.
    """
    if len(answer) < _HEADER.size or answer[:2] != query[:2]:
        return False
    _, flags, questions, *_ = _HEADER.unpack_from(answer)
    if not flags & _RESPONSE:
        return False
    if questions == 0:
        return rcode_of(answer) in _WITHOUT_QUESTION
    asked, given = _question_at_head(query), _question_at_head(answer)
    return questions == 1 and asked is not None and given is not None and asked[0] == given[0]


def _question_at_head(message: bytes) -> tuple[Question, int] | None:
    """Return the first question of a message and the offset behind it, None when it cannot be read."""
    try:
        name, used = dns.name.from_wire(message, _HEADER.size)
        rdtype, rdclass = _TYPE_CLASS.unpack_from(message, _HEADER.size + used)
    except (dns.exception.DNSException, struct.error, IndexError):
        return None
    return Question(name, rdtype, rdclass), _HEADER.size + used + _TYPE_CLASS.size


def _wire(name: dns.name.Name) -> bytes:
    """Encode an absolute name without compression; the case of letters stays."""
    return b"".join(bytes((len(label),)) + label for label in name.labels)
