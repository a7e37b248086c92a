"""Visits each example Service by name, as programs of a developer do; prints what each answered, as JSON."""

import asyncio
import json
import socket
import sys
import urllib.request

from grpclib.client import Channel, UnaryUnaryMethod
from websockets.sync.client import connect

from kttun.sandbox.examples.rpc import Bytes

CHECK, SAY = "/grpc.health.v1.Health/Check", "/kttun.example.Echo/Say"


def tcp():
    with socket.create_connection(("tcp-echo.feature-1", 7007), 5) as connection:
        connection.sendall(b"hello")
        connection.shutdown(socket.SHUT_WR)
        return connection.makefile().read()


def udp():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.settimeout(5)
        connection.connect(("udp-echo", 7007))
        connection.send(b"hello")
        return connection.recv(100).decode()


def websocket():
    with connect("ws://websocket/", open_timeout=5) as connection:
        connection.send("hello")
        return connection.recv()


async def grpc(path, message):
    channel = Channel("grpc.feature-1.svc.cluster.local", 50051, codec=Bytes())
    try:
        return (await UnaryUnaryMethod(channel, path, bytes, bytes)(message, timeout=5)).hex()
    finally:
        channel.close()


def refused():
    try:
        socket.create_connection(("web", 81), 5)
    except ConnectionRefusedError:
        return True
    return False


json.dump(
    {
        "http": urllib.request.urlopen("http://web/", timeout=5).read().decode(),
        "headless": sorted(each[4][0] for each in socket.getaddrinfo("web-headless", 80, type=socket.SOCK_STREAM)),
        "tcp": tcp(),
        "udp": udp(),
        "websocket": websocket(),
        "health": asyncio.run(grpc(CHECK, b"")),
        "echo": asyncio.run(grpc(SAY, b"\x07")),
        "refused": refused(),
    },
    sys.stdout,
)
