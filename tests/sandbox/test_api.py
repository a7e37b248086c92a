"""The API as kttun's own client meets it, over real TLS on loopback."""

import http.client
import json
import ssl
import threading

import pytest
from kubernetes.client import ApiException

from kttun.sandbox.kinds import PODS, SERVICE_ACCOUNTS

CONFIGS = "/api/v1/namespaces/shop/configmaps"
PATCHED = "application/json-patch+json"


def refusal(function, *words, **more):
    with pytest.raises(ApiException) as refused:
        function(*words, **more)
    body = json.loads(refused.value.body)
    assert body["code"] == refused.value.status
    return refused.value.status, body["reason"], body["message"]


def config(name, **labels):
    return {"metadata": {"name": name, "labels": labels}, "data": {"key": name}}


def make_pod(practice, name="p", node="n1", **state):
    pod = {
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"nodeName": node, "containers": [{"name": "main", "image": "i"}]},
    }
    practice.create(PODS, pod)
    status = {"phase": "Running", "containerStatuses": [{"name": "main", "state": state or {"running": {}}}]}
    return practice.call(practice.store.update, PODS, "shop", name, lambda found: found.update(status=status))


@pytest.fixture
def rest(shop):
    return shop.rest()


def test_an_object_lives_from_create_to_delete(rest):
    made = rest.create(CONFIGS, config("a"))
    assert made["kind"] == "ConfigMap"
    assert rest.get(f"{CONFIGS}/a") == made
    assert rest.patch(f"{CONFIGS}/a", {"data": {"more": "x"}})["data"] == {"key": "a", "more": "x"}
    assert rest.delete(f"{CONFIGS}/a", {})["status"] == "Success"
    assert refusal(rest.get, f"{CONFIGS}/a") == (404, "NotFound", 'configmaps "a" not found')


def test_a_dry_run_changes_nothing(rest):
    rest.create(CONFIGS, config("a"), dryRun="All")
    assert list(rest.items(CONFIGS)) == []


def test_selectors_narrow_a_list(rest):
    rest.create(CONFIGS, config("a", app="x"))
    rest.create(CONFIGS, config("b", app="y"))
    assert [found["metadata"]["name"] for found in rest.items(CONFIGS, labelSelector="app=y")] == ["b"]
    assert [found["metadata"]["name"] for found in rest.items(CONFIGS, fieldSelector="metadata.name=a")] == ["a"]


def test_a_json_patch_with_an_old_version_is_a_conflict(rest):
    old = rest.create(CONFIGS, config("a"))["metadata"]["resourceVersion"]
    rest.patch(f"{CONFIGS}/a", {"data": {"key": "new"}})
    operations = [
        {"op": "replace", "path": "/metadata/resourceVersion", "value": old},
        {"op": "replace", "path": "/data/key", "value": "mine"},
    ]
    code, reason, _ = refusal(rest._object, "PATCH", f"{CONFIGS}/a", {}, operations, PATCHED)
    assert (code, reason) == (409, "Conflict")
    assert rest.get(f"{CONFIGS}/a")["data"] == {"key": "new"}


def test_a_body_that_does_not_fit_the_path_is_refused(rest):
    other = config("a") | {"kind": "Secret", "apiVersion": "v1"}
    assert "cannot be handled as a ConfigMap" in refusal(rest.create, CONFIGS, other)[2]
    stray = {"metadata": {"name": "a", "namespace": "lab"}}
    assert "namespace of the provided object" in refusal(rest.create, CONFIGS, stray)[2]
    assert refusal(rest._object, "POST", CONFIGS, {}, [1])[0] == 400


def test_a_pod_that_runs_is_given_back_while_it_ends(shop, rest):
    make_pod(shop)
    found = rest.delete("/api/v1/namespaces/shop/pods/p", {"gracePeriodSeconds": 7})
    assert (found["kind"], found["metadata"]["deletionGracePeriodSeconds"]) == ("Pod", 7)
    assert rest.delete("/api/v1/namespaces/shop/pods/p", {"gracePeriodSeconds": 0})["status"] == "Success"


def test_a_watch_tells_changes_that_fit_its_selector(rest):
    rest.create(CONFIGS, config("old", app="x"))
    seen, enough = [], threading.Event()

    def look():
        for change, found in rest.watch(CONFIGS, timeout_s=20, labelSelector="app=x"):
            seen.append((change, found["metadata"]["name"]))
            if found["metadata"]["name"] == "last":
                enough.set()
                return
            ready.set()

    ready = threading.Event()
    thread = threading.Thread(target=look)
    thread.start()
    assert ready.wait(20)
    rest.create(CONFIGS, config("new"))
    rest.patch(f"{CONFIGS}/new", {"metadata": {"labels": {"app": "x"}}})
    rest.patch(f"{CONFIGS}/new", {"data": {"a": "b"}})
    rest.patch(f"{CONFIGS}/new", {"metadata": {"labels": {"app": "y"}}})
    rest.delete(f"{CONFIGS}/old", {})
    rest.create(CONFIGS, config("last", app="x"))
    assert enough.wait(20)
    thread.join()
    assert seen == [
        ("ADDED", "old"),
        ("ADDED", "new"),
        ("MODIFIED", "new"),
        ("DELETED", "new"),
        ("DELETED", "old"),
        ("ADDED", "last"),
    ]


def test_a_watch_resumes_after_what_was_listed(rest):
    since = rest.get(CONFIGS)["metadata"]["resourceVersion"]
    rest.create(CONFIGS, config("a"))
    (event,) = rest.watch(CONFIGS, timeout_s=1, resourceVersion=since)
    assert (event[0], event[1]["metadata"]["name"]) == ("ADDED", "a")


@pytest.mark.parametrize(
    ("method", "path", "code"), [("DELETE", CONFIGS, 405), ("PUT", f"{CONFIGS}/a", 405), ("GET", "/openapi/v3", 404)]
)
def test_what_is_not_offered_is_refused(rest, method, path, code):
    assert refusal(rest._object, method, path, {}, {})[0] == code


def test_a_patch_does_not_move_an_object(rest):
    rest.create(CONFIGS, config("a"))
    assert refusal(rest.patch, f"{CONFIGS}/a", {"metadata": {"name": "b"}})[0] == 400
    assert refusal(rest.patch, f"{CONFIGS}/a", {"metadata": {"namespace": "lab"}})[0] == 400


def test_a_status_is_not_the_clients_to_change(shop, rest):
    make_pod(shop)
    assert rest.patch("/api/v1/namespaces/shop/pods/p", {"status": {"phase": "Failed"}})["status"]["phase"] == "Running"


@pytest.mark.parametrize(
    ("body", "kind", "code"), [("{", "application/json", 400), ("k8s", "application/vnd.kubernetes.protobuf", 415)]
)
def test_a_body_that_is_no_json_is_refused(shop, body, kind, code):
    context = ssl.create_default_context(cadata=shop.authority.pem.decode())
    certificate = shop.kubeconfig().with_suffix(".pem")
    certificate.write_bytes(b"".join(shop.authority.user("admin", ["system:masters"])))
    context.load_cert_chain(certificate)
    connection = http.client.HTTPSConnection("127.0.0.1", shop.port, context=context, timeout=10)
    connection.request("POST", CONFIGS, body, {"Content-Type": kind})
    assert connection.getresponse().status == code
    connection.close()


def test_a_watch_from_a_forgotten_place_is_gone(shop, rest):
    for number in range(5000):
        shop.store.create(PODS, {"metadata": {"name": f"x{number}", "namespace": "shop"}})
    ((change, status),) = rest.watch(CONFIGS, timeout_s=5, resourceVersion=1)
    assert (change, status["code"], status["reason"]) == ("ERROR", 410, "Expired")


def test_a_watch_with_initial_events_is_refused_as_by_a_server_without_them(rest):
    with pytest.raises(ApiException) as refused:
        list(rest.watch(CONFIGS, timeout_s=1, sendInitialEvents="true"))
    assert refused.value.status == 422


def test_logs_come_as_text_by_container_and_tail(shop, rest):
    make_pod(shop)
    shop.runtime.printed["p", "main"] = [b"one\ntw", b"o\n"]
    path = "/api/v1/namespaces/shop/pods/p/log"
    assert rest.text(path) == "one\ntwo\n"
    assert list(rest.lines(path, timeout_s=5, follow="true", tailLines=3, container="main")) == ["one", "two"]
    assert shop.runtime.asked == [("p", "main", False, None), ("p", "main", True, 3)]


@pytest.mark.parametrize(
    ("query", "state", "told"),
    [
        ({"container": "other"}, {}, "container other is not valid for pod p"),
        ({"tailLines": "few"}, {}, "invalid value for tailLines: few"),
        ({}, {"waiting": {"reason": "ErrImagePull"}}, 'container "main" in pod "p" is waiting to start: ErrImagePull'),
    ],
)
def test_a_log_that_is_not_there_says_why(shop, rest, query, state, told):
    make_pod(shop, **state)
    assert refusal(rest.text, "/api/v1/namespaces/shop/pods/p/log", **query) == (400, "BadRequest", told)


def test_a_pod_of_several_containers_wants_one_named(shop, rest):
    make_pod(shop)
    shop.call(shop.store.update, PODS, "shop", "p", lambda found: found["spec"]["containers"].append({"name": "side"}))
    told = "a container name must be specified for pod p, choose one of: [main side]"
    assert refusal(rest.text, "/api/v1/namespaces/shop/pods/p/log") == (400, "BadRequest", told)


def test_a_bug_is_answered_as_an_internal_error(shop, rest, monkeypatch, caplog):
    monkeypatch.setattr(shop.store, "get", lambda *_: 1 / 0)
    code, reason, told = refusal(rest.get, f"{CONFIGS}/a")
    assert (code, reason) == (500, "InternalError")
    assert told == "Internal error occurred: division by zero"
    assert "bug while answering GET" in caplog.text


def test_a_subresource_that_a_kind_does_not_answer_is_refused(shop, rest):
    make_pod(shop)
    assert refusal(rest._object, "PUT", "/api/v1/namespaces/shop/pods/p/log", {}, {})[0] == 405


def test_a_pod_without_a_node_has_neither_log_nor_ports(shop, rest):
    make_pod(shop, node="")
    assert refusal(rest.text, "/api/v1/namespaces/shop/pods/p/log")[2] == "pod p does not have a host assigned"


def test_who_is_not_known_is_told_so(shop):
    rest = shop.rest("robot", user={"token": "garbage"})
    assert refusal(rest.get, "/api/v1/pods") == (401, "Unauthorized", "Unauthorized")


def test_who_has_no_rights_is_told_which(shop):
    rest = shop.rest("jane", ("dev",))
    assert refusal(rest.get, "/apis/batch/v1/namespaces/shop/jobs") == (
        403,
        "Forbidden",
        (
            'jobs.batch is forbidden: User "jane" cannot list resource "jobs" in API group "batch" '
            'in the namespace "shop"'
        ),
    )
    assert refusal(rest.get, "/api/v1/namespaces/shop/pods/p")[2].startswith('pods "p" is forbidden: User "jane"')
    assert refusal(rest.get, "/version")[2] == 'forbidden: User "jane" cannot get path "/version"'


def test_a_token_is_requested_and_used(shop, rest):
    rest.create("/api/v1/namespaces/shop/serviceaccounts", {"metadata": {"name": "robot"}})
    path = "/api/v1/namespaces/shop/serviceaccounts/robot/token"
    status = rest.create(path, {"spec": {"expirationSeconds": 3600}})["status"]
    robot = shop.rest("robot", user={"token": status["token"]})
    assert 'User "system:serviceaccount:shop:robot" cannot list' in refusal(robot.get, "/api/v1/pods")[2]
    shop.call(shop.store.delete, SERVICE_ACCOUNTS, "shop", "robot")
    assert refusal(robot.get, "/api/v1/pods")[0] == 401


@pytest.mark.parametrize(
    ("attributes", "allowed"),
    [
        ({"resourceAttributes": {"verb": "get", "resource": "pods", "namespace": "shop"}}, True),
        ({"nonResourceAttributes": {"verb": "get", "path": "/version"}}, True),
    ],
)
def test_a_review_answers_what_one_may(rest, attributes, allowed):
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    assert rest.create(path, {"spec": attributes})["status"]["allowed"] is allowed
    assert refusal(rest.create, path, {"spec": {}})[0] == 400


def test_discovery_names_each_kind_once(rest):
    assert rest.get("/api")["versions"] == ["v1"]
    groups = {group["name"] for group in rest.get("/apis")["groups"]}
    assert {"batch", "rbac.authorization.k8s.io"} <= groups
    names = [found["name"] for found in rest.get("/api/v1")["resources"]]
    assert {"pods", "pods/log", "pods/portforward", "serviceaccounts/token"} <= set(names)
    assert len(names) == len(set(names))
    assert rest.get("/apis/batch/v1")["groupVersion"] == "batch/v1"
    assert refusal(rest.get, "/metrics")[0] == 404
