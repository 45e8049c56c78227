"""Run by the Python of a root with cloud-init: its own stages on the seed in SEED, and those of its
modules that the service depends on. Prints what became of it as one JSON line.
"""

import json
import logging
from pathlib import Path

from cloudinit import sources, stages
from cloudinit.config.modules import Modules
from cloudinit.net import netplan, network_state

SEED = Path("/var/lib/cloud/seed/nocloud")
MODULES = ("users_groups", "ssh", "timezone", "write_files")
NETPLAN = "etc/netplan/50-cloud-init.yaml"


class Collector(logging.Handler):
    """Deprecations included, whose level lies between those of notes and warnings."""

    def __init__(self) -> None:
        super().__init__(logging.INFO + 1)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


def main() -> None:
    collector = Collector()
    logging.getLogger().addHandler(collector)
    init = stages.Init(ds_deps=[sources.DEP_FILESYSTEM])
    init.read_cfg([])
    init.initialize()
    init.fetch(existing="check")
    init.instancify()
    init.setup_datasource()
    init.update()
    init.consume_data()
    for module in MODULES:
        _, failures = Modules(init, []).run_single(module, None, "always")
        collector.said += map(str, failures)
    state = network_state.parse_net_config_data(init.datasource.network_config)
    renderer = netplan.Renderer({"netplan_path": NETPLAN, "postcmds": False})
    renderer.render_network_state(state, target="/")
    print(
        json.dumps(
            {
                "said": collector.said,
                "source": type(init.datasource).__name__,
                "instance_id": init.datasource.get_instance_id(),
                "local_hostname": init.datasource.get_hostname().hostname,
                "merged": init.cfg,
            }
        )
    )


if __name__ == "__main__":
    main()
