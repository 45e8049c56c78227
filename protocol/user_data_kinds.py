"""What kinds of user data cloud-init takes, told by the beginning of the text, as it tells them:
docs.cloud-init.io, "User data formats". Pure."""

from __future__ import annotations

CONFIG = "text/cloud-config"
MIME = "multipart/mixed"  # a message of several parts, with headers of its own

# A beginning that is the beginning of another comes after it.
_BEGINNINGS = (
    ("## template: jinja", "text/jinja2"),
    ("#cloud-config-archive", "text/cloud-config-archive"),
    ("#cloud-config-jsonp", "text/cloud-config-jsonp"),
    ("#cloud-config", CONFIG),
    ("#cloud-boothook", "text/cloud-boothook"),
    ("#part-handler", "text/part-handler"),
    ("#include-once", "text/x-include-once-url"),
    ("#include", "text/x-include-url"),
    ("#!", "text/x-shellscript"),
    ("mime-version:", MIME),
    ("content-type:", MIME),
)
_LONGEST = max(len(beginning) for beginning, _ in _BEGINNINGS)


def kind(text: str) -> str:
    """Its MIME type. Without any of these beginnings it is a configuration, as Multipass has always
    taken it without its header."""
    start = text.lstrip()[:_LONGEST].lower()
    for beginning, found in _BEGINNINGS:
        if start.startswith(beginning):
            return found
    return CONFIG


def headed(text: str) -> bool:
    """Does it say itself that it is a configuration? Then it may be empty."""
    return text.lstrip().lower().startswith("#cloud-config")
