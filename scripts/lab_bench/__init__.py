"""The parts of scripts/bench: `places` runs programs, `cpu` counts, `paths` open, `cells` measure, `report` tells."""
