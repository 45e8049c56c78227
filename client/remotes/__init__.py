"""Services on other machines: their addresses, certificates and names."""
