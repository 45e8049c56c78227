"""The calls that are served, one function each, by topic. Others answer UNIMPLEMENTED."""

from __future__ import annotations

from multipassd.rpc.dispatcher import Handler
from multipassd.rpc.methods import (
    access,
    clone,
    exports,
    images,
    information,
    launch,
    lifecycle,
    mounts,
    settings,
    snapshots,
    trust,
)
from protocol import grpc

HANDLERS: dict[str, Handler] = {
    grpc.path("authenticate"): access.authenticate,
    grpc.path("clone"): clone.clone,
    grpc.path("create"): launch.launch,
    grpc.path("daemon_info"): access.daemon_info,
    grpc.path("delet"): lifecycle.delet,
    grpc.path("find"): images.find,
    grpc.path("get"): settings.get,
    grpc.path("info"): information.info,
    grpc.path("keys"): settings.keys,
    grpc.path("launch"): launch.launch,
    grpc.path("list"): information.list_,
    grpc.path("mount"): mounts.mount,
    grpc.path("networks"): information.networks,
    grpc.path("ping"): access.ping,
    grpc.path("purge"): lifecycle.purge,
    grpc.path("recover"): lifecycle.recover,
    grpc.path("restart"): lifecycle.restart,
    grpc.path("restore"): snapshots.restore,
    grpc.path("set"): settings.set_,
    grpc.path("snapshot"): snapshots.snapshot,
    grpc.path("ssh_info"): information.ssh_info,
    grpc.path("start"): lifecycle.start,
    grpc.path("stop"): lifecycle.stop,
    grpc.path("suspend"): lifecycle.suspend,
    grpc.path("umount"): mounts.umount,
    grpc.path("version"): access.version,
    grpc.path("wait_ready"): access.wait_ready,
    grpc.path("clients", grpc.TRUST_SERVICE): trust.clients,
    grpc.path("downloads", grpc.IMAGES_SERVICE): images.downloads,
    grpc.path("host_keys", grpc.GUESTS_SERVICE): information.host_keys,
    grpc.path("grant", grpc.TRUST_SERVICE): trust.grant,
    grpc.path("invite", grpc.TRUST_SERVICE): trust.invite,
    grpc.path("remove", grpc.TRUST_SERVICE): trust.remove,
    grpc.path("revoke", grpc.TRUST_SERVICE): trust.revoke,
    grpc.path("roots", grpc.TRUST_SERVICE): trust.roots,
    grpc.path("export", grpc.EXPORTS_SERVICE): exports.export,
    grpc.path("import", grpc.EXPORTS_SERVICE): exports.import_,
}
