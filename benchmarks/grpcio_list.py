"""`multipass list` as a short grpcio script; raw bytes, so that protobuf is not imported."""

import os
import pathlib

import grpc

home = pathlib.Path(os.environ["XDG_DATA_HOME"]) / "multipass-client-certificate"
credentials = grpc.ssl_channel_credentials(
    pathlib.Path(os.environ["MULTIPASS_ROOT_CERT"]).read_bytes(),
    (home / "multipass_cert_key.pem").read_bytes(),
    (home / "multipass_cert.pem").read_bytes(),
)
options = [("grpc.ssl_target_name_override", "localhost"), ("grpc.default_authority", "localhost")]
address = os.environ["MULTIPASS_SERVER_ADDRESS"]
with grpc.secure_channel(address, credentials, options) as channel:
    call = channel.stream_stream("/multipass.Rpc/list")
    for reply in call(iter([b"\x18\x01"])):
        if reply == b"\x0a\x00":
            print("No instances found.")
