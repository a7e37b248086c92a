"""The tunnel protocol, sans-IO: packets in, bytes in, time in; bytes and values out. Nothing here reads a clock.

A stream is read from its first byte on as these modules are: `preface` (in clear: version, session, lane), `handshake`
and `noise` (Noise KK, each end's report inside), `keys` (a pair for each lane), then to its end `records` (sealed,
counted) holding `frames` (packets and control). `credit` and `liveness` are the books of a keyed `lane`; `stream` is
handshake and lane of one byte stream, `tunnel` the session over all its streams and the one door for callers. `states`
holds its life in one table, `errors` says who is to blame.
"""

HEADROOM = 16
"""Bytes left free in front of everything given out for sending: a carrier writes its own framing there in place.

The longest is a WebSocket header with 64-bit length and mask, 14 bytes (RFC 6455 section 5.2); SPDY/3.1 takes 8.
"""
