import os
from pathlib import Path

import pytest
import yaml

from kttun.cluster.kubeconfig import choose
from kttun.config import ClusterChoice
from kttun.errors import EnvironmentFaultError, UsageError


def entry(kind, name, **body):
    return {"name": name, kind: body}


def failing(path_or_choice, environ=None):
    choice = path_or_choice if isinstance(path_or_choice, ClusterChoice) else ClusterChoice(kubeconfig=path_or_choice)
    with pytest.raises((EnvironmentFaultError, UsageError)) as caught:
        choose(choice, environ or {})
    assert "\n" not in caught.value.message
    assert not caught.value.message.endswith(".")
    return caught.value


def test_the_context_names_cluster_user_and_namespace(write_kubeconfig):
    chosen = choose(ClusterChoice(kubeconfig=write_kubeconfig()), {})
    assert (chosen.context, chosen.namespace, chosen.cluster.name, chosen.user.name) == ("lab", "team", "lab", "me")


def test_flags_win_over_the_file(write_kubeconfig):
    contexts = [entry("context", name, cluster="lab", user="me") for name in ("lab", "other")]
    path = write_kubeconfig(contexts=contexts)
    chosen = choose(ClusterChoice(kubeconfig=path, context="other", namespace="feature-1"), {})
    assert (chosen.context, chosen.namespace) == ("other", "feature-1")


def test_the_list_of_files_is_merged_and_the_first_word_counts(tmp_path):
    first, second = tmp_path / "a" / "one", tmp_path / "b" / "two"
    for path, document in (
        (first, {"clusters": [entry("cluster", "c", server="http://first", **{"certificate-authority": "ca.pem"})]}),
        (
            second,
            {
                "current-context": "x",
                "clusters": [entry("cluster", "c", server="http://second")],
                "contexts": [entry("context", "x", cluster="c", namespace="n")],
            },
        ),
    ):
        path.parent.mkdir()
        path.write_text(yaml.safe_dump(document))
    listed = os.pathsep.join(["", str(first), str(tmp_path / "missing"), str(second)])
    chosen = choose(ClusterChoice(), {"KUBECONFIG": listed})
    assert chosen.cluster.body["server"] == "http://first"
    assert chosen.cluster.path("certificate-authority") == tmp_path / "a" / "ca.pem"
    assert dict(chosen.user.body) == {}


def test_the_home_directory_is_looked_into_last(write_kubeconfig, tmp_path):
    path = write_kubeconfig()
    (tmp_path / ".kube").mkdir()
    path.rename(tmp_path / ".kube" / "config")
    assert choose(ClusterChoice(), {"HOME": str(tmp_path)}).context == "lab"


def test_no_kubeconfig_at_all_says_where_it_was_looked_for(tmp_path):
    error = failing(ClusterChoice(), {"HOME": str(tmp_path)})
    assert f"{tmp_path}/.kube/config does not exist" in error.message
    assert "--kubeconfig" in error.hints[0]


BROKEN = {
    "empty": (b"", "is empty"),
    "text": (b"hello", "is not a kubeconfig"),
    "no YAML": (b"a: [1", "is not YAML (line"),
    "no text": (b"\x80\x81", "is not YAML"),
    "no date": (b"a: 2020-13-45\n", "is not YAML"),
    "no timestamp": (b"a: !!timestamp x\n", "is not YAML"),
    "no number": (b"a: !!int x\n", "is not YAML"),
    "a number without end": (b"a: " + b"9" * 6000, "is not YAML"),
    "a program": (b"!!python/object/apply:os.system ['true']", "is not YAML (line 1)"),
    "a list as a key": (b"? [a]\n: b\n", "is not YAML"),
    "nested without end": (b"[" * 20_000, "is not YAML"),
    "two documents": (b"a: b\n---\na: b\n", "is not YAML"),
    "current context no text": (b"current-context: [a]\n", "current-context is not a text"),
    "a name no text": (b"contexts: [{name: [a], context: {}}]\n", "an entry of contexts has no name"),
    "a value no text": (b"clusters: [{name: c, cluster: {server: [a]}}]\n", "server is not a text"),
    "no contexts": (b"kind: Config\ncurrent-context: x\n", "has no contexts"),
    "contexts no list": (b"contexts: {a: b}\n", "contexts is not a list"),
    "nameless": (b"contexts: [{context: {}}]\n", "an entry of contexts has no name"),
    "entry no mapping": (b"clusters: [{name: c, cluster: text}]\n", "cluster c is not a mapping"),
    "no current context": (b"contexts: [{name: a}, {name: b}]\n", "has no current context"),
    "no cluster": (b"current-context: a\ncontexts: [{name: a, context: {namespace: n}}]\n", "names no cluster"),
    "dangling cluster": (
        b"current-context: a\ncontexts: [{name: a, context: {namespace: n, cluster: c}}]\n",
        "names cluster c, which the kubeconfig does not have",
    ),
    "dangling user": (
        (
            b"{current-context: a,"
            b" clusters: [{name: c}], contexts: [{name: a, context: {namespace: n, cluster: c, user: u}}]}"
        ),
        "names user u, which the kubeconfig does not have",
    ),
}


@pytest.mark.parametrize(("content", "said"), BROKEN.values(), ids=BROKEN)
def test_each_broken_file_is_named_with_its_fault(content, said, tmp_path):
    path = tmp_path / "config"
    path.write_bytes(content)
    error = failing(path)
    assert said in error.message
    assert str(path) in error.message or "names" in error.message


@pytest.mark.parametrize("name", [5, "2020-01-01"])
def test_a_context_whose_name_yaml_takes_for_a_number_or_a_date_is_found(name, tmp_path):
    path = tmp_path / "config"
    path.write_text(
        f"{{current-context: {name}, clusters: [{{name: 7}}],"
        f" contexts: [{{name: {name}, context: {{cluster: 7, namespace: n}}}}]}}"
    )
    assert choose(ClusterChoice(kubeconfig=path), {}).context == str(name)


def test_a_directory_and_a_missing_file_are_told_apart(tmp_path):
    assert "Is a directory" in failing(tmp_path).message
    assert "No such file" in failing(tmp_path / "missing").message


def test_an_unreadable_file_says_whose_rights_count(monkeypatch, tmp_path):
    def refuse(_self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    error = failing(tmp_path / "config")
    assert "Permission denied" in error.message
    assert "never as root" in error.hints[0]


def test_an_unknown_context_lists_the_known_and_suggests_the_nearest(write_kubeconfig):
    contexts = [entry("context", f"cluster-{i}", cluster="lab") for i in range(12)]
    path = write_kubeconfig(contexts=contexts)
    error = failing(ClusterChoice(kubeconfig=path, context="clutser-3"))
    assert isinstance(error, UsageError)
    assert error.hints[0] == "did you mean cluster-3?"
    assert "cluster-0" in error.hints[1]
    assert "and 2 more" in error.hints[1]


def test_no_namespace_is_never_default(write_kubeconfig):
    error = failing(write_kubeconfig(context={"namespace": None}))
    assert isinstance(error, UsageError)
    assert "no namespace given, and context lab names none" in error.message


@pytest.mark.parametrize("name", ["Team", "a/b", "-a", "a" * 64, "a b", "../pods"])
def test_what_cannot_be_a_namespace_is_refused_before_it_gets_into_a_path(name, write_kubeconfig):
    error = failing(ClusterChoice(kubeconfig=write_kubeconfig(), namespace=name))
    assert isinstance(error, UsageError)
    assert name in error.message
