"""What follows from a remote's JSON."""

from typing import Any

from multipassd.images.worker import simplestreams
from multipassd.images.worker.simplestreams import Index, Stream

BASE = "https://images.example/releases/"


def item(digit: str, **more: Any) -> dict[str, Any]:
    return {"path": f"server/{digit}.img", "sha256": digit * 64, "size": 7, **more}


def product(**versions: Any) -> dict[str, Any]:
    return {
        "arch": "amd64",
        "aliases": "24.04,default,lts,n,noble",
        "release": "noble",
        "release_title": "24.04 LTS",
        "release_codename": "Noble Numbat",
        "supported": True,
        "versions": {name: {"items": items} for name, items in versions.items()},
    }


def stream(**products: Any) -> Stream:
    return Stream.model_validate({"updated": "today", "products": products})


def test_only_the_newest_version_has_the_aliases() -> None:
    noble = product(
        **{"20260801": {"disk1.img": item("a")}, "20260815.1": {"disk1.img": item("b")}}
    )
    newest, older = simplestreams.images("release", BASE, stream(n=noble), None, "amd64")
    assert (newest.version, newest.aliases) == (
        "20260815.1", ("24.04", "default", "lts", "n", "noble"),
    )  # fmt: skip
    assert (older.version, older.aliases) == ("20260801", ())
    assert newest.url == BASE + "server/b.img"
    assert newest.id == newest.sha256 == "b" * 64


def test_the_uefi_image_goes_before_the_other_and_broken_items_do_not_count() -> None:
    both = product(v2={"disk1.img": item("a"), "uefi1.img": item("b")})
    broken = product(v1={"disk1.img": item("c", sha256="short")}, v0={"manifest": item("d")})
    found = simplestreams.images("release", BASE, stream(a=both, b=broken), None, "amd64")
    assert [image.id[0] for image in found] == ["b"]


def test_other_machines_products_are_left_out() -> None:
    noble = product(v1={"disk1.img": item("a")})
    assert simplestreams.images("release", BASE, stream(a=noble), None, "arm64") == []


def test_what_is_in_development_counts_as_supported() -> None:
    devel = product(v1={"disk1.img": item("a")}) | {"supported": False, "aliases": "devel,26.10"}
    assert simplestreams.images("daily", BASE, stream(a=devel), None, "amd64")[0].supported


def test_a_mirrors_image_counts_only_when_the_official_entry_is_the_same() -> None:
    official = product(
        v3={"disk1.img": item("a")}, v2={"disk1.img": item("b")}, v1={"disk1.img": item("c")}
    )
    mirror = product(
        v3={"disk1.img": item("a", sha256="e" * 64)},
        v2={"disk1.img": item("b")},
        v0={"disk1.img": item("f")},
    )
    place = "https://mirror.example/releases/"
    found = simplestreams.images("release", place, stream(a=official), stream(a=mirror), "amd64")
    assert [(image.version, image.url) for image in found] == [("v2", place + "server/b.img")]
    assert "noble" in found[0].aliases  # the newest that the mirror really has


def test_the_builders_have_names_of_their_own() -> None:
    noble = product(v1={"disk1.img": item("a")})
    assert simplestreams.images("snapcraft", BASE, stream(a=noble), None, "amd64")[0].aliases == (
        "core24", "24.04",
    )  # fmt: skip


def test_the_index_names_the_list_of_downloads() -> None:
    index = {
        "a": {"datatype": "image-ids", "path": "x"},
        "b": {"datatype": "image-downloads", "path": "y"},
    }
    assert Index.model_validate({"index": index}).downloads() == "y"
    assert Index.model_validate({"index": {}}).downloads() == ""


def test_core_is_read_from_the_list_of_hashes() -> None:
    sums = f"{'1' * 64} *ubuntu-core-24-arm64.img.xz\n{'2' * 64} *ubuntu-core-24-amd64.img.xz\n"
    image = simplestreams.core_image("24", BASE, sums)
    assert image is not None
    assert (image.id, image.aliases, image.release) == ("2" * 64, ("core24",), "Core 24")
    assert image.url == BASE + "24/stable/current/ubuntu-core-24-amd64.img.xz"
    assert simplestreams.core_image("22", BASE, sums) is None
