"""The worker's HTTP client: blocking, through proxies, with limits.

httpx is imported for the first request, because the worker's work on files does not need it.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from multipassd.images.errors import ImageError, Unreachable
from multipassd.images.remotes import is_loopback

if TYPE_CHECKING:
    import httpx

CONNECT_SECONDS = 15.0
READ_SECONDS = 30.0  # between two pieces: a server may be slow, but not silent
MAX_LIST = 64 << 20  # Ubuntu's lists are a few MB
AGENT = "multipass"
# A proxy can't reach this host's own servers.
LOCAL = ("all://localhost", "all://127.0.0.1", "all://[::1]")


class Http:
    """An HTTP client; `plain` allows http without TLS to other hosts."""

    def __init__(self, proxy: str = "", plain: bool = False) -> None:
        import httpx

        self._plain = plain
        try:
            self._client = httpx.Client(
                # The system's certificates, or SSL_CERT_FILE's; httpx would take its own bundle.
                verify=ssl.create_default_context(),
                proxy=proxy or None,
                mounts=dict.fromkeys(LOCAL),
                timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
                follow_redirects=True,
                headers={"User-Agent": AGENT},
                event_hooks={"request": [self._check]},
            )
        except ValueError as error:
            raise ImageError(f"The proxy can't be used: {error}.") from error

    def get(self, url: str, limit: int = MAX_LIST) -> bytes:
        """The whole body. Raises ImageError; Unreachable where a later try may succeed."""
        with self.stream(url) as response:
            check_status(response)
            data = bytearray()
            for chunk in response.iter_bytes():
                data += chunk
                if len(data) > limit:
                    raise ImageError(f"{shown(url)} is larger than {limit} bytes: it is no list.")
            return bytes(data)

    @contextmanager
    def stream(self, url: str, headers: dict[str, str] | None = None) -> Iterator[httpx.Response]:
        """A response whose body is read inside the block. Raises ImageError, Unreachable."""
        import httpx

        try:
            with self._client.stream("GET", url, headers=headers) as response:
                yield response
        except (httpx.TransportError, httpx.StreamError) as error:
            raise Unreachable(f"{shown(url)} could not be fetched: {_reason(error)}.") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ImageError(f"{shown(url)} could not be fetched: {_reason(error)}.") from error

    def _check(self, request: httpx.Request) -> None:
        """Called before every request, also after a redirect. Raises ImageError."""
        url = request.url
        if url.scheme == "http" and not self._plain and not is_loopback(url.host):
            raise ImageError(
                f"Nothing was fetched from {url.host} over plain http, because an attacker on the "
                "network can change it. Use https."
            )


def check_status(response: httpx.Response) -> None:
    """Raises ImageError for a status that is not success; Unreachable where a later try may
    succeed."""
    if response.is_success:
        return
    text = f"{shown(str(response.url))} could not be fetched: the server answered "
    text += f"{response.status_code} {response.reason_phrase}.".replace(" .", ".")
    if response.status_code >= 500 or response.status_code in {408, 429}:
        raise Unreachable(text)
    raise ImageError(text)


def _reason(error: Exception) -> str:
    """The error's text without its number and full stop."""
    text = re.sub(r"^\[Errno -?\d+\] ", "", str(error)).rstrip(".")
    return text or type(error).__name__


def shown(url: str) -> str:
    """The URL for messages: without user, password and query."""
    scheme, separator, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path.partition('?')[0]}"
