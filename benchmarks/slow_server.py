"""An image server in a process of its own, with a limited rate.

python -m benchmarks.slow_server DIRECTORY BYTES_A_SECOND     0: unlimited
"""

import signal
import sys
from pathlib import Path

from tools.imageserver import ImageServer


def main(directory: str, rate: str) -> None:
    server = ImageServer(Path(directory))
    server.faults.rate = int(rate)
    server.start()
    print(server.url, flush=True)
    signal.sigwait({signal.SIGTERM})
    server.stop()


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    main(*sys.argv[1:])
