"""Images are names for programs of this machine."""

import sys

import pytest

from kttun import __version__
from kttun.arguments import DEFAULT_IMAGE
from kttun.sandbox.examples import PROGRAMS, objects
from kttun.sandbox.images import Images, NoSuchImageError
from kttun.sandbox.kinds import DEPLOYMENTS


def test_what_up_asks_for_runs_the_gateway_itself():
    assert Images({}).entry(DEFAULT_IMAGE) == (sys.executable, "-m", "kttun.gateway")


def test_a_name_that_was_given_runs_what_was_given_with_it():
    images = Images({"demo:1": ("sleep", "9"), DEFAULT_IMAGE: ("other",)})
    assert images.entry("demo:1") == ("sleep", "9")
    assert images.entry(DEFAULT_IMAGE) == ("other",)


def test_every_image_of_the_examples_is_a_program():
    used = [
        obj["spec"]["template"]["spec"]["containers"][0]["image"]
        for kind, obj in objects.workloads()
        if kind == DEPLOYMENTS
    ]
    assert {Images({}).entry(image)[1] for image in used} == set(PROGRAMS)


@pytest.mark.parametrize("image", [f"registry.test/kttun-gateway:{__version__}", "kttun-gateway:0.0.0", "nginx"])
def test_anything_else_is_not_there_and_the_refusal_says_what_is(image):
    with pytest.raises(NoSuchImageError) as refused:
        Images({}).entry(image)
    assert image in str(refused.value)
    assert DEFAULT_IMAGE in str(refused.value)
