"""What the host shall look like, as values: networks in the tunnel, names asked in the cluster, and both together.

`plan` turns networks into a `RoutePlan`, `names` turns a namespace into a `ResolverPlan`, `hostconfig` holds the
desired state that the privileged helper makes true. Nothing here touches the machine: the host room does.
"""
