"""The snap: what snapd's hooks run, and what `snap set` configures."""
