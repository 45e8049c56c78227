"""The running guest of an instance: boot, reachability over SSH, figures, clock, end."""
