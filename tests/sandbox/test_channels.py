"""The v4 WebSocket of a port-forward on the wire, with a client that knows nothing of Kubernetes."""

import asyncio
import ssl

import pytest
from lanes import PATIENCE_S, echo
from practice import listening
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from kttun.sandbox.kinds import PODS


@pytest.fixture
def forward(shop):
    """Have a conversation over a port-forward's WebSocket; give what it gives."""
    spec = {"nodeName": "n1", "containers": [{"name": "main", "image": "i"}]}
    shop.create(PODS, {"metadata": {"name": "p", "namespace": "shop"}, "spec": spec})
    context = ssl.create_default_context(cadata=shop.authority.pem.decode())
    certificate = shop.kubeconfig().with_suffix(".pem")
    certificate.write_bytes(b"".join(shop.authority.user("admin", ["system:masters"])))
    context.load_cert_chain(certificate)
    url = f"wss://127.0.0.1:{shop.port}/api/v1/namespaces/shop/pods/p/portforward"

    def talk(query, conversation, subprotocols=("v4.channel.k8s.io",)):
        # One thread: TLS of Python 3.11 loses bytes when one reads while another writes.
        async def run():
            where = f"{url}?{query}"
            more = {"ssl": context, "subprotocols": subprotocols, "compression": None, "proxy": None}
            async with (
                asyncio.timeout(PATIENCE_S),
                connect(where, **more) as found,
            ):
                return await conversation(found)

        return asyncio.run(run())

    return talk


@pytest.mark.parametrize("subprotocols", [("v4.channel.k8s.io",), None])
@pytest.mark.parametrize("join", ["&ports=", ","])
def test_each_port_has_two_channels_that_begin_with_it(forward, subprotocols, join):
    async def conversation(found):
        heard = [await found.recv() for _ in range(4)]
        for message in (b"\x02second", b"\x09nobody", b"\x00first"):
            await found.send(message)
            if message[0] != 9:
                heard.append(await found.recv())
        return heard

    with listening(echo) as one, listening(echo) as two:
        heard = forward(f"ports={one}{join}{two}", conversation, subprotocols)
    greetings = [bytes([channel]) + port.to_bytes(2, "little") for channel, port in enumerate([one, one, two, two])]
    assert heard == [*greetings, b"\x02second", b"\x00first"]


def test_messages_to_the_client_are_as_large_as_the_runtimes(forward):
    def gush(connection):
        with connection:
            connection.sendall(b"x" * 200_000)

    async def conversation(found):
        return [len(message) async for message in found], found.close_code

    with listening(gush) as port:
        sizes, code = forward(f"ports={port}", conversation)
    assert max(sizes) == 32 * 1024 + 1
    assert sum(size - 1 for size in sizes) == 200_000 + 2 * 2
    assert code == 1000


def test_a_flavour_that_the_runtime_does_not_know_is_forbidden_without_a_word(forward):
    with pytest.raises(InvalidStatus) as refused:
        forward("ports=80", None, ("v5.channel.k8s.io",))
    assert (refused.value.response.status_code, refused.value.response.body) == (403, b"")


@pytest.mark.parametrize("query", ["", "ports=", "ports=0", "ports=many", "ports=80,65536"])
def test_ports_that_are_none_are_refused(forward, query):
    with pytest.raises(InvalidStatus) as refused:
        forward(query, None)
    assert refused.value.response.status_code == 400


def test_a_cut_ends_it_without_a_word(shop, forward):
    async def conversation(found):
        await found.send(b"\x00x")
        while await found.recv() != b"\x00x":
            pass
        shop.loop.call_soon_threadsafe(shop.faults.cut)
        await found.recv()

    with listening(echo) as port, pytest.raises(ConnectionClosed) as closed:
        forward(f"ports={port}", conversation)
    assert closed.value.rcvd is None
