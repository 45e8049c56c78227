"""The network helper: a program with CAP_NET_ADMIN that sets up bridge, firewall and DHCP."""
