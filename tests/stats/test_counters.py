"""Counters and their frozen snapshots."""

import json

import pytest

from kttun.stats.counters import Counters, DropReason


def test_a_snapshot_does_not_change_when_the_counters_do():
    counters = Counters()
    counters.tx_packets += 1
    counters.drop(DropReason.MALFORMED)
    before = counters.snapshot()
    counters.tx_packets += 1
    counters.drop(DropReason.MALFORMED, 3)
    assert (before.tx_packets, before.drops[DropReason.MALFORMED]) == (1, 1)
    assert (counters.snapshot().tx_packets, counters.snapshot().drops[DropReason.MALFORMED]) == (2, 4)
    with pytest.raises(AttributeError):
        before.tx_packets = 7
    with pytest.raises(TypeError):
        before.drops[DropReason.MALFORMED] = 7


def test_json_has_the_documented_keys_and_every_reason():
    counters = Counters(tx_packets=1, tx_bytes=2, rx_packets=3, rx_bytes=4)
    counters.drop(DropReason.QUEUE_FULL, 5)
    told = json.loads(json.dumps(counters.snapshot().to_json()))
    assert {key: told[key] for key in told if key != "drops"} == {
        "tx_packets": 1,
        "tx_bytes": 2,
        "rx_packets": 3,
        "rx_bytes": 4,
    }
    assert told["drops"] == {
        "queue_full": 5,
        "spoofed_source": 0,
        "malformed": 0,
        "tun_write": 0,
        "no_lane": 0,
    }


def test_two_links_do_not_share_their_drops():
    one, two = Counters(), Counters()
    one.drop(DropReason.NO_LANE)
    assert two.snapshot().drops[DropReason.NO_LANE] == 0


def test_everything_counted_is_in_the_snapshot():
    numbers = {name: index for index, name in enumerate(Counters.__dataclass_fields__, 1) if not name.startswith("_")}
    snapshot = Counters(**numbers).snapshot()
    assert {name: getattr(snapshot, name) for name in numbers} == numbers
