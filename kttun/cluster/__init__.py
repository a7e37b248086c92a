"""All talk with Kubernetes: who we are there, what we may, what its networks are, and the gateway Job.

From below: `kubeconfig` reads and chooses; `credentials`, `plugin`, `tls` and `proxies` say who we are and how to get
there; `login` joins them into one value with a `client` of the library `kubernetes`, `rest` makes calls with it and
`errors` turns whatever goes wrong into words. On top: `rights` and `rbac`, `discovery`, and the gateway in `manifest`,
`verdict` and `gateway`. The library is imported when somebody logs in, not before.
"""
