"""qemu-img, which parses what strangers and guests wrote, run without rights on open files."""
