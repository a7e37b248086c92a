"""Fairness, sparse flows first, and a bound that is exact."""

from hypothesis import given
from hypothesis import strategies as st

from kttun.link.queues import OTHER_QUANTUM, QUANTUM, FlowQueues

A, B, C = b"\x06a", b"\x06b", b"\x11c"


def fill(queues, key, count, size, is_tcp=True):
    return sum(queues.put(key, key + bytes([n % 256]) * (size - len(key)), is_tcp=is_tcp) for n in range(count))


def take_bytes(queues, total):
    taken = {}
    while total > 0 and (packets := queues.take(1)):
        key = packets[0][:2]
        taken[key] = taken.get(key, 0) + len(packets[0])
        total -= len(packets[0])
    return taken


def test_an_empty_queue_gives_nothing():
    assert FlowQueues().take(1000) == []


def test_packets_of_a_flow_keep_their_order():
    queues = FlowQueues()
    packets = [b"%d" % n for n in range(100)]
    for packet in packets:
        queues.put(A, packet, is_tcp=True)
    taken = []
    while batch := queues.take(13):
        taken += batch
    assert taken == packets


def test_a_sparse_flow_goes_before_those_that_wait():
    queues = FlowQueues()
    fill(queues, A, 50, 65000)
    fill(queues, B, 10, 65000)
    take_bytes(queues, 300_000)
    queues.put(C, b"\x11c question", is_tcp=False)
    assert queues.take(1) == [b"\x11c question"]


def test_a_flow_that_keeps_a_queue_is_not_new_again_each_time():
    queues = FlowQueues()
    fill(queues, A, 50, 60000)
    order = []
    for _ in range(20):
        queues.put(B, B + bytes(60000), is_tcp=True)
        order.append(queues.take(1)[0][:2])
    assert order.count(A) >= 8


def test_tcp_flows_share_by_bytes_whatever_their_packets_are():
    queues = FlowQueues()
    fill(queues, A, 1000, 1500)
    fill(queues, B, 25, 60000)
    taken = take_bytes(queues, 1_400_000)
    assert abs(taken[A] - taken[B]) <= 65536 + QUANTUM


def test_what_is_not_tcp_gets_four_shares():
    queues = FlowQueues()
    fill(queues, A, 1500, 1000)
    fill(queues, C, 1500, 1000, is_tcp=False)
    taken = take_bytes(queues, 1_000_000)
    assert abs(taken[C] - 4 * taken[A]) <= 2 * OTHER_QUANTUM


def test_take_gives_at_least_one_packet_and_else_keeps_the_budget():
    queues = FlowQueues()
    fill(queues, A, 10, 1000)
    assert [len(packet) for packet in queues.take(10)] == [1000]
    assert [len(packet) for packet in queues.take(2999)] == [1000, 1000]
    assert [len(packet) for packet in queues.take(3000)] == [1000] * 3
    assert queues.size == 4000


def test_overflow_drops_the_oldest_of_the_fattest_flow():
    queues = FlowQueues(bound=10_000)
    fill(queues, A, 8, 1000)
    fill(queues, B, 2, 1000)
    assert queues.size == 10_000
    assert queues.put(B, B + bytes(1498), is_tcp=True) == 2
    assert queues.size == 9_500
    assert take_bytes(queues, 10**6) == {A: 6000, B: 3500}


def test_a_packet_larger_than_the_bound_is_dropped_with_all_else_of_its_flow():
    queues = FlowQueues(bound=100)
    assert queues.put(A, bytes(101), is_tcp=True) == 1
    assert queues.size == 0
    assert queues.take(1000) == []


def test_flows_that_ended_leave_nothing_behind():
    queues = FlowQueues()
    for n in range(100):
        queues.put(b"\x06" + bytes([n]), b"x", is_tcp=True)
    while queues.take(10):
        pass
    assert queues.flows == 0
    assert queues.size == 0


def test_a_long_cut_keeps_the_newest_packets_of_every_flow():
    queues = FlowQueues(bound=100_000)
    for n in range(1000):
        for key in (A, B):
            queues.put(key, key + n.to_bytes(2, "big") + bytes(996), is_tcp=True)
    kept = {A: [], B: []}
    while packets := queues.take(1):
        kept[packets[0][:2]].append(int.from_bytes(packets[0][2:4], "big"))
    assert kept[A] == list(range(950, 1000))
    assert kept[B] == list(range(950, 1000))


steps = st.one_of(
    st.tuples(st.just("put"), st.integers(0, 5), st.integers(1, 70_000)),
    st.tuples(st.just("take"), st.just(0), st.integers(1, 200_000)),
)


@given(st.lists(steps, max_size=200))
def test_nothing_is_lost_doubled_or_reordered_but_what_is_counted_as_dropped(script):
    queues = FlowQueues(bound=300_000)
    put, taken, dropped = {}, {}, 0
    for number, (verb, flow, size) in enumerate(script):
        if verb == "put":
            key = bytes([6, flow])
            packet = key + number.to_bytes(4, "big") + bytes(size)
            put.setdefault(key, []).append(packet)
            dropped += queues.put(key, packet, is_tcp=flow % 2 == 0)
            assert queues.size <= 300_000
        else:
            waiting = queues.size
            packets = queues.take(size)
            assert bool(packets) == bool(waiting)
            assert len(packets) < 2 or sum(map(len, packets)) <= size
            for packet in packets:
                taken.setdefault(packet[:2], []).append(packet)
    while packets := queues.take(10**6):
        for packet in packets:
            taken.setdefault(packet[:2], []).append(packet)
    assert queues.size == 0
    assert queues.flows == 0
    assert sum(map(len, put.values())) == sum(map(len, taken.values())) + dropped
    for key, packets in taken.items():
        remaining = iter(put[key])
        assert all(packet in remaining for packet in packets)


def test_the_queues_are_prompt_while_anything_but_patient_packets_may_wait():
    queues = FlowQueues()
    queues.put(b"a", b"ack", is_tcp=True, patient=True)
    assert not queues.prompt
    queues.put(b"b", b"data", is_tcp=True)
    assert queues.prompt
    queues.take(1)
    assert queues.prompt
    queues.take(100)
    assert not queues.prompt
