"""The kinds of objects that the practice cluster knows, as data: the API's paths, discovery and messages follow it."""

from __future__ import annotations

from dataclasses import dataclass

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
"""What can be done with an object that is kept (Kubernetes API concepts, "API verbs")."""
REVIEW_VERBS = ("create",)
"""What can be done with a question: it is answered, not kept."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind: where it stands in the API and how it is called. Equal to another when all of it is equal."""

    group: str
    """The API group; empty for the core group."""
    version: str
    plural: str
    name: str
    """The kind's name as in `kind:`, such as `Pod`."""
    namespaced: bool = True
    short: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ALL_VERBS

    @property
    def api_version(self) -> str:
        """Give what stands in `apiVersion:`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """Give the name that messages use: `pods`, `jobs.batch`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


NAMESPACES = Kind("", "v1", "namespaces", "Namespace", namespaced=False, short=("ns",), subresources=("status",))
NODES = Kind("", "v1", "nodes", "Node", namespaced=False, short=("no",), subresources=("status",))
PODS = Kind("", "v1", "pods", "Pod", short=("po",), subresources=("log", "portforward", "status"))
SERVICES = Kind("", "v1", "services", "Service", short=("svc",), subresources=("status",))
ENDPOINTS = Kind("", "v1", "endpoints", "Endpoints", short=("ep",))
CONFIG_MAPS = Kind("", "v1", "configmaps", "ConfigMap", short=("cm",))
SECRETS = Kind("", "v1", "secrets", "Secret")
SERVICE_ACCOUNTS = Kind("", "v1", "serviceaccounts", "ServiceAccount", short=("sa",), subresources=("token",))
EVENTS = Kind("", "v1", "events", "Event", short=("ev",))
QUOTAS = Kind("", "v1", "resourcequotas", "ResourceQuota", short=("quota",), subresources=("status",))
JOBS = Kind("batch", "v1", "jobs", "Job", subresources=("status",))
DEPLOYMENTS = Kind("apps", "v1", "deployments", "Deployment", short=("deploy",), subresources=("status",))
REPLICA_SETS = Kind("apps", "v1", "replicasets", "ReplicaSet", short=("rs",), subresources=("status",))
ENDPOINT_SLICES = Kind("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
SERVICE_CIDRS = Kind("networking.k8s.io", "v1", "servicecidrs", "ServiceCIDR", namespaced=False)
NETWORK_POLICIES = Kind("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", short=("netpol",))
ROLES = Kind("rbac.authorization.k8s.io", "v1", "roles", "Role")
ROLE_BINDINGS = Kind("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")
CLUSTER_ROLES = Kind("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", namespaced=False)
CLUSTER_ROLE_BINDINGS = Kind(
    "rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False
)
LEASES = Kind("coordination.k8s.io", "v1", "leases", "Lease")
ACCESS_REVIEWS = Kind(
    "authorization.k8s.io",
    "v1",
    "selfsubjectaccessreviews",
    "SelfSubjectAccessReview",
    namespaced=False,
    verbs=REVIEW_VERBS,
)

KINDS: tuple[Kind, ...] = (
    NAMESPACES,
    NODES,
    PODS,
    SERVICES,
    ENDPOINTS,
    CONFIG_MAPS,
    SECRETS,
    SERVICE_ACCOUNTS,
    EVENTS,
    QUOTAS,
    JOBS,
    DEPLOYMENTS,
    REPLICA_SETS,
    ENDPOINT_SLICES,
    SERVICE_CIDRS,
    NETWORK_POLICIES,
    ROLES,
    ROLE_BINDINGS,
    CLUSTER_ROLES,
    CLUSTER_ROLE_BINDINGS,
    LEASES,
    ACCESS_REVIEWS,
)
"""All kinds, in the order in which discovery names them."""


def kind_at(group: str, version: str, plural: str) -> Kind | None:
    """Give the kind whose collection has this path, or None."""
    return next((k for k in KINDS if (k.group, k.version, k.plural) == (group, version, plural)), None)


def kind_named(api_version: str, name: str) -> Kind | None:
    """Give the kind of an object that says `apiVersion` and `kind`, or None."""
    return next((k for k in KINDS if (k.api_version, k.name) == (api_version, name)), None)
