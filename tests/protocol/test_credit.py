import math

import pytest

from kttun.protocol.credit import DEFAULT_WINDOW, Credit
from kttun.protocol.errors import RemoteProtocolError


def test_nothing_is_owed_before_anything_came():
    credit = Credit(0.005)
    assert not credit.owed
    assert credit.due_at == math.inf


def test_a_little_is_due_after_the_delay_counted_from_its_first_byte():
    credit = Credit(0.005)
    credit.receive(100, now=1.0)
    credit.receive(100, now=1.004)
    assert credit.due_at == 1.005
    assert credit.tell() == 200
    assert credit.due_at == math.inf


def test_a_quarter_of_the_default_window_is_due_at_once():
    credit = Credit(0.005)
    credit.receive(DEFAULT_WINDOW // 4 - 1, now=1.0)
    assert credit.due_at == 1.005
    credit.receive(1, now=1.001)
    assert credit.due_at == 1.001


def test_a_quarter_of_an_announced_window_is_due_at_once():
    credit = Credit(0.005)
    credit.take_window(4000)
    credit.receive(1000, now=1.0)
    assert credit.due_at == 1.0


def test_in_flight_is_what_was_sent_and_not_credited():
    credit = Credit(0.005)
    credit.sent += 1000
    credit.take_credit(400)
    assert (credit.credited, credit.in_flight) == (400, 600)


@pytest.mark.parametrize("total", [399, 1001])
def test_credit_outside_of_what_can_be_is_the_peers_fault(total):
    credit = Credit(0.005)
    credit.sent = 1000
    credit.take_credit(400)
    with pytest.raises(RemoteProtocolError, match=f"credit of {total} bytes is outside 400 to 1000"):
        credit.take_credit(total)


@pytest.mark.parametrize(
    ("eighths", "more", "news"),
    [(8, 0, False), (9, 0, False), (7, 0, False), (9, 1, True), (7, -1, True), (0, 0, True)],
)
def test_a_limit_is_news_when_it_changed_by_more_than_an_eighth(eighths, more, news):
    credit = Credit(0.005)
    credit.limit = DEFAULT_WINDOW * eighths // 8 + more
    assert credit.has_news is news


def test_an_announced_limit_is_no_news_and_fits_its_frame():
    credit = Credit(0.005)
    credit.limit = 2**40
    assert credit.announce() == 2**32 - 1
    assert not credit.has_news
