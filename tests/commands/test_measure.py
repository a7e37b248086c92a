"""A session's counters at two moments, and when there is nothing to say about the time between them."""

from kttun.commands.measure import measure

LANES = [{"index": 0}]


def status(packets, **drops):
    counters = dict.fromkeys(("tx_packets", "tx_bytes", "rx_packets", "rx_bytes"), packets)
    return {"state": "open", "lanes": LANES, "counters": {**counters, "drops": drops}}


def at(second, told, before=None):
    return measure("shop", told, asked=second, at=second, before=before)


def test_the_first_has_no_rates():
    assert (at(0.0, status(5)).rates, at(0.0, status(5)).over_s) == (None, None)


def test_rates_are_a_second():
    second = at(14.0, status(25, malformed=4), at(10.0, status(5, malformed=2)))
    assert second.over_s == 4.0
    assert (second.rate("tx_bytes"), second.rate("malformed")) == (5.0, 0.5)


def test_a_counter_that_went_back_belongs_to_another_session():
    assert at(14.0, status(3), at(10.0, status(5))).rates is None


def test_a_reason_that_is_new_counts_from_zero():
    assert at(12.0, status(5, no_lane=4), at(10.0, status(5))).rate("no_lane") == 2.0


def test_two_questions_at_one_moment_have_no_rates():
    assert at(10.0, status(9), at(10.0, status(5))).rates is None
