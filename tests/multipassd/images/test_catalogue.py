"""When lists are fetched, what serves while they can't be, and the mirror's rule on the wire."""

import datetime
import ssl
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from multipassd.images import catalogue
from multipassd.images.errors import (
    NotFoundSoFar,
    NothingListed,
    NoUrl,
    RemoteUnreachable,
    UnknownRemote,
)
from multipassd.images.library import Images
from multipassd.settings.settings import Settings
from tests.multipassd.images.conftest import run
from tools.imageserver import ImageServer, serving
from tools.imagetree import JAMMY, MANTIC, ImageTree

MakeImages = Callable[..., Images]
LIST = "download.json"


def names(images: Images, query: str = "", remote: str = "", force: bool = False) -> list[str]:
    found = run(images.find(query, remote, force=force))
    return [",".join(each.alias for each in info.aliases_info) for info in found]


def test_a_fresh_list_is_not_fetched_again_but_on_request(
    tree: ImageTree, make_images: MakeImages, server: ImageServer, qcow2: Path
) -> None:
    tree.publish(qcow2)
    assert names(make_images(), remote="release") == ["24.04,default,lts,n,noble"]
    tree.publish(qcow2, release=JAMMY)
    tree.publish(qcow2, release=MANTIC)
    assert len(names(make_images(), remote="release")) == 1
    assert len(server.fetched(LIST)) == 1
    assert len(names(make_images(), remote="release", force=True)) == 2
    assert len(server.fetched(LIST)) == 2


def test_an_old_list_is_fetched_again(
    tree: ImageTree,
    make_images: MakeImages,
    qcow2: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(catalogue, "MAX_AGE", 0.0)
    tree.publish(qcow2)
    images = make_images()
    assert len(names(images, remote="release")) == 1
    tree.publish(qcow2, release=JAMMY)
    assert len(names(images, remote="release")) == 2


def test_the_last_good_list_serves_while_the_network_is_away(
    tree: ImageTree, make_images: MakeImages, server: ImageServer, qcow2: Path
) -> None:
    tree.publish(qcow2)
    before = names(make_images())
    server.faults.status = {".json": 503}
    assert names(make_images(), force=True) == before
    server.faults.status = {}
    (tree.root / "releases/streams/v1" / "index.json").write_text("<html>", encoding="ascii")
    assert names(make_images(), force=True) == before


def test_without_any_list_the_reason_is_told(make_images: MakeImages, server: ImageServer) -> None:
    server.faults.status = {"": 503}
    images = make_images()
    with pytest.raises(RemoteUnreachable, match="503"):
        names(images)
    with pytest.raises(NothingListed, match='Unable to find images for remote "daily"'):
        names(images, remote="daily")
    with pytest.raises(UnknownRemote, match="Remote 'dialy' is not found"):
        names(images, remote="dialy")
    with pytest.raises(RemoteUnreachable, match='Remote "release" is unknown or unreachable'):
        run(images.resolve("noble", "release"))


def test_a_misspelt_image_is_told_as_one_while_another_list_is_away(
    tree: ImageTree, make_images: MakeImages, qcow2: Path
) -> None:
    tree.publish(qcow2)  # and nothing of Ubuntu Core's
    images = make_images()
    with pytest.raises(NotFoundSoFar) as caught:
        run(images.resolve("nobel", ""))
    first, second, *others = caught.value.message.splitlines()
    assert first == 'Unable to find an image matching "nobel" in remote "".'
    assert second == "It may be misspelt, or in a list that could not be fetched:"
    assert others[-1].startswith('Remote "core" is unknown or unreachable. http://')
    assert 'Remote ""' not in caught.value.message


@pytest.mark.parametrize("path", ["/srv/a.img", "./a.img", "../a.img", "~/a.img"])
def test_a_path_is_told_to_be_none_of_an_image(make_images: MakeImages, path: str) -> None:
    with pytest.raises(NoUrl, match=f"`{path}` is the path of a file. To launch a file of this"):
        run(make_images().resolve(path, ""))


def test_core_images_are_found_and_the_builders_hidden(
    tree: ImageTree, make_images: MakeImages, qcow2: Path
) -> None:
    tree.publish_core(qcow2)
    tree.publish(qcow2, "snapcraft")
    tree.publish(qcow2)
    images = make_images()
    assert names(images) == ["core24", "24.04,default,lts,n,noble"]
    assert names(images, remote="snapcraft") == ["core24,24.04"]
    assert run(images.resolve("core24", "")).release == "Core 24"
    assert run(images.resolve("core24", "snapcraft")).remote == "snapcraft"
    assert run(images.resolve("", "")).remote == "release"


def test_a_mirrors_images_count_only_when_the_official_list_has_them(
    tree: ImageTree,
    make_images: MakeImages,
    settings: Settings,
    server: ImageServer,
    qcow2: Path,
    tmp_path: Path,
) -> None:
    authority, context = authority_and_server(tmp_path)
    other = ImageTree(tmp_path / "mirror")
    tree.publish(qcow2, version="20260801")
    tree.publish(qcow2, version="20260815")
    other.publish(qcow2, version="20260801")
    forged = qcow2.with_name("forged")
    forged.write_bytes(qcow2.read_bytes() + b"more")
    other.publish(forged, version="20260815")
    other.publish(forged, version="20260901")
    with serving(other.root, context) as mirror:
        settings.set("local.image.mirror", mirror.url)
        images = make_images(SSL_CERT_FILE=str(authority))
        image = run(images.resolve("noble", ""))
        assert image.version == "20260801"
        assert image.url.startswith(mirror.url)
        assert Path(run(images.fetch(image)).path).read_bytes() == qcow2.read_bytes()
        assert not server.fetched(".img")
        # The same without the test's own authority.
        with pytest.raises(RemoteUnreachable, match="certificate"):
            run(make_images(SSL_CERT_FILE="/dev/null").resolve("devel", "daily"))


def test_a_redirect_to_plain_http_elsewhere_is_not_followed(
    make_images: MakeImages, server: ImageServer
) -> None:
    server.faults.redirect = {LIST: "http://images.invalid/list.json"}
    with pytest.raises(RemoteUnreachable, match="plain http"):
        run(make_images().resolve("noble", "release"))


def authority_and_server(directory: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate for 127.0.0.1 that only clients with it among their authorities trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mirror of a test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    public, private = directory / "mirror.pem", directory / "mirror.key"
    public.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return public, context
