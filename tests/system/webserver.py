"""Files of a host by HTTP, on the host itself, as its containers have no network."""

from tests.system.host import Host
from tests.waiting import until

CONNECT = "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1]))).close()"


def serve(host: Host, directory: str, port: int) -> None:
    """Returns once it answers; it ends with the host's boot."""
    host.run(
        "systemd-run", "--quiet", "--unit=images-server", "/usr/bin/python3", "-m", "http.server",
        f"--directory={directory}", "--bind=127.0.0.1", str(port),
    )  # fmt: skip
    until(lambda: _answers(host, port), "the server of images")


def _answers(host: Host, port: int) -> bool:
    return host.run("python3", "-c", CONNECT, str(port), code=None).returncode == 0
