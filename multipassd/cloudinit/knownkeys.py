"""Keys that cloud-init knows: docs.cloud-init.io, "Module reference". An unknown
key is a warning, not an error: the guest's cloud-init may be newer, or have other modules. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

MAX_TOLD = 10
MAX_SHOWN = 60  # characters of a key
LIKENESS = 0.75  # of a key that is proposed instead

TOP = (
    "allow_public_ssh_keys", "ansible", "apk_repos", "apt", "apt_pipelining",
    "apt_reboot_if_required", "apt_update", "apt_upgrade", "authkey_hash", "autoinstall", "bootcmd",
    "byobu_by_default", "ca_certs", "chef", "chpasswd", "cloud_config_modules",
    "cloud_final_modules", "cloud_init_modules", "create_hostname_file", "device_aliases",
    "disable_ec2_metadata", "disable_root", "disable_root_opts", "disk_setup", "drivers", "fan",
    "final_message", "fqdn", "fs_setup", "groups", "growpart", "grub_dpkg", "hostname", "keyboard",
    "landscape", "launch_index", "locale", "locale_configfile", "lxd", "manage_etc_hosts",
    "manage_resolv_conf", "mcollective", "merge_how", "merge_type", "migrate",
    "mount_default_fields", "mounts", "no_ssh_fingerprints", "ntp", "output",
    "package_reboot_if_required", "package_update", "package_upgrade", "packages", "password",
    "phone_home", "power_state", "prefer_fqdn_over_hostname", "preserve_hostname", "puppet",
    "random_seed", "raspberry_pi", "reporting", "resize_rootfs", "resolv_conf", "rh_subscription",
    "rpi", "rsyslog", "runcmd", "salt_minion", "snap", "spacewalk", "ssh", "ssh_authorized_keys",
    "ssh_deletekeys", "ssh_fp_console_blacklist", "ssh_genkeytypes", "ssh_import_id",
    "ssh_key_console_blacklist", "ssh_keys", "ssh_publish_hostkeys", "ssh_pwauth",
    "ssh_quiet_keygen", "swap", "system_info", "timezone", "ubuntu_advantage", "ubuntu_pro",
    "updates", "user", "users", "vendor_data", "version", "wireguard", "write_files",
    "yum_repo_dir", "yum_repos", "zypper",
)  # fmt: skip
OF_A_USER = (
    "create_groups", "doas", "expiredate", "gecos", "groups", "hashed_passwd", "homedir",
    "inactive", "lock_passwd", "name", "no_create_home", "no_log_init", "no_user_group", "passwd",
    "plain_text_passwd", "primary_group", "selinux_user", "shell", "snapuser",
    "ssh_authorized_keys", "ssh_import_id", "ssh_redirect_user", "sudo", "system", "uid",
)  # fmt: skip
OF_A_FILE = (
    "append", "content", "defer", "encoding", "owner", "path", "permissions", "source",
)  # fmt: skip


def unknown(config: Mapping[Any, Any]) -> list[str]:
    """A sentence for each key that cloud-init would pass over, for the first ones."""
    found = list(_unknown(config, TOP, ""))
    for key, known in (("users", OF_A_USER), ("write_files", OF_A_FILE)):
        entries = config.get(key)
        for number, entry in enumerate(entries if isinstance(entries, list) else ()):
            if isinstance(entry, dict) and len(found) <= MAX_TOLD:
                found += _unknown(entry, known, f"{key}[{number}].")
    return found[:MAX_TOLD]


def _unknown(entry: Mapping[Any, Any], known: Collection[str], place: str) -> Iterator[str]:
    from difflib import get_close_matches  # 2 ms of a start that only a launch needs

    for key in entry:
        name = str(key)[:MAX_SHOWN]
        if name.replace("-", "_") in known:  # the older form
            continue
        shown = "".join(filter(str.isprintable, name))
        near = get_close_matches(name, known, 1, LIKENESS)
        hint = f" Did you mean `{near[0]}`?" if near else ""
        yield f"cloud-init does not know the key `{place}{shown}`, and may pass it over.{hint}"
