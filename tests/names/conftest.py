"""A DNS server in small: answers from a script over UDP and TCP on loopback, and remembers what it was asked."""

import socket
import threading
from contextlib import suppress
from ipaddress import ip_address

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from hypothesis import settings

from kttun.names.plan import Nameserver

settings.register_profile("names", deadline=None)  # a busy machine is no failure
settings.load_profile("names")


def same_port(host="127.0.0.1"):
    """Open a UDP and a listening TCP socket on one free port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    while True:
        tcp, udp = socket.socket(family, socket.SOCK_STREAM), socket.socket(family, socket.SOCK_DGRAM)
        tcp.bind((host, 0))
        try:
            udp.bind((host, tcp.getsockname()[1]))
        except OSError:  # somebody else has the port for UDP: another one
            tcp.close()
            udp.close()
        else:
            tcp.listen()
            return udp, tcp


class ScriptedServer:
    """Answers a name by what `script` holds: (type, rdata...) rows, an rcode, or a function from query to answer(s)."""

    def __init__(self, host="127.0.0.1"):
        self.script = {}
        self.asked = []
        self.sources = []
        self.tcp_asked = []
        self._udp, self._tcp = same_port(host)
        self.nameserver = Nameserver(ip_address(host), self._udp.getsockname()[1])
        self._threads = [threading.Thread(target=target, daemon=True) for target in (self._datagrams, self._streams)]
        for thread in self._threads:
            thread.start()

    def close(self):
        for sock in (self._udp, self._tcp):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)  # wakes the thread; a plain close would not
        for thread in self._threads:
            thread.join()
        self._udp.close()
        self._tcp.close()

    def answer(self, wire):
        query = dns.message.from_wire(wire)
        question = query.question[0]
        entry = self.script.get(question.name.to_text().lower(), dns.rcode.NXDOMAIN)
        if callable(entry):
            return entry(wire)
        response = dns.message.make_response(query, recursion_available=True)
        if isinstance(entry, dns.rcode.Rcode):
            response.set_rcode(entry)
        else:
            for rdtype, *rdata in entry:
                response.answer.append(dns.rrset.from_text(question.name, 17, "IN", rdtype, *rdata))
        return response.to_wire()

    def _datagrams(self):
        while True:
            wire, source = self._udp.recvfrom(65_535)
            if not source or not wire:
                return
            self.asked.append(wire)
            self.sources.append(source)
            reply = self.answer(wire)
            for one in reply if isinstance(reply, list) else [reply]:
                if one is not None:
                    self._udp.sendto(one, source)

    def _streams(self):
        while True:
            try:
                connection, source = self._tcp.accept()
            except OSError:
                return
            with connection, connection.makefile("rwb") as stream:
                wire = stream.read(int.from_bytes(stream.read(2), "big"))
                self.tcp_asked.append(wire)
                self.sources.append(source)
                reply = self.answer(wire)
                if reply is not None:
                    stream.write(len(reply).to_bytes(2, "big") + reply)


@pytest.fixture
def sockets():
    return same_port


@pytest.fixture
def make_server():
    servers = []

    def make(host="127.0.0.1"):
        servers.append(ScriptedServer(host))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


@pytest.fixture
def cluster(make_server):
    return make_server()


@pytest.fixture
def upstream(make_server):
    return make_server()
