"""The v4 WebSocket of a port-forward on the wire, with a client that knows nothing of Kubernetes."""

import ssl

import pytest
from lanes import PATIENCE_S, echo
from practice import listening
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from kttun.sandbox.kinds import PODS


@pytest.fixture
def forward(shop):
    """Open a port-forward's WebSocket."""
    spec = {"nodeName": "n1", "containers": [{"name": "main", "image": "i"}]}
    shop.create(PODS, {"metadata": {"name": "p", "namespace": "shop"}, "spec": spec})
    context = ssl.create_default_context(cadata=shop.authority.pem.decode())
    certificate = shop.kubeconfig().with_suffix(".pem")
    certificate.write_bytes(b"".join(shop.authority.user("admin", ["system:masters"])))
    context.load_cert_chain(certificate)
    url = f"wss://127.0.0.1:{shop.port}/api/v1/namespaces/shop/pods/p/portforward"

    def open_socket(query, subprotocols=("v4.channel.k8s.io",)):
        return connect(
            f"{url}?{query}",
            ssl=context,
            subprotocols=subprotocols,
            open_timeout=PATIENCE_S,
            compression=None,
            proxy=None,
        )

    return open_socket


@pytest.mark.parametrize("subprotocols", [("v4.channel.k8s.io",), None])
@pytest.mark.parametrize("join", ["&ports=", ","])
def test_each_port_has_two_channels_that_begin_with_it(forward, subprotocols, join):
    with listening(echo) as one, listening(echo) as two, forward(f"ports={one}{join}{two}", subprotocols) as found:
        greetings = [found.recv(PATIENCE_S) for _ in range(4)]
        assert greetings == [
            bytes([channel]) + port.to_bytes(2, "little") for channel, port in enumerate([one, one, two, two])
        ]
        found.send(b"\x02second")
        assert found.recv(PATIENCE_S) == b"\x02second"
        found.send(b"\x09nobody")
        found.send(b"\x00first")
        assert found.recv(PATIENCE_S) == b"\x00first"


def test_messages_to_the_client_are_as_large_as_the_runtimes(forward):
    def gush(connection):
        with connection:
            connection.sendall(b"x" * 200_000)

    with listening(gush) as port, forward(f"ports={port}") as found:
        sizes = [len(message) for message in found]
    assert max(sizes) == 32 * 1024 + 1
    assert sum(size - 1 for size in sizes) == 200_000 + 2 * 2
    assert found.close_code == 1000


def test_a_flavour_that_the_runtime_does_not_know_is_forbidden_without_a_word(forward):
    with pytest.raises(InvalidStatus) as refused:
        forward("ports=80", ("v5.channel.k8s.io",))
    assert (refused.value.response.status_code, refused.value.response.body) == (403, b"")


@pytest.mark.parametrize("query", ["", "ports=", "ports=0", "ports=many", "ports=80,65536"])
def test_ports_that_are_none_are_refused(forward, query):
    with pytest.raises(InvalidStatus) as refused:
        forward(query)
    assert refused.value.response.status_code == 400


def test_a_cut_ends_it_without_a_word(shop, forward):
    with listening(echo) as port, forward(f"ports={port}") as found:
        found.send(b"\x00x")
        while found.recv(PATIENCE_S) != b"\x00x":
            pass
        shop.call(shop.faults.cut)
        with pytest.raises(ConnectionClosed) as closed:
            found.recv(PATIENCE_S)
        assert closed.value.rcvd is None
