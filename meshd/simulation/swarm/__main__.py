"""`python -m meshd.simulation.swarm`: see `hunt`."""

import sys

from meshd.simulation.swarm.hunt import main

sys.exit(main())
