import os
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kttun.errors import EnvironmentFaultError
from kttun.host.echo import Echo
from kttun.host.resolver.resolvconf import (
    Header,
    Resolvconf,
    find_leftovers,
    parse_headers,
    rendered,
    restore_leftovers,
    without,
)
from kttun.routing.names import plan_names

ORIGINAL = "# mine\nnameserver 192.168.1.1\nsearch corp.example home\noptions edns0\n"
PLAN_A = plan_names("shop", "cluster.local", (ip_address("10.99.0.1"),))
PLAN_B = plan_names("bank", "cluster.local", (ip_address("10.99.0.5"),))


@pytest.fixture
def conf(tmp_path):
    path = tmp_path / "resolv.conf"
    path.write_text(ORIGINAL)
    return path


def words(path, first):
    return [line.split()[1:] for line in path.read_text().splitlines() if line.split()[:1] == [first]]


def only(path):
    return sorted(p.name for p in path.parent.iterdir())


def test_our_nameserver_stands_first_and_the_old_ones_and_options_stay(conf):
    echo = Echo()
    Resolvconf("one", conf).apply("kttun0", PLAN_A, echo)
    assert words(conf, "nameserver") == [["10.99.0.1"], ["192.168.1.1"]]
    assert words(conf, "search") == [[*PLAN_A.search, "corp.example", "home"]]
    assert "options edns0" in conf.read_text()
    assert "kttun" in conf.read_text().splitlines()[0]
    assert "sudo kttun down" in conf.read_text()
    assert len(echo.take()) == 1


def test_undo_brings_the_very_file_back(conf):
    conf.chmod(0o640)
    before = conf.stat()
    method = Resolvconf("one", conf)
    method.apply("kttun0", PLAN_A, Echo())
    method.undo("kttun0", Echo())
    assert conf.read_text() == ORIGINAL
    assert (conf.stat().st_ino, conf.stat().st_mode) == (before.st_ino, before.st_mode)
    assert only(conf) == ["resolv.conf"]


def test_apply_twice_changes_nothing(conf):
    method = Resolvconf("one", conf)
    method.apply("kttun0", PLAN_A, Echo())
    first = conf.stat().st_ino
    method.apply("kttun0", PLAN_A, Echo())
    assert conf.stat().st_ino == first
    method.undo("kttun0", Echo())
    assert conf.read_text() == ORIGINAL


def test_another_plan_replaces_the_first(conf):
    method = Resolvconf("one", conf)
    method.apply("kttun0", PLAN_A, Echo())
    method.apply("kttun0", PLAN_B, Echo())
    assert words(conf, "nameserver") == [["10.99.0.5"], ["192.168.1.1"]]
    method.undo("kttun0", Echo())
    assert conf.read_text() == ORIGINAL


def test_undo_without_apply_does_nothing(conf):
    echo = Echo()
    Resolvconf("one", conf).undo("kttun0", echo)
    assert conf.read_text() == ORIGINAL
    assert echo.take() == ()


def test_a_symlink_comes_back_as_a_symlink_and_its_target_is_never_written(tmp_path):
    target = tmp_path / "generated"
    target.write_text(ORIGINAL)
    conf = tmp_path / "resolv.conf"
    conf.symlink_to("generated")
    method = Resolvconf("one", conf)
    method.apply("kttun0", PLAN_A, Echo())
    assert not conf.is_symlink()
    assert target.read_text() == ORIGINAL
    method.undo("kttun0", Echo())
    assert conf.readlink().name == "generated"
    assert only(conf) == ["generated", "resolv.conf"]


@pytest.mark.parametrize("dangling", [False, True])
def test_a_missing_file_is_missing_again(tmp_path, dangling):
    conf = tmp_path / "resolv.conf"
    if dangling:
        conf.symlink_to("nowhere")
    method = Resolvconf("one", conf)
    method.apply("kttun0", PLAN_A, Echo())
    assert words(conf, "nameserver") == [["10.99.0.1"]]
    method.undo("kttun0", Echo())
    assert not conf.exists()
    assert conf.is_symlink() is dangling


def test_a_file_that_somebody_edited_keeps_the_edit(conf):
    method = Resolvconf("one", conf)
    method.apply("kttun0", PLAN_A, Echo())
    conf.write_text(conf.read_text() + "nameserver 9.9.9.9\n")
    method.undo("kttun0", Echo())
    assert words(conf, "nameserver") == [["192.168.1.1"], ["9.9.9.9"]]
    assert words(conf, "search") == [["corp.example", "home"]]
    assert "kttun" not in conf.read_text()
    assert only(conf) == ["resolv.conf"]


def test_a_file_that_somebody_replaced_is_left_alone(conf):
    method = Resolvconf("one", conf)
    method.apply("kttun0", PLAN_A, Echo())
    conf.write_text("nameserver 9.9.9.9\n")
    method.undo("kttun0", Echo())
    assert conf.read_text() == "nameserver 9.9.9.9\n"
    assert only(conf) == ["resolv.conf"]


@pytest.mark.parametrize("first_to_end", ["one", "two"])
@pytest.mark.parametrize("symlink", [False, True])
def test_two_sessions_may_end_in_any_order(tmp_path, first_to_end, symlink):
    conf = tmp_path / "resolv.conf"
    if symlink:
        (tmp_path / "generated").write_text(ORIGINAL)
        conf.symlink_to("generated")
    else:
        conf.write_text(ORIGINAL)
    methods = {"one": Resolvconf("one", conf), "two": Resolvconf("two", conf)}
    methods["one"].apply("kttun0", PLAN_A, Echo())
    methods["two"].apply("kttun1", PLAN_B, Echo())
    assert words(conf, "nameserver") == [["10.99.0.5"], ["10.99.0.1"], ["192.168.1.1"]]
    methods.pop(first_to_end).undo("", Echo())
    left = "10.99.0.5" if first_to_end == "one" else "10.99.0.1"
    assert words(conf, "nameserver") == [[left], ["192.168.1.1"]]
    (last,) = methods.values()
    last.undo("", Echo())
    assert conf.read_text() == ORIGINAL
    assert conf.is_symlink() is symlink
    assert [name for name in only(conf) if "before" in name] == []


def test_the_lower_session_may_apply_again_under_the_upper(conf):
    one, two = Resolvconf("one", conf), Resolvconf("two", conf)
    one.apply("kttun0", PLAN_A, Echo())
    two.apply("kttun1", PLAN_B, Echo())
    text = conf.read_text()
    one.apply("kttun0", PLAN_A, Echo())
    assert conf.read_text() == text


def test_leftovers_of_the_dead_are_restored_and_the_living_stay(conf):
    Resolvconf("dead", conf).apply("kttun0", PLAN_A, Echo())
    Resolvconf("live", conf).apply("kttun1", PLAN_B, Echo())

    def is_alive(address):
        return str(address) == "10.99.0.5"

    assert find_leftovers(conf, is_alive) == ("dead",)
    restore_leftovers(conf, is_alive, Echo())
    assert words(conf, "nameserver") == [["10.99.0.5"], ["192.168.1.1"]]
    Resolvconf("live", conf).undo("kttun1", Echo())
    assert conf.read_text() == ORIGINAL


def test_an_original_without_any_header_is_a_leftover(conf):
    conf.with_name("resolv.conf.before-kttun-dead").write_text("x\n")
    restore_leftovers(conf, lambda address: False, Echo())
    assert only(conf) == ["resolv.conf"]
    assert conf.read_text() == ORIGINAL


def test_no_file_no_leftovers(tmp_path):
    assert find_leftovers(tmp_path / "resolv.conf", lambda address: False) == ()


def test_a_folder_that_is_not_there_is_an_obstacle(tmp_path):
    method = Resolvconf("one", tmp_path / "none" / "resolv.conf")
    assert not method.is_supported()
    assert "none" in method.obstacle()
    with pytest.raises(EnvironmentFaultError, match="cannot change") as caught:
        method.apply("kttun0", PLAN_A, Echo())
    assert "--dns off" in caught.value.hints[-1]


def test_a_file_that_cannot_be_replaced_stays_as_it_was(conf, monkeypatch):
    def refuse(self, target):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("pathlib.Path.replace", refuse)
    with pytest.raises(EnvironmentFaultError, match="Operation not permitted") as caught:
        Resolvconf("one", conf).apply("kttun0", PLAN_A, Echo())
    assert "lsattr" in caught.value.hints[0]
    assert conf.read_text() == ORIGINAL
    assert only(conf) == ["resolv.conf"]


def test_bytes_that_are_no_text_survive(tmp_path):
    conf = tmp_path / "resolv.conf"
    conf.write_bytes(b"# \xff\xfe\nnameserver 192.168.1.1\n")
    method = Resolvconf("one", conf)
    method.apply("kttun0", PLAN_A, Echo())
    assert b"\xff\xfe" in conf.read_bytes()
    conf.write_bytes(conf.read_bytes() + b"# edited\n")
    method.undo("kttun0", Echo())
    assert conf.read_bytes() == b"# \xff\xfe\nnameserver 192.168.1.1\n# edited\n"


names = st.text("abc.", min_size=1, max_size=8)
lines = st.one_of(
    st.builds("nameserver {}".format, st.integers(1, 250).map("192.168.1.{}".format)),
    st.builds("search {}".format, st.lists(names, max_size=3).map(" ".join)),
    st.sampled_from(["domain home", "options rotate", "", "# words", "; words", "nameserver"]),
)
HEADERS = [
    Header("one", ("10.99.0.1",), ("shop.svc.cluster.local", "svc.cluster.local"), absent=False),
    Header("two", ("10.99.0.5", "fd99::5"), ("bank.svc.cluster.local", "svc.cluster.local"), absent=True),
]


@given(st.lists(lines).map(lambda found: "".join(f"{line}\n" for line in found)))
def test_taking_a_session_out_from_below_equals_never_having_had_it(original):
    lower, upper = HEADERS
    both = rendered(rendered(original, lower), upper)
    assert list(parse_headers(both)) == [upper, lower]
    assert without(both, lower) == rendered(original, upper)


@given(st.text())
def test_any_text_is_read_without_harm(text):
    for header in parse_headers(text):
        assert header.session
    assert isinstance(rendered(text, HEADERS[0]), str)
    assert isinstance(without(text, HEADERS[0]), str)


def test_a_header_with_a_nonsense_address_is_nobodys(conf):
    conf.write_text("# kttun session=x nameservers=nonsense search=a original=kept\n" + ORIGINAL)
    assert find_leftovers(conf, lambda address: False) == ()


def test_a_hard_link_is_not_needed(conf, monkeypatch):
    def refuse(source, target):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    method = Resolvconf("one", conf)
    method.apply("kttun0", PLAN_A, Echo())
    method.undo("kttun0", Echo())
    assert conf.read_text() == ORIGINAL
