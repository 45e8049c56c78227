"""Images to launch: where they are listed, and how one is found, fetched, checked and cached.

The daemon decides and keeps the lists (`library.py`, `catalogue.py`, `search.py`, `cache.py`). A
process of its own, `worker/`, handles the data of other servers. That keeps an HTTP client, hashing
and megabytes of foreign JSON out of the daemon's memory and off its event loop, and a task is ended
by one signal.

An image is a disk for virtual machines or a root file system for containers (`image.py`); a release
has both, as two images.
"""
