"""The Role as text to read and as YAML to apply: both say the same, and no more than the rules."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kttun.cluster.rbac import role_yaml
from kttun.cluster.rights import FEATURES
from kttun.errors import UsageError

TEXT = """\
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: kttun
  namespace: "shop"
rules:
# the gateway is a Job; patch sets its deadline
- apiGroups: ["batch"]
  resources: ["jobs"]
  verbs: ["create", "patch", "delete"]
# the gateway's pod, and the addresses of the namespace's pods
- apiGroups: [""]
  resources: ["pods"]
  verbs: ["get", "list", "watch"]
# the gateway's public key is the first line of its log
- apiGroups: [""]
  resources: ["pods/log"]
  verbs: ["get"]
# the tunnel's lanes: SPDY needs create, WebSocket get
- apiGroups: [""]
  resources: ["pods/portforward"]
  verbs: ["get", "create"]
# the reason when the gateway cannot start (optional)
- apiGroups: [""]
  resources: ["events"]
  verbs: ["list", "watch"]
# dry run only: learns the Service range, creates nothing (optional)
- apiGroups: [""]
  resources: ["services"]
  verbs: ["create"]
# addresses of Services where the range cannot be learned (optional)
- apiGroups: [""]
  resources: ["services"]
  verbs: ["list"]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: kttun
  namespace: "shop"
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: kttun}
subjects:
- {apiGroup: rbac.authorization.k8s.io, kind: User, name: "jane"}
"""


def test_the_text_is_made_to_be_read():
    assert role_yaml(["connect"], namespace="shop", user="jane") == TEXT


def test_the_yaml_holds_the_rules_and_nothing_else():
    role, binding = yaml.safe_load_all(TEXT)
    assert role == {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "kttun", "namespace": "shop"},
        "rules": [
            {"apiGroups": [rule.group], "resources": [rule.resource], "verbs": list(rule.verbs)}
            for rule in FEATURES["connect"]
        ],
    }
    assert binding == {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "kttun", "namespace": "shop"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "kttun"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "jane"}],
    }


def test_without_a_namespace_none_is_named():
    role, binding = yaml.safe_load_all(role_yaml(["connect"], group="team"))
    assert role["metadata"] == binding["metadata"] == {"name": "kttun"}
    assert binding["subjects"][0]["kind"] == "Group"


def test_without_a_subject_there_is_no_binding():
    assert [document["kind"] for document in yaml.safe_load_all(role_yaml(["connect"]))] == ["Role"]


# Up to U+FFFF: PyYAML reads an escaped pair of surrogates as two characters, YAML 1.2 parsers as one.
names = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=("Cs",)), min_size=1, max_size=30)


@given(names, names)
def test_no_name_breaks_out_of_its_quotes(user, namespace):
    _, binding = yaml.safe_load_all(role_yaml(["connect"], namespace=namespace, user=user))
    assert binding["subjects"] == [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}]
    assert binding["metadata"]["namespace"] == namespace


def test_an_unknown_feature_is_wrong_usage():
    with pytest.raises(UsageError):
        role_yaml(["fly"])
