"""The client as it logs in without certificates: by the shared key, in two calls."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from client.guests import guest
from client.main import main

guest.reach = guest._by_shared_key
os._exit(main(sys.argv[1:]))
