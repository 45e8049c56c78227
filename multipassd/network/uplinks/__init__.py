"""Bridges on host interfaces, by NetworkManager, systemd-networkd or the kernel."""
