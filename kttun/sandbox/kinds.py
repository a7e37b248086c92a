"""The kinds of objects that the practice cluster knows, as data: the API's paths, discovery and messages follow it."""

from __future__ import annotations

from dataclasses import dataclass

VERSION = "v1"
"""Every kind that is here is in this version of its group."""
RBAC_GROUP = "rbac.authorization.k8s.io"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind: where it stands in the API and how it is called. Equal to another when all of it is equal."""

    group: str
    """The API group; empty for the core group."""
    plural: str
    name: str
    """The kind's name as in `kind:`, such as `Pod`."""
    namespaced: bool = True
    short: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        """Give what stands in `apiVersion:`."""
        return f"{self.group}/{VERSION}" if self.group else VERSION

    @property
    def resource(self) -> str:
        """Give the name that messages use: `pods`, `jobs.batch`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


NAMESPACES = Kind("", "namespaces", "Namespace", namespaced=False, short=("ns",))
NODES = Kind("", "nodes", "Node", namespaced=False, short=("no",))
PODS = Kind("", "pods", "Pod", short=("po",), subresources=("log", "portforward"))
SERVICES = Kind("", "services", "Service", short=("svc",))
ENDPOINTS = Kind("", "endpoints", "Endpoints", short=("ep",))
CONFIG_MAPS = Kind("", "configmaps", "ConfigMap", short=("cm",))
SECRETS = Kind("", "secrets", "Secret")
SERVICE_ACCOUNTS = Kind("", "serviceaccounts", "ServiceAccount", short=("sa",), subresources=("token",))
EVENTS = Kind("", "events", "Event", short=("ev",))
QUOTAS = Kind("", "resourcequotas", "ResourceQuota", short=("quota",))
JOBS = Kind("batch", "jobs", "Job")
DEPLOYMENTS = Kind("apps", "deployments", "Deployment", short=("deploy",))
ENDPOINT_SLICES = Kind("discovery.k8s.io", "endpointslices", "EndpointSlice")
SERVICE_CIDRS = Kind("networking.k8s.io", "servicecidrs", "ServiceCIDR", namespaced=False)
NETWORK_POLICIES = Kind("networking.k8s.io", "networkpolicies", "NetworkPolicy", short=("netpol",))
ROLES = Kind(RBAC_GROUP, "roles", "Role")
ROLE_BINDINGS = Kind(RBAC_GROUP, "rolebindings", "RoleBinding")
CLUSTER_ROLES = Kind(RBAC_GROUP, "clusterroles", "ClusterRole", namespaced=False)
CLUSTER_ROLE_BINDINGS = Kind(RBAC_GROUP, "clusterrolebindings", "ClusterRoleBinding", namespaced=False)
LEASES = Kind("coordination.k8s.io", "leases", "Lease")
ACCESS_REVIEWS = Kind("authorization.k8s.io", "selfsubjectaccessreviews", "SelfSubjectAccessReview", namespaced=False)
"""Questions: they can be created only, and are answered, not kept."""

KINDS = tuple(each for each in list(globals().values()) if isinstance(each, Kind))
"""All of the above, in the order in which discovery names them."""


def kind_at(group: str, version: str, plural: str) -> Kind | None:
    """Give the kind whose collection has this path, or None."""
    return next((k for k in KINDS if (k.group, VERSION, k.plural) == (group, version, plural)), None)
