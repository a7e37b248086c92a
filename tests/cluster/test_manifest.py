"""The Job, word for word; what decides on admission, scheduling and cleaning up must not change unseen."""

import getpass
import json
import re
import socket
from ipaddress import ip_interface

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kttun import __version__
from kttun.cluster import manifest
from kttun.cluster.manifest import gateway_job, job_name
from kttun.config import GatewayChoice
from kttun.rendezvous import GatewaySettings

SETTINGS = GatewaySettings(
    client_key=bytes(32),
    session_id=bytes(16),
    port=7107,
    laptop=(ip_interface("198.18.0.1/30"),),
    gateway=(ip_interface("198.18.0.2/30"),),
    linger_s=60.0,
)
GOLDEN = """\
{
  "apiVersion": "batch/v1",
  "kind": "Job",
  "metadata": {
    "name": "kttun-shop-x1",
    "labels": LABELS,
    "annotations": ANNOTATIONS
  },
  "spec": {
    "backoffLimit": 0,
    "ttlSecondsAfterFinished": 5,
    "activeDeadlineSeconds": 90,
    "template": {
      "metadata": {
        "labels": LABELS,
        "annotations": ANNOTATIONS
      },
      "spec": {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 1,
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "containers": [
          {
            "name": "gateway",
            "image": "r/i:1",
            "env": [
              {
                "name": "KTTUN_GATEWAY",
                "value": SETTINGS
              }
            ],
            "resources": {
              "requests": {
                "cpu": "50m",
                "memory": "64Mi"
              },
              "limits": {
                "memory": "256Mi"
              }
            },
            "securityContext": {
              "runAsUser": 0,
              "allowPrivilegeEscalation": false,
              "capabilities": {
                "drop": [
                  "ALL"
                ],
                "add": [
                  "NET_ADMIN",
                  "MKNOD"
                ]
              },
              "seccompProfile": {
                "type": "RuntimeDefault"
              }
            }
          }
        ]
      }
    }
  }
}"""
LABELS = {
    "app.kubernetes.io/name": "kttun-gateway",
    "app.kubernetes.io/managed-by": "kttun",
    "app.kubernetes.io/version": __version__,
    "kttun.dev/session": "shop",
    "sidecar.istio.io/inject": "false",
    "kuma.io/sidecar-injection": "disabled",
}
ANNOTATIONS = {
    "kttun.dev/user": "jane@laptop",
    "sidecar.istio.io/inject": "false",
    "linkerd.io/inject": "disabled",
    "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
}


@pytest.fixture(autouse=True)
def jane(monkeypatch):
    monkeypatch.setattr(getpass, "getuser", lambda: "jane")
    monkeypatch.setattr(socket, "gethostname", lambda: "laptop")


def pod_of(job):
    return job["spec"]["template"]["spec"]


def test_the_job_is_this_and_no_more():
    job = gateway_job("kttun-shop-x1", "shop", GatewayChoice(image="r/i:1", timeout_s=60.2), SETTINGS)
    golden = GOLDEN.replace("ANNOTATIONS", json.dumps(ANNOTATIONS)).replace("LABELS", json.dumps(LABELS))
    assert job == json.loads(golden.replace("SETTINGS", json.dumps(SETTINGS.to_json())))


def test_what_the_user_chose_is_added_to_the_pod():
    choice = GatewayChoice(
        image="r/i:1",
        image_pull_secret="pull",
        service_account="robot",
        node_selector=(("disk", "ssd"), ("zone", "")),
    )
    added = dict(pod_of(gateway_job("kttun-shop-x1", "shop", choice, SETTINGS)))
    for key in pod_of(gateway_job("kttun-shop-x1", "shop", GatewayChoice(image="r/i:1"), SETTINGS)):
        del added[key]
    assert added == {
        "imagePullSecrets": [{"name": "pull"}],
        "serviceAccountName": "robot",
        "nodeSelector": {"disk": "ssd", "zone": ""},
    }


def test_the_gateway_reads_back_what_the_laptop_asked():
    (container,) = pod_of(gateway_job("kttun-shop-x1", "shop", GatewayChoice(image="i"), SETTINGS))["containers"]
    assert GatewaySettings.from_json(container["env"][0]["value"]) == SETTINGS


def test_a_user_whom_no_directory_knows_has_a_number(monkeypatch):
    def unknown():
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setattr(getpass, "getuser", unknown)
    monkeypatch.setattr(manifest.os, "getuid", lambda: 4711)
    job = gateway_job("kttun-shop-x1", "shop", GatewayChoice(image="i"), SETTINGS)
    assert job["metadata"]["annotations"]["kttun.dev/user"] == "4711@laptop"


@given(st.text(max_size=100))
def test_whatever_the_session_is_called_its_label_is_one(session):
    """A label's value: at most 63 characters, beginning and ending with a letter or digit, or empty."""
    label = gateway_job("j", session, GatewayChoice(image="i"), SETTINGS)["metadata"]["labels"]["kttun.dev/session"]
    assert re.fullmatch(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?", label)


@given(st.text(max_size=100))
def test_whatever_the_session_is_called_its_jobs_name_is_a_label_that_leaves_room_for_the_pods(session):
    """The API server cuts `generateName` at 58 characters and adds 5; a pod's is the Job's name and a dash."""
    job = job_name(session)
    assert re.fullmatch(r"kttun(-[a-z0-9]+)*-[bcdfghjklmnpqrstvwxz2456789]{5}", job)
    assert f"{job}-"[:58] == f"{job}-"


@pytest.mark.parametrize(("session", "stem"), [("shop", "kttun-shop-"), ("My_Shop.2", "kttun-my-shop-2-")])
def test_the_jobs_name_tells_the_sessions_and_is_another_each_time(session, stem):
    names = {job_name(session) for _ in range(20)}
    assert {name[:-5] for name in names} == {stem}
    assert len(names) > 1
