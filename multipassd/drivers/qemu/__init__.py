"""The backend that every Linux host can have: QEMU, with KVM where it works."""
