"""The practice cluster of `kttun sandbox`: a small Kubernetes API and what stands behind it, in one process.

One asyncio loop, one in-memory `store.Store`, no threads. From below: `kinds` says what exists, `status` how the API
says no, `selectors` and `store` keep objects and their history. `registry` is the way in for whoever makes an object,
with `admission` on it; `users` and `rbac` say who asks and what he may. `api` puts HTTP over TLS (`pki`) in front, with
`watches`, `logs` and `portforward` for what flows; these ask a `pods.PodRuntime` for what runs behind a pod. It is as
large as the calls that kttun and a curious user's kubectl make: a practice cluster, not a Kubernetes.
"""
