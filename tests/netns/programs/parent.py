"""The root half of a session, as `kttun up` starts it: parent.py RESOLV_CONF SEARCH_PATH WORKER-ARGUMENT..."""

import os
import sys
from pathlib import Path

from kttun.host.helper import Places
from kttun.host.invoker import find_invoker
from kttun.host.spawn import run_with_worker

places = Places(resolv_conf=Path(sys.argv[1]), search_path=sys.argv[2])
worker = [sys.executable, str(Path(__file__).with_name("worker.py")), *sys.argv[3:]]
sys.exit(run_with_worker(worker, find_invoker(os.environ), places))
