"""The program."""

import sys

from tools.completion import generate

sys.exit(generate.main(sys.argv[1:]))
