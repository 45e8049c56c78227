import pytest

from multipassd.images.image import Base
from multipassd.instances.launching import launch_spec
from multipassd.instances.launching.launch_spec import (
    DiskTooSmall,
    LaunchSpec,
    NetworkSpec,
    TooManyCpus,
)
from multipassd.instances.states.errors import LaunchRefused, RepeatedAddress
from protocol.messages.launch import LaunchError, LaunchRequest

Code = LaunchError.ErrorCodes
Network = LaunchRequest.NetworkOptions
GIB, MIB = 1 << 30, 1 << 20


def read(**fields: object) -> LaunchSpec:
    return launch_spec.read(LaunchRequest(**{"instance_name": "foo", **fields}), set(), 255)


def refused(**fields: object) -> list[int]:
    with pytest.raises(LaunchRefused) as error:
        read(**fields)
    return LaunchError.decode(error.value.details).error_codes


def base(size: int) -> Base:
    return Base(id="0" * 64, path="/base", format="qcow2", virtual_size=size)


def test_nothing_given_means_the_defaults() -> None:
    found = read(num_cores=0, timeout=-1)
    assert (found.cpus, found.memory, found.disk, found.timeout) == (1, GIB, 0, 0.0)
    assert found.networks == ()


def test_a_name_is_made_that_nobody_has() -> None:
    first = launch_spec.read(LaunchRequest(), set(), 255).name
    assert launch_spec.read(LaunchRequest(), {first}, 255).name != first


@pytest.mark.parametrize(
    "name",
    ["1foo", "foo.bar", "foo$", "foo-", "-foo", "foo_bar", "foo/../bar", "f\n", "é", "a" * 64],
)
def test_a_name_that_can_be_none_is_refused(name: str) -> None:
    assert refused(instance_name=name) == [Code.INVALID_HOSTNAME]


@pytest.mark.parametrize("size", ["127M", "0", "-1G", "1.5", "lots", "1TB", "1e9"])
def test_a_memory_size_below_the_least_or_none_at_all_is_refused(size: str) -> None:
    assert refused(mem_size=size) == [Code.INVALID_MEM_SIZE]


@pytest.mark.parametrize("size", ["511M", "0", "big", "5 G B"])
def test_a_disk_size_below_the_least_or_none_at_all_is_refused(size: str) -> None:
    assert refused(disk_space=size) == [Code.INVALID_DISK_SIZE]


def test_the_least_sizes_are_taken() -> None:
    found = read(mem_size="128M", disk_space="512M")
    assert (found.memory, found.disk) == (128 * MIB, 512 * MIB)


def test_all_that_is_wrong_is_told_at_once() -> None:
    codes = refused(instance_name="1", mem_size="1", disk_space="1", network_options=[Network()])
    assert codes == [
        Code.INVALID_HOSTNAME,
        Code.INVALID_MEM_SIZE,
        Code.INVALID_DISK_SIZE,
        Code.INVALID_NETWORK,
    ]


@pytest.mark.parametrize(
    "mac",
    ["52:54:00:00:00", "52:54:00:00:00:0g", "525400000000", "52:54:00:00:00:00:00", ":::::", "é"],
)
def test_what_is_no_mac_address_is_refused(mac: str) -> None:
    assert refused(network_options=[Network(id="eth1", mac_address=mac)]) == [Code.INVALID_NETWORK]


def test_networks_keep_their_order_and_mode() -> None:
    options = [
        Network(id="eth1", mode=Network.Mode.MANUAL, mac_address="52:54:00:AA:BB:CC"),
        Network(id="eth1"),
    ]
    assert read(network_options=options).networks == (
        NetworkSpec("eth1", "52:54:00:aa:bb:cc", False),
        NetworkSpec("eth1", "", True),
    )


def test_more_networks_than_there_are_slots_are_refused() -> None:
    assert refused(network_options=[Network(id="eth1")] * 17) == [Code.INVALID_NETWORK]


def test_the_same_address_twice_is_refused() -> None:
    options = [
        Network(id="eth1", mac_address="52:54:00:aa:bb:cc"),
        Network(id="eth2", mac_address="52:54:00:AA:BB:CC"),
    ]
    with pytest.raises(RepeatedAddress, match="^Repeated MAC address 52:54:00:aa:bb:cc$"):
        read(network_options=options)


def test_more_cpus_than_a_machine_can_have_are_refused() -> None:
    assert read(num_cores=255).cpus == 255
    with pytest.raises(TooManyCpus, match="256 CPUs are more than"):
        read(num_cores=256)


def test_a_negative_number_of_cpus_is_the_least() -> None:
    assert read(num_cores=-3).cpus == 1


def test_the_disk_is_as_large_as_usual_or_as_the_image_needs() -> None:
    assert read().disk_for(base(2 * GIB)) == 5 * GIB
    assert read().disk_for(base(9 * GIB)) == 9 * GIB
    assert read(disk_space="3G").disk_for(base(2 * GIB)) == 3 * GIB


def test_a_disk_smaller_than_the_image_is_refused_in_bytes() -> None:
    with pytest.raises(DiskTooSmall) as error:
        read(disk_space="1G").disk_for(base(2 * GIB))
    assert error.value.message == (
        "Requested disk (1073741824 bytes) below minimum for this image (2147483648 bytes)"
    )
