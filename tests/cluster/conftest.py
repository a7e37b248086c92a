import pytest
import yaml
from fakes.identities import Authority
from fakes.kube import Kube


@pytest.fixture(scope="session")
def authority():
    """A CA that signs for 127.0.0.1 and api.test, and users."""
    return Authority()


@pytest.fixture
def kube():
    """An API server without TLS."""
    with Kube() as server:
        yield server


@pytest.fixture
def write_kubeconfig(tmp_path):
    """Write a kubeconfig of one cluster, user and context; parts may be overruled. Gives its path."""

    def write(server="http://127.0.0.1:1", *, name="config", cluster=None, user=None, context=None, **top):
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "lab",
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "me", "namespace": "team"}}],
            "clusters": [{"name": "lab", "cluster": {"server": server, **(cluster or {})}}],
            "users": [{"name": "me", "user": user or {}}],
            **top,
        }
        document["contexts"][0]["context"].update(context or {}) if document["contexts"] else None
        path = tmp_path / name
        path.write_text(yaml.safe_dump(document))
        return path

    return write
