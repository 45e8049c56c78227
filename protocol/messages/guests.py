"""Messages of `multipass.Guests`, this project's own service.

`host_keys`: the public SSH host key of each named instance, in the form of a known_hosts file
without the host's name: `ssh-ed25519 AAAA…`. The service made the keys, so a client can verify that
it reaches the instance, not another machine at its address.

`certify`: all that a client needs to log in to one instance, in one call: where it is, its host
key, and a certificate of minutes for a key that the client made for this log-in. A client that has
an SSH connection from an earlier log-in asks by the same call whether it may use that.

`relay`: its SSH server, for a client that does not reach its address.
"""

from __future__ import annotations

from protocol.codec import Message, binary, boolean, int32, mapping, repeated, string


class HostKeysRequest(Message):
    """The request of the call `host_keys`."""

    instance_name: list[str] = repeated(string(1))


class HostKeysReply(Message):
    """By instance: the public SSH host keys that the service made for it, one a line."""

    host_keys: dict[str, str] = mapping(1, string(2))


class CertifyRequest(Message):
    """The request of the call `certify`. `public_key`: as in an authorized_keys file. `refused`:
    the instance has refused the certificate that this client got a moment ago. `connection`: what
    the reply called the run of the instance that the client has a connection to; or empty."""

    instance_name: str = string(1)
    public_key: str = string(2)
    refused: bool = boolean(3)
    verbosity_level: int = int32(4)
    connection: str = string(5)


class CertifyReply(Message):
    """The reply of the call `certify`, with one of `certificate` and `private_key`; or with
    neither, if the client may use the connection that the request names.

    `certificate`: as in a file id_ed25519-cert.pub. `private_key`: the key that all instances
    share, as in `SSHInfo`, for one that lets no certificate in; `why_shared` says why, in a clause.
    `connection`: names this run of the instance, from its start to its end, and no other.
    """

    host: str = string(1)
    port: int = int32(2)
    username: str = string(3)
    host_key: str = string(4)
    certificate: str = string(5)
    private_key: str = string(6)
    why_shared: str = string(7)
    log_line: str = string(8)
    connection: str = string(9)


class RelayRequest(Message):
    """The first names the instance; each may have bytes for its SSH server. The end of the request
    is the end of these bytes."""

    instance_name: str = string(1)
    data: bytes = binary(2)


class RelayReply(Message):
    """Bytes of the instance's SSH server; `ended`: there are no more, while the call goes on. The
    first has neither: the service has reached the SSH server."""

    data: bytes = binary(1)
    ended: bool = boolean(2)
