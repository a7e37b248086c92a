"""What is counted and how it is shown: exact counters, drops by reason, frozen snapshots. Touches nothing outside.

"tx" is outbound, from the TUN to the stream; "rx" is inbound, from the stream to the TUN, at both ends.
"""
