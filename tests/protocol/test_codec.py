"""The codec against google's protobuf, which reads the same .proto."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor as descriptors
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

import protocol.messages
from protocol.codec import Field, Message
from protocol.methods import METHODS
from protocol.wire_format import DecodeError

PROTO = Path(protocol.messages.__file__).parent.parent / "multipass.proto"
FD = descriptors.FieldDescriptor


def _compile(directory: Path) -> Any:
    from grpc_tools import protoc

    out = directory / "multipass.pb"
    include = Path(protoc.__file__).parent / "_proto"
    arguments = ["protoc", f"-I{PROTO.parent}", f"-I{include}", f"--descriptor_set_out={out}"]
    assert protoc.main([*arguments, str(PROTO)]) == 0
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    for file in descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file:
        pool.Add(file)
    return pool


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return _compile(tmp_path_factory.mktemp("proto"))


def _all_messages() -> dict[str, type[Message]]:
    """Full name (with the parents of nested ones) to class."""
    for module in pkgutil.iter_modules(protocol.messages.__path__):
        importlib.import_module(f"protocol.messages.{module.name}")
    found: dict[str, type[Message]] = {}

    def collect(kind: type[Message]) -> None:
        for sub in kind.__subclasses__():
            if sub.__module__.startswith("protocol.messages"):
                found[sub.__qualname__] = sub
                collect(sub)

    collect(Message)
    return found


ALL = _all_messages()
_TYPES = {
    FD.TYPE_INT32: "int32",
    FD.TYPE_ENUM: "int32",
    FD.TYPE_INT64: "int64",
    FD.TYPE_UINT32: "uint",
    FD.TYPE_UINT64: "uint",
    FD.TYPE_BOOL: "bool",
    FD.TYPE_STRING: "string",
    FD.TYPE_BYTES: "bytes",
    FD.TYPE_MESSAGE: "message",
}


def _full_name(name: str) -> str:
    return "google.protobuf.Timestamp" if name == "Timestamp" else f"multipass.{name}"


@pytest.mark.parametrize("name", sorted(ALL))
def test_every_class_has_the_fields_of_the_proto(pool: Any, name: str) -> None:
    described = pool.FindMessageTypeByName(_full_name(name))
    ours = {field.number: field for field in ALL[name]._by_number.values()}
    assert sorted(ours) == sorted(field.number for field in described.fields)
    for field in described.fields:
        mine = ours[field.number]
        assert mine.name == field.name
        is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
        assert mine.kind == ("map" if is_map else _TYPES[field.type])
        if not is_map:
            assert mine.repeated == field.is_repeated
            oneof = field.containing_oneof
            real = oneof is not None and not oneof.name.startswith("_")
            assert mine.oneof == (oneof.name if real else None)


def test_no_message_of_the_proto_is_missing(pool: Any) -> None:
    names: set[str] = set()

    def collect(kind: Any, prefix: str = "") -> None:
        if not kind.GetOptions().map_entry:
            names.add(prefix + kind.name)
            for nested in kind.nested_types:
                collect(nested, f"{prefix}{kind.name}.")

    for kind in pool.FindFileByName("multipass.proto").message_types_by_name.values():
        collect(kind)
    assert names == set(ALL) - {"Timestamp"}


def test_the_method_table_is_the_proto_s(pool: Any) -> None:
    wanted = {
        f"/{service.full_name}/{method.name}": (method.input_type.name, method.output_type.name)
        for service in pool.FindFileByName("multipass.proto").services_by_name.values()
        for method in service.methods
    }
    assert wanted == {m.path: (m.request.__qualname__, m.reply.__qualname__) for m in METHODS}


_SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "int32": st.integers(-(2**31), 2**31 - 1),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "uint": st.integers(0, 2**32 - 1),
    "bool": st.booleans(),
    "string": st.text(max_size=20),
    "bytes": st.binary(max_size=20),
}


def _value(field: Field) -> st.SearchStrategy[Any]:
    if field.message is not None:
        return _instance(field.message)
    return _SCALARS[field.kind]


@st.composite
def _instance(draw: st.DrawFn, kind: type[Message]) -> Message:
    values: dict[str, Any] = {}
    taken: set[str] = set()
    for name, field in kind._by_name.items():
        if not draw(st.booleans()) or field.oneof in taken:
            continue
        if field.oneof:
            taken.add(field.oneof)
        if field.kind == "map":
            assert field.value is not None
            values[name] = draw(
                st.dictionaries(st.text(max_size=5), _value(field.value), max_size=2)
            )
        elif field.repeated:
            values[name] = draw(st.lists(_value(field), max_size=3))
        else:
            values[name] = draw(_value(field))
    return kind(**values)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_google_s_protobuf_reads_what_we_write_and_writes_what_we_read(data: Any) -> None:
    pool = _POOL.get()
    kind = ALL[data.draw(st.sampled_from(sorted(ALL)))]
    ours = data.draw(_instance(kind))
    theirs_class = message_factory.GetMessageClass(
        pool.FindMessageTypeByName(_full_name(kind.__qualname__))
    )
    theirs = theirs_class.FromString(ours.encode())
    assert kind.decode(theirs.SerializeToString()) == ours
    assert theirs_class.FromString(kind.decode(theirs.SerializeToString()).encode()) == theirs


class _Pool:
    def __init__(self) -> None:
        self._pool: Any = None

    def get(self) -> Any:
        if self._pool is None:
            import tempfile

            with tempfile.TemporaryDirectory() as directory:
                self._pool = _compile(Path(directory))
        return self._pool


_POOL = _Pool()


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(sorted(ALL)), st.binary(max_size=80))
def test_any_bytes_decode_or_raise_decode_error(name: str, data: bytes) -> None:
    try:
        ALL[name].decode(data)
    except DecodeError:
        pass


def test_a_number_of_eleven_bytes_is_refused() -> None:
    with pytest.raises(DecodeError):
        ALL["ListRequest"].decode(b"\x08" + b"\xff" * 10 + b"\x01")


def test_repr_shows_no_value() -> None:
    secret = ALL["AuthenticateRequest"](passphrase="hunter2")
    assert "hunter2" not in repr(secret)
