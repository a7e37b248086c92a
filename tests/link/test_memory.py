"""What is freed stays with the process."""

import subprocess
import sys

from kttun.link import memory

SCRIPT = """
import resource, sys
from kttun.link.memory import keep_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def turn():
    blocks = [bytearray(200_000) for _ in range(20)]

assert sys.argv[1] == "as it is" or keep_memory()
turn()
before = faults()
for _ in range(20):
    turn()
print(faults() - before)
"""


def faults(how):
    done = subprocess.run([sys.executable, "-c", SCRIPT, how], check=True, stdout=subprocess.PIPE, timeout=60)
    return int(done.stdout)


def test_blocks_of_a_second_turn_cost_no_page_faults():
    assert faults("kept") < faults("as it is") / 10


def test_a_c_library_without_the_knob_is_left_alone(monkeypatch):
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _name: object())
    assert not memory.keep_memory()
