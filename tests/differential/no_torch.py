"""A script that never imports torch."""

import random
import sys

random.seed(1)
print(random.random(), "torch" in sys.modules, len(sys.argv))
sys.stderr.write("done\n")
