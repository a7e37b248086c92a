"""The link: a TUN device, the lanes and the sans-IO `Tunnel`, run by one thread over a few file descriptors.

`pump` moves the packets, in turns of `loop`, and holds no business. It owns the queues (`queues`), since a TUN never
pushes back but drops, and the in-flight limit (`limiter`), since no socket option reaches the buffers in the API
server; `tun` and `lane` are its two sides. `carrier` is the contract of a lane's byte stream; `spdy` and `websocket`
keep it across an API server. `dialer` brings lost lanes back, `control` answers `status` and `down`.
"""
