"""What an instance reads at its first boot: cloud-init's NoCloud seed."""
