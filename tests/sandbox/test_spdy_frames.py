"""SPDY frames: the dictionary is the protocol's, and however bytes are cut the same frames come out."""

import itertools
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kttun.link.spdy import opening
from kttun.sandbox.spdy_frames import (
    DICTIONARY,
    PING,
    SYN_REPLY,
    Control,
    Data,
    FrameReader,
    HeaderReader,
    HeaderWriter,
    SpdyError,
    control,
    data_head,
)


def test_the_dictionary_is_the_one_that_zlib_streams_name():
    assert zlib.adler32(DICTIONARY) == 0xE3C6A7C2


def block(**headers):
    texts = [text.encode() for pair in headers.items() for text in pair]
    return struct.pack("!I", len(headers)) + b"".join(struct.pack("!I", len(text)) + text for text in texts)


def syn_stream(stream, compressor, **headers):
    squeezed = compressor.compress(block(**headers)) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return struct.pack("!IIBB", stream, 0, 0, 0) + squeezed


@pytest.mark.parametrize("words", [{}, {"zdict": DICTIONARY}])
def test_headers_are_read_with_the_dictionary_and_without(words):
    compressor, reader = zlib.compressobj(**words), HeaderReader()
    assert reader.read(syn_stream(1, compressor, StreamType="error", port="80")) == (
        1,
        {"streamtype": "error", "port": "80"},
    )
    assert reader.read(syn_stream(3, compressor, streamtype="data")) == (3, {"streamtype": "data"})


@pytest.mark.parametrize("body", [b"", b"\0" * 10, b"\0\0\0\1" + b"\0" * 6 + b"nonsense"])
def test_headers_that_are_none_are_an_error(body):
    with pytest.raises(SpdyError):
        HeaderReader().read(body)


def test_a_count_that_the_block_does_not_hold_is_an_error():
    squeezed = zlib.compress(struct.pack("!II", 2**31, 9))
    with pytest.raises(SpdyError):
        HeaderReader().read(b"\0" * 10 + squeezed)


def frames(data, cuts=()):
    """Feed bytes cut at these places; join the pieces of each stream."""
    reader, found = FrameReader(), []
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for start, end in itertools.pairwise(places):
        for frame in reader.feed(data[start:end]):
            last = found[-1] if found and isinstance(found[-1], tuple) else (None, b"", True)
            if isinstance(frame, Data) and last[0] == frame.stream and not last[2]:
                found[-1] = (frame.stream, last[1] + bytes(frame.piece), frame.fin)
            elif isinstance(frame, Data):
                found.append((frame.stream, bytes(frame.piece), frame.fin))
            else:
                found.append(frame)
    return found


WHOLE = (
    data_head(3, 5)
    + b"hello"
    + control(PING, b"\0\0\0\1")
    + data_head(3, 3)
    + b"bye"
    + data_head(3, 0, fin=True)
    + control(9, b"")
    + data_head(5, 1, fin=True)
    + b"x"
)


@given(st.lists(st.integers(0, 200)))
def test_frames_are_the_same_however_they_are_cut(cuts):
    assert frames(WHOLE, cuts) == [
        (3, b"hello", False),
        Control(PING, 0, b"\0\0\0\1"),
        (3, b"bye", True),
        Control(9, 0, b""),
        (5, b"x", True),
    ]


@given(st.binary(max_size=300))
def test_any_bytes_are_frames_or_an_error(data):
    try:
        frames(data)
    except SpdyError:
        assert len(data) >= 8


@pytest.mark.parametrize("head", [(0x80020001, 0), (0x80030001, 0x00FFFFFF)])
def test_another_version_or_a_monstrous_frame_is_an_error(head):
    with pytest.raises(SpdyError):
        list(FrameReader().feed(struct.pack("!II", *head)))


def test_a_clients_opening_is_understood():
    reader, headers = FrameReader(), HeaderReader()
    streams = [headers.read(frame.body) for frame in reader.feed(opening(7007))]
    assert [(stream, found["streamtype"], found["port"]) for stream, found in streams] == [
        (1, "error", "7007"),
        (3, "data", "7007"),
    ]


def test_replies_share_one_compressed_stream():
    writer, inflate = HeaderWriter(), zlib.decompressobj(zdict=DICTIONARY)
    for stream in (1, 3):
        (frame,) = FrameReader().feed(writer.reply(stream))
        assert (frame.kind, struct.unpack_from("!I", frame.body)) == (SYN_REPLY, (stream,))
        assert inflate.decompress(frame.body[4:]) == b"\0\0\0\0"
