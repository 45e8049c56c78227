"""The configurations inside user data of several parts, to be looked at before a launch. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from protocol import yaml_text
from protocol.user_data_kinds import CONFIG, MIME, headed

ARCHIVE = "text/cloud-config-archive"
MAX_PARTS = 100  # each may take a second to read
TOO_MANY = f"it has more than {MAX_PARTS} parts."
CONTENT, TYPE = "content", "type"  # keys of an archive's entries


class Broken(ValueError):
    """The text is a sentence's end."""


def configurations(kind: str, text: str) -> Iterator[str]:
    """Raises Broken."""
    if kind == MIME:
        return _of_message(text)
    return _of_archive(text) if kind == ARCHIVE else iter(())


def _of_message(text: str) -> Iterator[str]:
    import email  # 10 ms of a start that hardly a launch needs

    if not text.isascii():
        raise Broken(
            "it is a MIME message with characters beyond ASCII, which cloud-init can't read. "
            "Please encode such a part in base64, as `cloud-init devel make-mime` does."
        )
    if text.lower().count("content-type:") > MAX_PARTS:
        raise Broken(TOO_MANY)
    try:
        whole = email.message_from_string(text)
        if whole.get_content_maintype() == "multipart" and whole.defects:
            raise Broken(
                "it begins as a MIME message of several parts, and cloud-init would find none: its "
                "header must end with an empty line and name the boundary that is between them."
            )
        for part in whole.walk():
            payload = part.get_payload(decode=True)
            if isinstance(payload, bytes):
                content = payload.decode("utf-8", "replace")
                if part.get_content_type() == CONFIG or headed(content):
                    yield content
    except (RecursionError, LookupError, UnicodeError):
        raise Broken("it is no MIME message that can be read.") from None


def _of_archive(text: str) -> Iterator[str]:
    try:
        entries = yaml_text.load(text)
    except yaml_text.Unreadable as error:
        raise Broken(str(error)) from None
    if not isinstance(entries, list):
        raise Broken("an archive must be a list of parts.")
    if len(entries) > MAX_PARTS:
        raise Broken(TOO_MANY)
    for entry in entries:
        content = entry.get(CONTENT) if isinstance(entry, dict) else entry
        named = isinstance(entry, dict) and entry.get(TYPE) == CONFIG
        if isinstance(content, str) and (named or headed(content)):
            yield content
