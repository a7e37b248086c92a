"""`python -m kttun`: the same as the `kttun` command."""

import sys

from kttun.cli import main

sys.exit(main())
