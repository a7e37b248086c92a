"""The practice cluster of `kttun sandbox`: a small Kubernetes API and what stands behind it, in one process.

One asyncio loop, one in-memory `store`, no threads. `kinds` says what exists, `status` how the API says no,
`registry` is the way in for whoever makes an object; `users` and `rbac` say who asks and what he may. `api` puts HTTP
over TLS (`pki`) in front, with `resources` for what is kept and `portforward` for what flows. `controllers` make
objects of objects, the `kubelet` makes pods of them, `proxy` and `names` lead to these. `cluster` puts it together,
`lifecycle` starts and stops it. It is as large as the calls that kttun and a look with kubectl (get, logs,
port-forward, delete) make, and no larger.
"""
