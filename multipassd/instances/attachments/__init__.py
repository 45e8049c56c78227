"""What belongs to an instance besides its machine: one file each, with hooks on its life."""
