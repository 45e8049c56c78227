"""The daemon, `multipassd`, and the programs that it needs with other rights."""
