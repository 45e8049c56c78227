"""What can be launched: where images are listed, how one is found, fetched, checked and kept.

The daemon decides and remembers (`images.py`, `catalogue.py`, `search.py`, `cache.py`). The work on
others' bytes is done by a worker, a process of its own (`worker.py`: `streams.py`, `refresh.py`,
`download.py`, `unpack.py`, `inspection.py`). That keeps an HTTP client, hashing and megabytes of
foreign JSON out of the daemon's memory and off its event loop, and ends with one signal.
"""
