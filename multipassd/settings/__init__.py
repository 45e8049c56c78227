"""The daemon's settings, in the file that 1.16 reads and people edit."""
