"""The keys that the command line has, and files to read them from."""

import pytest

from kttun.arguments import config_keys


@pytest.fixture
def keys():
    return config_keys()


@pytest.fixture
def key(keys):
    """A function from a key's name to the key."""
    return {each.name: each for each in keys}.__getitem__


@pytest.fixture
def write(tmp_path):
    """A function that writes a file below a folder of the test's own, and gives its path."""

    def put(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return put
