"""Read certificates from files and standard input, as untrusted input."""

from __future__ import annotations

import os
import re
from pathlib import Path

from multipassd.admin.access.verb import TrustError
from multipassd.auth.run_as_user import LIMIT
from multipassd.system.files import read_descriptor, read_regular
from protocol import certificates
from protocol.pem import CERTIFICATE, body_to_der

STANDARD_INPUT, STANDARD_INPUT_FD = "-", 0
PRIVATE_KEY = re.compile(rb"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----")
CERTIFICATE_BEGIN = b"-----BEGIN CERTIFICATE-----"


def read(source: str) -> list[bytes]:
    """The certificates, DER, of a file, or of standard input for `-`. Raises TrustError."""
    name = "standard input" if source == STANDARD_INPUT else source
    try:
        if source == STANDARD_INPUT:
            data = read_descriptor(STANDARD_INPUT_FD, LIMIT, Path(name))
        else:
            data = read_regular(Path(source), LIMIT)
    except OSError as error:
        why = error.strerror or str(error)
        if Path(source).is_symlink():
            why = f"it is a symbolic link; name the file itself ({os.path.realpath(source)})"
        raise _refused(name, why) from error
    return parse(data, name)


def parse(data: bytes, name: str) -> list[bytes]:
    """Raises TrustError, which never quotes what the data holds."""
    if PRIVATE_KEY.search(data):
        raise _refused(
            name,
            "it holds a private key, which belongs to its owner alone. Hand over the certificate "
            "(multipass_cert.pem), and if others have seen the key, make a new pair",
        )
    blocks = list(CERTIFICATE.finditer(data))
    if not blocks or len(blocks) != data.count(CERTIFICATE_BEGIN):
        raise _refused(name, _no_certificate(data))
    found = []
    for block in blocks:
        try:
            der = body_to_der(block["body"])
            certificates.check(der)
        except ValueError as error:
            raise _refused(name, "it holds a block that is not a certificate") from error
        found.append(der)
    return list(dict.fromkeys(found))


def _no_certificate(data: bytes) -> str:
    if not data.strip():
        return "it is empty"
    try:
        certificates.check(data)
    except ValueError:
        return "it is not a certificate, or not a whole one"
    return "it is a certificate in DER; `openssl x509 -inform der` turns it into PEM"


def _refused(name: str, why: str) -> TrustError:
    return TrustError(f"{name} is refused: {why.rstrip('.')}. Nothing was changed.")
