"""The image worker: a process without rights that downloads, checks and unpacks images."""
