"""Who administers a machine: both programs have to name the same group. Pure."""

from __future__ import annotations

# The first that exists counts. By name, never by number: 27 is sudo on Debian and Ubuntu, but
# MySQL's on Fedora, whose wheel, 10, is uucp on Debian. On a classic system a snap finds the
# host's /etc/group and may read it, so names work there, too.
GROUPS = ("sudo", "admin", "wheel")
