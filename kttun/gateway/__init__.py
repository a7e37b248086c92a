"""The other end, in the pod: takes packets out of the tunnel and emits them into the namespace, and back.

Runs as `python -m kttun.gateway` with `GatewaySettings` in its environment. Order at start: engine, listener, and only
then the public key as the first log line, so that a laptop which can read the key finds everything ready.
"""
