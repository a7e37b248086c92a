"""DNS messages as bytes: nothing lost, nothing raised."""

from contextlib import suppress

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kttun.names import rewrite

SHORT = dns.name.from_text("Web.orders.svc.")
FULL = dns.name.from_text("Web.orders.svc.cluster.local.")


def query(name="Web.orders.svc.", rdtype="A", **edns):
    return dns.message.make_query(name, rdtype, **edns).to_wire()


def answer_to(wire, *rows, rcode=dns.rcode.NOERROR):
    response = dns.message.make_response(dns.message.from_wire(wire), recursion_available=True)
    response.set_rcode(rcode)
    response.answer += [dns.rrset.from_text(owner, ttl, "IN", rdtype, *rdata) for owner, ttl, rdtype, *rdata in rows]
    return response.to_wire()


def test_the_question_is_read_with_its_spelling():
    question = rewrite.question_of(query("WeB.Orders.svc.", "SRV"))
    assert question.name.to_text() == "WeB.Orders.svc."
    assert question.rdtype == dns.rdatatype.SRV


@pytest.mark.parametrize("wire", [b"", b"x" * 11, answer_to(query())])
def test_rubbish_and_responses_are_no_queries(wire):
    with pytest.raises(rewrite.NotAQueryError):
        rewrite.question_of(wire)


def header(flags=0x0100, questions=1):
    return b"\x12\x34" + flags.to_bytes(2, "big") + questions.to_bytes(2, "big") + bytes(6)


@pytest.mark.parametrize(
    ("wire", "rcode"),
    [
        (header(flags=0x1000) + b"\0\0\1\0\1", dns.rcode.NOTIMP),
        (header(questions=0), dns.rcode.FORMERR),
        (header(questions=2) + b"\0\0\1\0\1" * 2, dns.rcode.FORMERR),
        (header() + b"\x05ab", dns.rcode.FORMERR),
        (header() + b"\xc0\x0c\0\1\0\1", dns.rcode.FORMERR),
        (header() + b"\0\0\1", dns.rcode.FORMERR),
    ],
)
def test_a_query_that_cannot_be_served_gets_its_rcode_and_its_id(wire, rcode):
    with pytest.raises(rewrite.BadQueryError) as caught:
        rewrite.question_of(wire)
    refused = dns.message.from_wire(rewrite.refusal(wire, caught.value.rcode), question_only=True)
    assert (refused.rcode(), refused.id) == (rcode, 0x1234)
    assert refused.flags & dns.flags.QR


def test_a_refusal_repeats_question_and_flags():
    wire = query()
    refused = dns.message.from_wire(rewrite.refusal(wire, dns.rcode.REFUSED))
    assert refused.is_response
    assert dns.message.from_wire(wire).is_response(refused)
    assert refused.flags & (dns.flags.RD | dns.flags.RA) == dns.flags.RD | dns.flags.RA
    assert refused.question[0].name.labels == SHORT.labels


def test_another_name_goes_into_the_question_and_edns_stays():
    cookie = dns.edns.GenericOption(10, b"12345678")
    wire = query(use_edns=0, payload=4096, want_dnssec=True, options=[cookie])
    expanded = dns.message.from_wire(rewrite.requalified(wire, FULL))
    assert expanded.question[0].name.labels == FULL.labels
    assert (expanded.payload, expanded.ednsflags & dns.flags.DO, expanded.options) == (4096, dns.flags.DO, (cookie,))
    assert expanded.id == rewrite.id_of(wire)


def test_the_answer_gets_its_owner_back_and_keeps_every_ttl_and_the_rest():
    asked = rewrite.requalified(query(use_edns=0), FULL)
    wire = answer_to(
        asked,
        (FULL, 5, "CNAME", "db.example.com."),
        ("db.example.com.", 30, "A", "192.0.2.1"),
        ("db.example.com.", 30, "A", "192.0.2.2"),
    )
    back = dns.message.from_wire(rewrite.restored(wire, FULL, SHORT, 512))
    assert back.question[0].name.labels == SHORT.labels
    assert [(rrset.name.to_text(), rrset.ttl, len(rrset)) for rrset in back.answer] == [
        ("Web.orders.svc.", 5, 1),
        ("db.example.com.", 30, 2),
    ]
    assert back.edns == 0


def test_no_such_name_keeps_its_rcode_and_authority():
    response = dns.message.make_response(dns.message.from_wire(rewrite.requalified(query(), FULL)))
    response.set_rcode(dns.rcode.NXDOMAIN)
    response.authority.append(dns.rrset.from_text("cluster.local.", 5, "IN", "SOA", "ns. hm. 1 2 3 4 5"))
    back = dns.message.from_wire(rewrite.restored(response.to_wire(), FULL, SHORT, 512))
    assert back.rcode() == dns.rcode.NXDOMAIN
    assert back.authority == response.authority


def test_what_does_not_fit_is_left_off_and_marked():
    rows = [(FULL, 5, "TXT", f'"{number}{"x" * 90}"') for number in range(9)]
    wire = answer_to(rewrite.requalified(query(rdtype="TXT"), FULL), *rows)
    cut = rewrite.restored(wire, FULL, SHORT, 512)
    assert len(cut) <= 512
    assert dns.message.from_wire(cut).flags & dns.flags.TC
    assert len(dns.message.from_wire(rewrite.restored(wire, FULL, SHORT, 65_535)).answer[0]) == 9


def test_an_answer_is_believed_by_id_and_question():
    wire = query()
    good = answer_to(wire)
    assert rewrite.answers(good, wire)
    assert rewrite.answers(rewrite.with_id(answer_to(query("WEB.ORDERS.SVC.")), rewrite.id_of(wire)), wire)
    assert not rewrite.answers(rewrite.with_id(good, rewrite.id_of(wire) ^ 1), wire)
    assert not rewrite.answers(rewrite.with_id(answer_to(query(rdtype="AAAA")), rewrite.id_of(wire)), wire)
    assert not rewrite.answers(rewrite.with_id(answer_to(query("other.")), rewrite.id_of(wire)), wire)
    assert not rewrite.answers(wire, wire)
    assert not rewrite.answers(good[:11], wire)


def test_an_error_without_question_is_believed_by_its_id():
    wire = query()
    bare = wire[:2] + b"\x80\x01" + bytes(8)
    assert rewrite.rcode_of(bare) == dns.rcode.FORMERR
    assert rewrite.answers(bare, wire)
    assert not rewrite.answers(wire[:2] + b"\x80\x00" + bytes(8), wire)


@given(st.binary(max_size=80))
@example(b"\x00\x01\x01\x00\x00\x01" + bytes(6) + b"\xc0\x0c")
def test_no_query_bytes_raise_anything_but_the_two_errors(wire):
    rcode = None
    try:
        rewrite.question_of(wire)
    except rewrite.NotAQueryError:
        assert len(wire) < 12 or wire[2] & 0x80
        return
    except rewrite.BadQueryError as error:
        rcode = error.rcode
    if rcode is None:
        assert FULL.to_wire() in rewrite.requalified(wire, FULL)
    else:
        assert rewrite.refusal(wire, rcode)[:2] == wire[:2]


@given(st.binary(max_size=80))
def test_no_bytes_pass_for_an_answer_to_a_question_they_do_not_hold(wire):
    asked = b"\x12\x34" + query()[2:]
    assert not rewrite.answers(wire, asked) or wire[:2] == asked[:2]


@given(st.integers(12, 200), st.binary(min_size=1, max_size=40))
def test_a_damaged_answer_is_restored_or_refused(position, damage):
    whole = answer_to(
        rewrite.requalified(query(use_edns=0), FULL), (FULL, 5, "A", "10.0.0.1"), ("x.", 5, "SRV", "1 2 3 y.")
    )
    wire = whole[:position] + damage + whole[position + len(damage) :]
    with suppress(rewrite.BadQueryError):
        assert rewrite.restored(wire, FULL, SHORT, 512)[:2] == wire[:2]
