"""The only part of kttun that runs as root, kept small and boring.

`spawn` starts the worker as the invoking user and stays behind as the helper. `helper` serves one socket: it makes the
machine match a `HostConfig` (`tun`, `netlink`, `resolver`, `sockets`), hands file descriptors up, echoes each act as
the command a person would type, and undoes everything when the socket closes. The worker's side is `client`, after
`privileges` proved root gone. `lookup` reads the machine and needs no root; `leftovers` cleans up after a dead helper
without any memory of it.
"""
