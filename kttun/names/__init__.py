"""The DNS forwarder that runs in the worker: cluster names go through the tunnel, nothing else does.

A question passes the files in this order: `forwarder` (sockets, its own thread) -> `answering` (limits, sharing) ->
`rewrite` (wire format in) -> `plan` (the rules) -> `upstreams` (asks a server) -> `rewrite` (wire format out). `plan`
and `rewrite` are pure; only `upstreams` and `forwarder` open anything.
"""
